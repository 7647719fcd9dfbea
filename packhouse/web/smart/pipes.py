"""Pipes of a git child on the event loop: reading and writing without blocking and without threads."""

import asyncio
import os
from collections.abc import Callable
from typing import IO, Any, Final

from packhouse import limits
from packhouse.errors import Code, TimedOut

_READ_BYTES: Final = 256 * limits.KIB

# git writes packs in pieces of 8 to 64 KiB; sent one by one they cost the server more than their bytes do. In
# a large transfer a short pause lets the pipe fill (measured: 18 KiB pieces become 140 KiB, a fifth faster).
_SMALL_TRANSFER_BYTES: Final = limits.MIB
_SMALL_PIECE_BYTES: Final = 128 * limits.KIB
_FILL_PAUSE_S: Final = 0.001


class GitSentNothing(TimedOut):
    """Git wrote nothing for `seconds` seconds."""

    code = Code.GIT_SENT_NOTHING
    seconds: float | None


class GitTookNothing(TimedOut):
    """Git read nothing for `seconds` seconds."""

    code = Code.GIT_TOOK_NOTHING
    seconds: float | None


class PipeReader:
    """The reading end of a child's output. One task reads at a time. It ends before the pipe is closed."""

    def __init__(self, pipe: IO[bytes]) -> None:
        os.set_blocking(pipe.fileno(), False)
        self._pipe = pipe
        self._read_bytes = 0
        self._last_was_small = False

    async def read(self, *, timeout_s: float | None = limits.git_stall_max_s) -> bytes:
        """Return what the child has written, b"" once it has closed the pipe.

        Raises TimedOut when the child writes nothing for `timeout_s` seconds.
        """
        if self._last_was_small and self._read_bytes > _SMALL_TRANSFER_BYTES:
            await asyncio.sleep(_FILL_PAUSE_S)
        loop = asyncio.get_running_loop()
        descriptor = self._pipe.fileno()
        while True:
            try:
                piece = os.read(descriptor, _READ_BYTES)
                break
            except BlockingIOError:
                await _ready(loop.add_reader, loop.remove_reader, descriptor, timeout_s, GitSentNothing)
        self._read_bytes += len(piece)
        self._last_was_small = len(piece) < _SMALL_PIECE_BYTES
        return piece

    async def read_to_end(self, *, keep_max_bytes: int) -> bytes:
        """Read until the child closes the pipe; return the first `keep_max_bytes` of its output.

        The child may be silent for any time. The caller limits the whole time.
        """
        kept = bytearray()
        while piece := await self.read(timeout_s=None):
            kept += piece[: keep_max_bytes - len(kept)]
        return bytes(kept)


class PipeWriter:
    """The writing end of a child's input. One task writes at a time. It ends before the pipe is closed."""

    def __init__(self, pipe: IO[bytes]) -> None:
        os.set_blocking(pipe.fileno(), False)
        self._pipe = pipe

    async def write(self, data: bytes) -> None:
        """Write all of `data`. The data is dropped if the child has closed its end: its exit code tells why.

        Raises TimedOut when the child takes nothing for too long.
        """
        loop = asyncio.get_running_loop()
        descriptor = self._pipe.fileno()
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(descriptor, rest) :]
            except BlockingIOError:
                await _ready(
                    loop.add_writer,
                    loop.remove_writer,
                    descriptor,
                    limits.git_stall_max_s,
                    GitTookNothing,
                )
            except BrokenPipeError:
                return

    def close(self) -> None:
        """Tell the child that its input ends."""
        self._pipe.close()


async def end_tasks(*tasks: "asyncio.Future[Any] | None") -> None:
    """Cancel the tasks that use a child's pipes and wait for their end, since the loop must not watch a closed pipe."""
    running = [task for task in tasks if task is not None]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def _ready(
    watch: Callable[..., None],
    unwatch: Callable[[int], object],
    descriptor: int,
    timeout_s: float | None,
    give_up: Callable[[float | None], TimedOut],
) -> None:
    """Wait until the descriptor can be read or written; raise the error of `give_up` after `timeout_s` seconds."""
    ready = asyncio.Event()
    watch(descriptor, ready.set)
    try:
        async with asyncio.timeout(timeout_s):
            await ready.wait()
    except TimeoutError:
        raise give_up(timeout_s) from None
    finally:
        unwatch(descriptor)
