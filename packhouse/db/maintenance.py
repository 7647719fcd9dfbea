"""Leases on the upkeep of a repository: one process at a time rewrites its packs.

A lease that ended may be taken by another process. So every transaction of the upkeep checks its lease, and a process
that was asleep writes nothing any more.
"""

from packhouse.db.session import Session
from packhouse.errors import Code, Unavailable
from packhouse.ids import RepoKey


class LeaseLost(Unavailable):
    """Another process has taken over the upkeep of the repository. Nothing was written."""

    code = Code.LEASE_LOST


def take_maintenance_lease(
    session: Session, repo_id: RepoKey, holder: str, *, lease_s: int, now: int
) -> bool:
    """Take the lease unless another holder has it. Return whether it is ours."""
    taken = session.run(
        "take_maintenance_lease", repo_id=repo_id, holder=holder, lease_until=now + lease_s, now=now
    )
    return taken == 1


def extend_maintenance_lease(
    session: Session, repo_id: RepoKey, holder: str, *, lease_s: int, now: int
) -> None:
    """Check the lease within the transaction, and extend it. Raises LeaseLost, which must end the transaction."""
    held = session.run("extend_maintenance_lease", repo_id=repo_id, holder=holder, lease_until=now + lease_s)
    if held == 0:
        raise LeaseLost()


def release_maintenance_lease(session: Session, repo_id: RepoKey, holder: str) -> None:
    """Give the lease back. A lease of another holder stays."""
    session.run("release_maintenance_lease", repo_id=repo_id, holder=holder)
