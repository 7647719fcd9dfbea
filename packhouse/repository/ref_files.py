"""HEAD, and the refs of a repository written out as files for git."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from packhouse.db.refs import list_refs
from packhouse.db.repos import Repo, find_repo_by_id
from packhouse.git.refname import HEAD, HEADS, RefName
from packhouse.git.refs_files import are_current, write_ref_files
from packhouse.node.node import Node


def head_target(repo: Repo) -> RefName:
    """Return the full name of the default branch, which HEAD names whether it exists or not."""
    return RefName(HEADS + repo.default_branch.encode("utf-8"))


def follow_head(repo: Repo, refname: RefName) -> RefName:
    """Return the full name of the default branch for `HEAD`; any other name comes back as it is."""
    return head_target(repo) if refname == HEAD else refname


@contextlib.contextmanager
def materialise_refs(node: Node, repo: Repo) -> Iterator[tuple[Path, tuple[int, ...]]]:
    """Give a folder in which git sees the refs of `repo.refs_version` or later over the repository's objects.

    The second value are locks that git children inherit. The repository holds objects. Raises OSError when neither
    disk nor memory takes the files.
    """

    def write(folder: Path) -> None:
        if are_current(folder, refs_version=repo.refs_version, head_target=head_target(repo)):
            return
        with node.database.snapshot() as session:
            # By id: another repository may have taken the name meanwhile.
            now = find_repo_by_id(session, repo.id) or repo
            refs = list_refs(session, repo.id)
        write_ref_files(
            folder,
            [(ref.namespace, ref.refname, ref.oid, ref.peeled_oid) for ref in refs],
            refs_version=now.refs_version,
            head_target=head_target(now),
        )

    with node.store.refs(repo.public_id, write) as opened:
        yield opened
