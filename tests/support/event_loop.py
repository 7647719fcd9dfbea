"""Runs tests that are coroutines, with steps of the event loop instead of time."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

P = ParamSpec("P")


class MovableLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock a test moves, so that hours pass at once."""

    def __init__(self) -> None:
        super().__init__()
        self._passed_s = 0.0

    def time(self) -> float:
        """Return the time of the loop, in seconds."""
        return super().time() + self._passed_s

    def move_clock(self, seconds: float) -> None:
        """Move the clock. Timers that are due then fire with the next steps."""
        self._passed_s += seconds


async def let_pass(seconds: float) -> None:
    """Move the running loop's clock, and let due timers fire."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, MovableLoop)
    loop.move_clock(seconds)
    await settle()


def in_event_loop(test: Callable[P, Coroutine[None, None, None]]) -> Callable[P, None]:
    """Run a coroutine test in its own event loop, whose clock the test may move."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=MovableLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


async def settle() -> None:
    """Let the loop run until nothing more happens by itself."""
    for _ in range(100):
        await asyncio.sleep(0)


async def cancelled(task: "asyncio.Future[Any]") -> bool:
    """Cancel a task and wait for its end. Return whether the cancellation ended it."""
    task.cancel()
    await asyncio.wait({task})
    return task.cancelled()
