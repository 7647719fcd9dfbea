"""Objects that a write brings and that are not in place yet: lent to git while an upstream decides, then published."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from packhouse.db.repos import Repo
from packhouse.node.node import Node
from packhouse.repository.damage import holds_objects
from packhouse.storage.pack_draft import PackDraft
from packhouse.storage.pack_file import PackFile
from packhouse.storage.quarantine import Quarantine


@dataclass(frozen=True, slots=True)
class GitView:
    """A repository as git is to see it: its folder, and the environment that adds objects to it."""

    git_dir: Path
    environment: Mapping[str, str] = field(default_factory=dict)


class NewObjects(Protocol):
    """What `move_refs` publishes between the upstream's consent and the ref transaction."""

    def lend(self) -> contextlib.AbstractContextManager[GitView]:
        """Give a view in which git sees these objects over the repository's own."""
        ...

    def publish(self) -> list[PackFile]:
        """Put them in place, durably; return the packs."""
        ...


class QuarantinedObjects:
    """What git left in a quarantine."""

    def __init__(self, node: Node, repo: Repo, quarantine: Quarantine) -> None:
        self._node = node
        self._repo = repo
        self._quarantine = quarantine

    @contextlib.contextmanager
    def lend(self) -> Iterator[GitView]:
        """Make the quarantine a repository with ours beneath it."""
        yield _view(self._node, self._repo, self._quarantine)

    def publish(self) -> list[PackFile]:
        """Move the packs in."""
        return self._node.store.publish(self._quarantine, self._repo.public_id)


class DraftedObjects:
    """What is in a draft of this process."""

    def __init__(self, node: Node, repo: Repo, draft: PackDraft) -> None:
        self._node = node
        self._repo = repo
        self._draft = draft

    @contextlib.contextmanager
    def lend(self) -> Iterator[GitView]:
        """Link the finished draft into a quarantine, where git finds packs by their names."""
        _info, pack, idx = self._draft.finish()
        with self._node.store.new_quarantine() as quarantine:
            (quarantine.pack_dir / "pack-lent.pack").hardlink_to(pack)
            (quarantine.pack_dir / "pack-lent.idx").hardlink_to(idx)
            yield _view(self._node, self._repo, quarantine)

    def publish(self) -> list[PackFile]:
        """Move the draft in."""
        return [self._node.store.publish_draft(self._draft, self._repo.public_id)]


def _view(node: Node, repo: Repo, quarantine: Quarantine) -> GitView:
    beneath = node.store.repo_path(repo.public_id) if holds_objects(node, repo) else None
    return GitView(quarantine.make_repository(), quarantine.environment(beneath))
