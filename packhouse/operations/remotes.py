"""A remote as git clients address it: a repository and one of its two namespaces."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packhouse.auth.principal import Principal
from packhouse.db.refs import list_refs
from packhouse.db.repos import Repo, find_repo, find_repo_by_id
from packhouse.db.session import Session
from packhouse.errors import NotFound
from packhouse.git.advertisement import AdvertisedRef, RefView
from packhouse.git.refname import HEAD, HEADS, PERSISTENT, RefName
from packhouse.git.refs_files import are_current, write_ref_files
from packhouse.operations.lookup import require_synced
from packhouse.operations.node import Node


@dataclass(frozen=True, slots=True)
class Remote:
    """`repo` is the name without `+ephemeral`; refnames are relative to the namespace, as clients see them.

    `is_import`: it was addressed by its import address, which takes pushes only and judges them more gently.
    """

    repo: str
    namespace: str = PERSISTENT
    is_import: bool = False


def read_repo(session: Session, caller: Principal, remote: Remote) -> Repo:
    """Return the repository; raise NotFound when the organisation has none of that name, FirstSyncRunning.

    The error does not repeat the name: users of git typed the address themselves.
    """
    repo = find_repo(session, caller.org_id, remote.repo)
    if repo is None:
        raise NotFound("repository not found")
    return require_synced(repo)


def read_view(node: Node, caller: Principal, remote: Remote) -> RefView:
    """Return what the remote shows: the refs of its namespace and, on the plain remote, HEAD."""
    with node.database.snapshot() as session:
        repo = read_repo(session, caller, remote)
        refs = list_refs(session, repo.id, remote.namespace)
    shown = [AdvertisedRef(ref.refname, ref.oid, ref.peeled_oid) for ref in refs]
    return RefView(shown, head_target(repo) if remote.namespace == PERSISTENT else None)


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
