"""Making one commit from a stream of files, the main way in which programs write."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from packhouse.auth import Principal
from packhouse.db import Repo
from packhouse.errors import Code, Invalid
from packhouse.git import Oid
from packhouse.git.objects import MODE_GITLINK, TreePath
from packhouse.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.commits.add_commit import CommitFacts
from packhouse.operations.commits.blob_intake import BlobIntake, ContentUse
from packhouse.operations.commits.commit_target import CommitTarget
from packhouse.operations.commits.streamed_commit import StreamedCommit
from packhouse.repository import TreeMaker

_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}".encode()


class NothingToDelete(Invalid):
    """The path to delete does not exist and holds U+FFFD, which listings show in place of bytes that are not UTF-8."""

    code = Code.NOTHING_TO_DELETE
    path: bytes


@dataclass(frozen=True, slots=True)
class FileChange:
    """One entry of the file list, in order. `mode` is None for a deletion."""

    path: TreePath
    content_id: str
    mode: int | None


@dataclass(frozen=True, slots=True)
class StartCommit:
    """The branch, and the list of files to change. The contents follow."""

    repo: str
    target: CommitTarget
    facts: CommitFacts
    files: Sequence[FileChange]


class PendingCommit(StreamedCommit):
    """A commit whose files are still arriving. Close it in every case."""

    action = "commit-pack"

    def __init__(self, node: Node, caller: Principal, repo: Repo, command: StartCommit) -> None:
        super().__init__(node, caller, repo, command.target, command.facts)
        self._files = command.files
        self._intake = BlobIntake(
            self._write, _uses(command.files), blob_max_bytes=node.config.blob_max_bytes
        )

    def close(self) -> None:
        """See StreamedCommit."""
        self._intake.discard()
        super().close()

    @property
    def blob_count(self) -> int:
        """See StreamedCommit."""
        return sum(change.mode is not None for change in self._files)

    def add_chunk(self, content_id: str, data: bytes, *, eof: bool) -> None:
        """Take the next piece of a file's content. Raises the errors of BlobIntake.add_chunk."""
        self._intake.add_chunk(content_id, data, eof=eof)

    def _require_complete(self) -> None:
        self._intake.require_complete()

    def _make_tree(self, maker: TreeMaker) -> Oid:
        editor = maker.edit()
        for change in self._files:
            if change.mode is None:
                if not editor.delete(change.path) and _REPLACEMENT in bytes(change.path):
                    raise NothingToDelete(change.path)
            elif change.mode == MODE_GITLINK:
                editor.upsert(change.path, change.mode, self._intake.gitlinks[change.content_id])
            else:
                editor.upsert(change.path, change.mode, self._intake.blobs[change.content_id])
        return editor.write(maker.emit)


def start_commit(node: Node, caller: Principal, command: StartCommit) -> PendingCommit:
    """Begin a commit, and prepare for the contents of its files; raise RepoNotFound, FirstSyncRunning."""
    return PendingCommit(node, caller, lookup_repo(node, caller, command.repo), command)


def _uses(files: Sequence[FileChange]) -> dict[str, frozenset[ContentUse]]:
    uses: dict[str, frozenset[ContentUse]] = {}
    for change in files:
        if change.mode is None:
            use = ContentUse.IGNORED
        else:
            use = ContentUse.GITLINK if change.mode == MODE_GITLINK else ContentUse.BLOB
        uses[change.content_id] = uses.get(change.content_id, frozenset()) | {use}
    return uses
