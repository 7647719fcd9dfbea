"""A remote as git clients address it: a repository and one of its two namespaces."""

from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.db import Repo, RepoNotFound, Session, find_repo, list_refs
from packhouse.git import PERSISTENT
from packhouse.git.wire import AdvertisedRef, RefView
from packhouse.node import Node
from packhouse.operations.catalog.lookup import require_synced
from packhouse.repository import head_target


@dataclass(frozen=True, slots=True)
class Remote:
    """A repository and a namespace. `repo` is the name without `+ephemeral`; refnames are as clients see them.

    `is_import`: the client used the import address, which takes only pushes and lets more faults through.
    """

    repo: str
    namespace: str = PERSISTENT
    is_import: bool = False


def read_repo(session: Session, caller: Principal, remote: Remote) -> Repo:
    """Return the repository; raise NotFound when the organisation has none of that name, FirstSyncRunning.

    The error does not repeat the name, because users of git have typed the address themselves.
    """
    repo = find_repo(session, caller.org_id, remote.repo)
    if repo is None:
        raise RepoNotFound()
    return require_synced(repo)


def read_view(node: Node, caller: Principal, remote: Remote) -> RefView:
    """Return the advertised refs of the remote: those of its namespace and, on the plain remote, HEAD."""
    with node.database.snapshot() as session:
        repo = read_repo(session, caller, remote)
        refs = list_refs(session, repo.id, remote.namespace)
    shown = [AdvertisedRef(ref.refname, ref.oid, ref.peeled_oid) for ref in refs]
    return RefView(shown, head_target(repo) if remote.namespace == PERSISTENT else None)
