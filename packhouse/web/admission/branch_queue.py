"""The queue of a branch: its writers in this process wait in order of arrival, without a worker thread."""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from packhouse.operations.refs.branches import BranchHasWriters


@dataclass(slots=True)
class _Queue:
    """The writers of one branch: one holds the lock, the others wait for it."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    writers: int = 0


class BranchQueue:
    """One queue for each branch with writers. asyncio.Lock wakes its waiters first come, first served."""

    def __init__(self) -> None:
        self._queues: dict[Hashable, _Queue] = {}

    @asynccontextmanager
    async def wait(self, key: Hashable, *, branch: str, wait_max_s: float) -> AsyncIterator[None]:
        """Wait until no earlier writer of `key` is left. Later writers wait until the block ends.

        Raises BranchHasWriters, which names `branch`, after `wait_max_s` seconds.
        """
        queue = self._queues.setdefault(key, _Queue())
        queue.writers += 1
        try:
            try:
                # Not asyncio.wait_for: in Python 3.11 it drops a cancellation that comes when the lock is acquired.
                async with asyncio.timeout(wait_max_s):
                    await queue.lock.acquire()
            except TimeoutError:
                raise BranchHasWriters(branch) from None
            try:
                yield
            finally:
                queue.lock.release()
        finally:
            queue.writers -= 1
            if queue.writers == 0:
                del self._queues[key]
