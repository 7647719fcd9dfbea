"""A remote as git clients address it: a repository and one of its two namespaces."""

from dataclasses import dataclass

from packhouse.auth.principal import Principal
from packhouse.db.refs import Ref, list_refs
from packhouse.db.repos import Repo, find_repo
from packhouse.db.session import Session
from packhouse.errors import NotFound
from packhouse.git.advertisement import AdvertisedRef, RefView
from packhouse.git.refname import HEADS, PERSISTENT, RefName
from packhouse.git.refs_files import are_current, write_ref_files
from packhouse.operations.node import Node


@dataclass(frozen=True, slots=True)
class Remote:
    """`repo` is the name without `+ephemeral`; refnames are relative to the namespace, as clients see them."""

    repo: str
    namespace: str = PERSISTENT


def read_repo(session: Session, caller: Principal, remote: Remote) -> Repo:
    """Return the repository; raise NotFound when the organisation has none of that name.

    The error does not repeat the name: users of git typed the address themselves.
    """
    repo = find_repo(session, caller.org_id, remote.repo)
    if repo is None:
        raise NotFound("repository not found")
    return repo


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


def read_all_refs(node: Node, caller: Principal, remote: Remote) -> tuple[Repo, list[Ref]]:
    """Return the repository and the refs of both namespaces, as of one moment."""
    with node.database.snapshot() as session:
        repo = read_repo(session, caller, remote)
        return repo, list_refs(session, repo.id)


def materialise_refs(node: Node, caller: Principal, remote: Remote, repo: Repo) -> None:
    """Bring `HEAD` and `packed-refs` of the repository folder up to `repo.refs_version`, if they are older.

    The folder exists: the repository holds objects.
    """
    git_dir = node.store.repo_path(repo.public_id)
    if are_current(git_dir, refs_version=repo.refs_version, head_target=head_target(repo)):
        return
    repo, refs = read_all_refs(node, caller, remote)
    write_ref_files(
        git_dir,
        [(ref.namespace, ref.refname, ref.oid, ref.peeled_oid) for ref in refs],
        refs_version=repo.refs_version,
        head_target=head_target(repo),
    )
