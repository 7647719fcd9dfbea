"""Requesting a pull from the upstream. A job does the work."""

from dataclasses import dataclass

from packhouse.auth import NO_PUSH, PolicyDenied, Principal
from packhouse.db import RepoNotFound, Session, find_repo, mark_syncing
from packhouse.errors import Code, Invalid
from packhouse.node import Node
from packhouse.repository import names_for, queue_sync


class NoUpstream(Invalid):
    """The repository follows no upstream."""

    code = Code.NO_UPSTREAM


@dataclass(frozen=True, slots=True)
class PullUpstream:
    """The repository to pull. `ref` limits the pull to one branch or tag; None means all branches and tags."""

    repo: str
    ref: str | None = None


def pull_upstream(node: Node, caller: Principal, command: PullUpstream) -> None:
    """Queue a pull. If an equal pull waits already, it serves both requests.

    Raises RepoNotFound, NoUpstream, Invalid for a malformed ref, and PolicyDenied for a token that may push nothing.
    """
    _check_policy(caller)
    name, ref, now = command.repo, command.ref, node.clock()

    def queue(session: Session) -> None:
        repo = find_repo(session, caller.org_id, name)
        if repo is None:
            raise RepoNotFound(name)
        if ref is not None:
            names_for(ref, default_branch=repo.default_branch)
        if not mark_syncing(session, repo.id, now=now):
            raise NoUpstream()
        queue_sync(session, repo.id, repo.public_id, ref=ref, now=now)

    node.database.transact(queue)
    node.wakeups.notify()


def _check_policy(caller: Principal) -> None:
    """Refuse a token whose rule for all refs forbids pushes, because a pull may move any ref."""
    caller.policy.require_usable()
    for rule in caller.policy.rules:
        if rule.pattern == b"*" and NO_PUSH in rule.ops:
            raise PolicyDenied(b"*", NO_PUSH)
