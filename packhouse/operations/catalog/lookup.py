"""Finding the repository that a request names."""

import contextlib
from collections.abc import Iterator

from packhouse.auth import Principal
from packhouse.db import Repo, RepoNotFound, find_repo, find_repo_and_ref
from packhouse.errors import Code, Conflict
from packhouse.git import EPHEMERAL, HEADS, PERSISTENT, RefName, find_refname
from packhouse.node import Node
from packhouse.repository import RepoView, head_target, open_view


class FirstSyncRunning(Conflict):
    """The first sync of the repository is still running. Retry shortly."""

    code = Code.FIRST_SYNC_RUNNING


def require_synced(repo: Repo) -> Repo:
    """Return the repository; raise FirstSyncRunning during its first sync."""
    if repo.upstream is not None and repo.upstream.in_first_sync:
        raise FirstSyncRunning()
    return repo


def lookup_repo(node: Node, caller: Principal, name: str) -> Repo:
    """Return the repository of that name in the caller's organisation, for work on its content.

    Raises RepoNotFound, and FirstSyncRunning while there is no content yet.
    """
    with node.database.read() as session:
        repo = find_repo(session, caller.org_id, name)
    if repo is None:
        raise RepoNotFound(name)
    return require_synced(repo)


@contextlib.contextmanager
def open_repo(
    node: Node, caller: Principal, name: str, *, ref: str | None = None, ephemeral: bool = False
) -> Iterator[RepoView]:
    """Open the repository of that name in the caller's organisation, to read `ref` (None: the default branch).

    One query finds the repository and the branch that `ref` most likely is. Raises the errors of lookup_repo().
    """
    namespace = EPHEMERAL if ephemeral else PERSISTENT
    refname = _likely_branch(ref)
    with node.database.read() as session:
        found = find_repo_and_ref(session, caller.org_id, name, namespace, refname)
    if found is None:
        raise RepoNotFound(name)
    repo = require_synced(found[0])
    with open_view(node, repo) as view:
        view.know_ref(namespace, refname or head_target(repo), found[1])
        yield view


def _likely_branch(ref: str | None) -> RefName | None:
    """Return the first name that resolve_ref() would look for, None for the default branch."""
    return None if ref is None else find_refname(HEADS + ref.strip().encode("utf-8", "replace"))
