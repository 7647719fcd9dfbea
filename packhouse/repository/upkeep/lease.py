"""The lease on a repository's upkeep: one process at a time rewrites its packs.

Two processes that rewrite the same packs would lose no object, since each transaction of the upkeep checks what it
replaces. But one of them would work in vain.
"""

import contextlib
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from packhouse.db import (
    Repo,
    Session,
    extend_maintenance_lease,
    release_maintenance_lease,
    take_maintenance_lease,
)
from packhouse.errors import Unavailable
from packhouse.node import Node
from packhouse.repository.repo_log import log_repo_event


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that this process took. `check` tells whether it still has it."""

    node: Node
    repo: Repo
    holder: str

    def check(self, session: Session) -> None:
        """Check the lease in a transaction of the upkeep, and extend it. Raises LeaseLost, which must end it."""
        extend_maintenance_lease(
            session,
            self.repo.id,
            self.holder,
            lease_s=self.node.limits.maintenance_lease_s,
            now=self.node.clock(),
        )

    @contextlib.contextmanager
    def extended(self) -> Iterator[None]:
        """Extend the lease again and again inside the block, for work that may take longer than a lease."""
        done = threading.Event()
        thread = threading.Thread(target=self._extend, args=(done,), name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _extend(self, done: threading.Event) -> None:
        while not done.wait(self.node.limits.maintenance_lease_s / 3):
            try:
                with self.node.database.write() as session:
                    self.check(session)
            except Unavailable as error:  # the transaction at the end of the work checks it once more
                log_repo_event(
                    self.repo,
                    "maintenance lease not extended",
                    level=logging.WARNING,
                    reason=error.code.value,
                )


@contextlib.contextmanager
def hold_lease(node: Node, repo: Repo) -> Iterator[Lease | None]:
    """Give the lease of a repository inside the block; None while another process has it.

    The lease of a process that was killed ends by itself after `limits.maintenance_lease_s`.
    """
    lease = Lease(node, repo, node.random_bytes(8).hex())
    with node.database.write() as session:
        is_ours = take_maintenance_lease(
            session, repo.id, lease.holder, lease_s=node.limits.maintenance_lease_s, now=node.clock()
        )
    if not is_ours:
        yield None
        return
    try:
        yield lease
    finally:
        # An outage of the database leaves the lease to its end.
        with contextlib.suppress(Unavailable), node.database.write() as session:
            release_maintenance_lease(session, repo.id, lease.holder)
