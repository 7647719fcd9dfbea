"""Pipes of a git child on the event loop: read and write without blocking and without a thread each."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from typing import IO, Final

from packhouse import limits
from packhouse.errors import TimedOut

_READ_BYTES: Final = 256 * limits.KIB

# git writes packs in pieces of 8 to 64 KiB; sent one by one they cost the server more than their bytes do. In
# a large transfer a short pause lets the pipe fill (measured: 18 KiB pieces become 140 KiB, a fifth faster).
_SMALL_TRANSFER_BYTES: Final = limits.MIB
_SMALL_PIECE_BYTES: Final = 128 * limits.KIB
_FILL_PAUSE_S: Final = 0.001


class PipeReader:
    """The reading end of a child's output. One task reads at a time."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._descriptor = pipe.fileno()
        os.set_blocking(self._descriptor, False)
        self._read_bytes = 0
        self._last_was_small = False

    async def read(self, *, timeout_s: float = limits.git_stall_max_s) -> bytes:
        """Return what the child has written, b"" once it has closed the pipe.

        Raises TimedOut when it writes nothing for `timeout_s` seconds.
        """
        loop = asyncio.get_running_loop()
        if self._last_was_small and self._read_bytes > _SMALL_TRANSFER_BYTES:
            await asyncio.sleep(_FILL_PAUSE_S)
        while True:
            try:
                piece = os.read(self._descriptor, _READ_BYTES)
                self._read_bytes += len(piece)
                self._last_was_small = len(piece) < _SMALL_PIECE_BYTES
                return piece
            except BlockingIOError:
                await _wait_until(
                    loop.add_reader, loop.remove_reader, self._descriptor, timeout_s, "git sent nothing"
                )


class PipeWriter:
    """The writing end of a child's input. One task writes at a time."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        os.set_blocking(pipe.fileno(), False)

    async def write(self, data: bytes) -> bool:
        """Hand over all of `data`; False when the child has closed its end: its exit code tells why.

        Raises TimedOut when the child takes nothing for too long.
        """
        loop = asyncio.get_running_loop()
        descriptor = self._pipe.fileno()
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(descriptor, rest) :]
            except BlockingIOError:
                await _wait_until(
                    loop.add_writer,
                    loop.remove_writer,
                    descriptor,
                    limits.git_stall_max_s,
                    "git took nothing",
                )
            except BrokenPipeError:
                return False
        return True

    def close(self) -> None:
        """Tell the child that its input ends."""
        self._pipe.close()


async def _wait_until(
    watch: Callable[..., None],
    unwatch: Callable[[int], object],
    descriptor: int,
    timeout_s: float,
    complaint: str,
) -> None:
    """Return once the descriptor is ready."""
    ready = asyncio.get_running_loop().create_future()
    watch(descriptor, _set_ready, ready)
    try:
        async with asyncio.timeout(timeout_s):
            await ready
    except TimeoutError:
        raise TimedOut(complaint, seconds=timeout_s) from None
    finally:
        unwatch(descriptor)


def _set_ready(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)


class Messages:
    """A child's standard error: kept while nobody can be told, up to a bound, and read on until it ends.

    A child whose messages nobody reads stops once the pipe is full. `shown` sees each piece, however much is kept,
    and returns what of it is for the client; `ended` returns what it held back, once the child has closed the pipe.
    """

    def __init__(
        self,
        pipe: IO[bytes],
        *,
        shown: Callable[[bytes], bytes] = lambda piece: piece,
        ended: Callable[[], bytes] = lambda: b"",
    ) -> None:
        self._reader = PipeReader(pipe)
        self._shown = shown
        self._ended = ended
        self._kept = bytearray()
        self._news = asyncio.Event()
        self._task = asyncio.ensure_future(self._collect())

    async def _collect(self) -> None:
        try:
            while piece := await self._reader.read(timeout_s=limits.connectivity_check_max_s):
                self._keep(self._shown(piece))
            self._keep(self._ended())
        finally:
            self._news.set()

    def _keep(self, text: bytes) -> None:
        self._kept += text[: limits.git_messages_max_bytes - len(self._kept)]
        self._news.set()

    def take(self) -> bytes:
        """Return what was kept since the last call."""
        taken = bytes(self._kept)
        self._kept.clear()
        self._news.clear()
        return taken

    async def iter_until_end(self) -> AsyncIterator[bytes]:
        """Yield messages as they come until the child closes the pipe, and b"" when none came for 5 s."""
        while not self._task.done() or self._kept:
            try:
                async with asyncio.timeout(limits.git_keepalive_s):
                    await self._news.wait()
            except TimeoutError:
                yield b""
                continue
            if taken := self.take():
                yield taken

    async def close(self) -> None:
        """Stop reading; before the pipe is closed, so that the loop does not watch a stranger's descriptor."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
