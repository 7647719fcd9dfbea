"""One push, from the first byte of its pack to the last byte of its report."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, ParamSpec, TypeVar

from packhouse import limits
from packhouse.errors import PackhouseError, TimedOut
from packhouse.git.commands.process import GitProcess
from packhouse.git.wire import BAND_DATA, BAND_PROGRESS, FLUSH_PKT, KEEPALIVE, encode_band, encode_report
from packhouse.operations.transport.push_state import RefReport
from packhouse.operations.transport.start_push import PendingPush
from packhouse.web.admission.slot import Slot
from packhouse.web.admission.threads import RunningCall
from packhouse.web.call import Call
from packhouse.web.errors import describe_failure, log_failure
from packhouse.web.smart.answers import report_failure
from packhouse.web.smart.pipes import PipeReader, PipeWriter, end_tasks
from packhouse.web.smart.progress import Progress

P = ParamSpec("P")
T = TypeVar("T")


class IncomingPush:
    """One push. `feed` gives the pack to index-pack, `answer` yields the answer, and `close` ends what still runs.

    A task reads the messages of index-pack from the beginning, since index-pack stops once that pipe is full.
    """

    def __init__(self, call: Call, pending: PendingPush, slot: Slot) -> None:
        self._call = call
        self._pending = pending
        self._slot = slot
        self._has_bands = pending.request.has_bands
        self._progress = Progress()
        self._last_words = b""
        self._is_fed = False
        process = pending.process
        self._reading = None if process is None else asyncio.ensure_future(self._read_messages(process))
        self._judging: asyncio.Future[bytes] | None = None
        self._last_started: RunningCall[Any] | None = None

    async def feed(self, first: bytes, chunks: AsyncIterator[bytes]) -> None:
        """Give the pack to index-pack as it arrives.

        The rest of an unwanted pack is read and dropped, because a client shows our report only once it has sent
        everything. A pack is unwanted when every command is refused, or when index-pack has given up.
        """
        process = self._pending.process
        writer = None if process is None else PipeWriter(process.stdin)
        if writer is not None:
            await writer.write(first)
        while chunk := await self._next_chunk(chunks):
            if writer is not None:
                await writer.write(chunk)
        if writer is not None:
            writer.close()
        self._is_fed = True

    async def _next_chunk(self, chunks: AsyncIterator[bytes]) -> bytes:
        async with self._slot.parked_for_client():
            return await anext(chunks, b"")

    async def answer(self) -> AsyncIterator[bytes]:
        """Yield git's progress, signs of life while the push is judged, and the report."""
        self._judging = asyncio.ensure_future(self._judge())
        data_folder = str(self._call.config.data).encode()
        async for text in self._progress.iter_while(self._judging):
            if self._has_bands:
                # Users need not know where the server keeps its files.
                yield encode_band(BAND_PROGRESS, text.replace(data_folder, b"")) or KEEPALIVE
        yield self._judging.result()

    async def _read_messages(self, process: GitProcess) -> None:
        reader, log = PipeReader(process.stderr), self._pending.fault_log
        while piece := await self._next_message(reader):
            self._tell(log.take(piece))
        self._tell(log.finish())

    async def _next_message(self, reader: PipeReader) -> bytes:
        """Return the next message of index-pack. While its pack still arrives, it may be silent for any time."""
        while True:
            try:
                return await reader.read(timeout_s=limits.connectivity_check_max_s)
            except TimedOut:
                if self._is_fed:
                    raise

    def _tell(self, text: bytes) -> None:
        self._last_words = (self._last_words + text)[-limits.KIB :]
        self._progress.put(text)

    async def _judge(self) -> bytes:
        """Wait for index-pack, check and move the refs, and return the report."""
        unpack_error = await self._unpack_error()
        if unpack_error is None:
            finishing = self._start(self._pending.finish)
            await finishing.wait()
            outcomes = self._outcomes(finishing)
        else:
            outcomes = [(command.name, "unpacker error") for command in self._pending.commands]
        # Discard before the report is sent: nothing of a refused push stays, and its disk space may be needed at once.
        # If this fails, the end of the push discards once more and tells of the failure.
        await self._start(self._pending.discard).wait()
        return self._report(unpack_error, outcomes)

    async def _unpack_error(self) -> str | None:
        """Return why index-pack did not take the pack; None when it did, or when no pack was wanted."""
        process = self._pending.process
        if process is None:
            return None
        assert self._reading is not None
        await self._reading
        if await self._start(process.wait, limits.git_stall_max_s).result():
            return await self._explain_unpack_failure()
        ids = await PipeReader(process.stdout).read_to_end(keep_max_bytes=limits.git_output_max_bytes)
        self._pending.fault_log.take_unread_files(ids)
        return None

    async def _explain_unpack_failure(self) -> str:
        text = self._last_words.decode("utf-8", "replace")
        explaining = self._start(self._pending.explain_failure, text)
        try:
            return await explaining.result()
        except PackhouseError as damage:
            return report_failure(self._call, damage)

    def _outcomes(self, finishing: RunningCall[list[RefReport]]) -> list[tuple[bytes, str | None]]:
        """Return (refname, error) of each command, None for success."""
        if (failure := finishing.failure) is None:
            return [(report.name, report.error) for report in finishing.returned or []]
        described = describe_failure(failure)
        if described.status >= 500:
            log_failure(self._call, failure, described.status)
        return [(command.name, described.sentence) for command in self._pending.commands]

    def _report(self, unpack_error: str | None, outcomes: list[tuple[bytes, str | None]]) -> bytes:
        asked = self._pending.request
        report = encode_report(unpack_error, outcomes) if asked.wants_report else b""
        if not self._has_bands:
            return report
        lines = "".join(f"{line}\n" for line in self._pending.lines)
        told = encode_band(BAND_PROGRESS, lines.encode("utf-8"))
        return told + encode_band(BAND_DATA, report) + FLUSH_PKT

    def _start(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> RunningCall[T]:
        """Begin a call that `close` waits for. One call runs at a time."""
        running = self._call.admission.transfers.start(function, *args, **kwargs)
        self._last_started = running
        return running

    async def close(self) -> None:
        """End everything that still runs for this push, and wait for its end."""
        self._pending.switch.trip()
        await end_tasks(self._reading, self._judging)
        if self._last_started is not None:
            await self._last_started.wait()
