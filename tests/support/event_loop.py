"""Tests that are coroutines, and steps of the event loop instead of time."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import ParamSpec

P = ParamSpec("P")


def in_event_loop(test: Callable[P, Coroutine[None, None, None]]) -> Callable[P, None]:
    """Run a test that is a coroutine in an event loop of its own."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


async def settle() -> None:
    """Let everything happen that happens by itself."""
    for _ in range(100):
        await asyncio.sleep(0)


async def cancelled(task: "asyncio.Future[None]") -> bool:
    """Cancel a task, wait for its end, and tell whether the cancellation ended it."""
    task.cancel()
    await asyncio.wait({task})
    return task.cancelled()
