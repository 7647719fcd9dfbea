"""Fair turns: writers to one branch wait in order of arrival, without holding a worker thread meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from packhouse.operations.commits.land_commit import BranchBusy


@dataclass(slots=True)
class _Line:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    people: int = 0


class Turns:
    """One waiting line for each key. asyncio.Lock wakes its waiters first come, first served."""

    def __init__(self) -> None:
        self._lines: dict[Hashable, _Line] = {}

    @asynccontextmanager
    async def take(self, key: Hashable, *, branch: str, wait_max_s: float) -> AsyncIterator[None]:
        """Wait for the turn and hold it inside the block; raise BranchBusy after `wait_max_s` seconds."""
        line = self._lines.setdefault(key, _Line())
        line.people += 1
        try:
            try:
                await asyncio.wait_for(line.lock.acquire(), wait_max_s)
            except TimeoutError:
                raise BranchBusy("branch has other writers", branch=branch) from None
            try:
                yield
            finally:
                line.lock.release()
        finally:
            line.people -= 1
            if line.people == 0:
                del self._lines[key]
