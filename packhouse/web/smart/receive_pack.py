"""POST {remote}/git-receive-pack: a push. Commands are read here, the pack goes from the socket to git."""

import contextlib
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.responses import Response

from packhouse import limits
from packhouse.errors import PackhouseError
from packhouse.git.wire.advertisement import Service
from packhouse.git.wire.pktline import (
    BAND_DATA,
    BAND_PROGRESS,
    FLUSH_PKT,
    KEEPALIVE,
    ProtocolError,
    encode_band,
)
from packhouse.git.wire.receive_request import ReceiveRequest, ReceiveRequestParser, encode_report
from packhouse.operations.transport.pending_push import PendingPush, Push, RefReport
from packhouse.operations.transport.push import explain_unpack_failure, finish_push, start_push
from packhouse.operations.transport.push_faults import note_unread_files
from packhouse.web.admission.shares import Holder
from packhouse.web.admission.slot import Slot
from packhouse.web.admission.transfers import RunningCall
from packhouse.web.call import Call
from packhouse.web.edge.body import iter_body
from packhouse.web.edge.responses import StreamResponse
from packhouse.web.errors import describe_failure, log_failure
from packhouse.web.routing.route import of_remote
from packhouse.web.smart.info_refs import NO_CACHE
from packhouse.web.smart.media import check_request_type, result_type
from packhouse.web.smart.pipes import Messages, PipeReader, PipeWriter
from packhouse.web.smart.remote_path import authorise_remote

_MEDIA_TYPE = result_type(Service.RECEIVE_PACK)
_PACK_HEADER_BYTES = 12


async def receive_pack(call: Call) -> Response:
    """POST {remote}/git-receive-pack"""
    principal, remote = await authorise_remote(call, Service.RECEIVE_PACK)
    check_request_type(call, Service.RECEIVE_PACK)
    transfers = call.admission.transfers
    # A little more than the pack's own bound, so that it is git which says that the pack is too large.
    body_max = call.config.push_max_bytes + limits.push_commands_max_bytes + limits.MIB
    chunks = iter_body(call.wire.upload, max_bytes=body_max)
    holder = (principal.org_id, remote.repo)
    async with contextlib.AsyncExitStack() as held:
        asked, first = await _read_commands(call, chunks, holder, held)
        if not asked.commands:
            # The probe by which a client learns whether its credentials are good, before it sends a large body.
            return Response(b"", 200, NO_CACHE, _MEDIA_TYPE)
        first, pack_objects = await _read_pack_start(asked, chunks, first)
        slot = await held.enter_async_context(transfers.pushes.slot(holder, call.wire.cut_connection))
        await call.wire.require_client()
        push = Push(remote, asked)
        starting = transfers.start(start_push, call.node, principal, push, pack_objects=pack_objects)
        held.push_async_callback(transfers.close_result, starting, PendingPush.close)
        transfer = _Transfer(call, await starting.result(), slot)
        held.push_async_callback(transfer.close)
        await transfer.feed(first, chunks)
        return StreamResponse(
            transfer.answer(), headers=NO_CACHE, media_type=_MEDIA_TYPE, cleanup=held.pop_all().aclose
        )


async def _read_commands(
    call: Call, chunks: AsyncIterator[bytes], holder: Holder, held: contextlib.AsyncExitStack
) -> tuple[ReceiveRequest, bytes]:
    """Return what stands before the pack, and the first bytes of the pack that came with it.

    Few pushes with a great many commands are kept in memory at once.
    """
    parser = ReceiveRequestParser()
    read_bytes = 0
    is_large = False
    async for chunk in chunks:
        parser.feed(chunk)
        if parser.is_complete:
            break
        read_bytes += len(chunk)
        if not is_large and read_bytes > limits.git_request_small_bytes:
            is_large = True
            await held.enter_async_context(call.admission.transfers.large_pushes.slot(holder))
    return parser.finish()


async def _read_pack_start(
    asked: ReceiveRequest, chunks: AsyncIterator[bytes], first: bytes
) -> tuple[bytes, int | None]:
    """Return the bytes read so far and the number of objects the pack announces; None when no pack is due.

    A small pack is read whole: what stalls before its first bytes are here costs neither a slot nor a process.
    Raises ProtocolError for what is no pack (gitformat-pack(5): "PACK", version, number of objects).
    """
    if not asked.has_pack:
        return first, None
    start = bytearray(first)
    await _read_more(start, chunks, _PACK_HEADER_BYTES)
    if len(start) < _PACK_HEADER_BYTES or start[:4] != b"PACK":
        raise ProtocolError("expected a pack after the commands")
    await _read_more(start, chunks, limits.push_start_bytes)
    return bytes(start), struct.unpack_from(">I", start, 8)[0]


async def _read_more(start: bytearray, chunks: AsyncIterator[bytes], size_bytes: int) -> None:
    while len(start) < size_bytes and (chunk := await anext(chunks, b"")):
        start += chunk


@dataclass(slots=True)
class _Transfer:
    """One push from the first byte of its pack to the last of its report."""

    call: Call
    pending: PendingPush
    slot: Slot
    messages: Messages | None = None
    finishing: RunningCall[list[RefReport]] | None = None
    discarding: RunningCall[None] | None = None
    last_words: bytes = b""

    def __post_init__(self) -> None:
        if self.pending.process is not None:
            log = self.pending.fault_log
            self.messages = Messages(self.pending.process.stderr, shown=log.take, ended=log.finish)

    async def feed(self, first: bytes, chunks: AsyncIterator[bytes]) -> None:
        """Hand the pack to index-pack as it comes.

        What nobody wants (every command is refused, or index-pack has given up) is read and dropped: a client
        shows our report only once it has sent everything.
        """
        process = self.pending.process
        writer = None if process is None else PipeWriter(process.stdin)
        wanted = writer is not None and await writer.write(first)
        while chunk := await self._next_chunk(chunks):
            if wanted:
                assert writer is not None
                wanted = await writer.write(chunk)
        if writer is not None:
            writer.close()

    async def _next_chunk(self, chunks: AsyncIterator[bytes]) -> bytes:
        async with self.slot.parked_for_client():
            return await anext(chunks, b"")

    async def answer(self) -> AsyncIterator[bytes]:
        """Yield what the client sees: git's progress, signs of life while we check, and the report."""
        unpack_error = None
        if self.pending.process is not None:
            async for message in self._iter_messages():
                yield message
            unpack_error = await self._unpack_error()
        if unpack_error is None:
            async for sign in self._finish():
                yield sign
        # Before the client hears: of a refused push nothing stays, and its disk space may be needed at once.
        self.discarding = self.call.admission.transfers.start(self.pending.discard)
        await self.discarding.wait()
        yield self._report(unpack_error)

    async def _iter_messages(self) -> AsyncIterator[bytes]:
        assert self.messages is not None
        data = str(self.call.config.data).encode()
        async for text in self.messages.iter_until_end():
            self.last_words = (self.last_words + text)[-limits.KIB :]
            if self._has_bands:
                # Users need not know where the server keeps its files.
                yield encode_band(BAND_PROGRESS, text.replace(data, b"")) or KEEPALIVE

    async def _unpack_error(self) -> str | None:
        """Return why the pack was not taken, or None when it was."""
        process = self.pending.process
        assert process is not None
        waiting = self.call.admission.transfers.start(process.wait, limits.git_stall_max_s)
        if await waiting.result():
            return await self._explain_unpack_failure()
        note_unread_files(self.pending, await PipeReader(process.stdout).read())
        return None

    async def _explain_unpack_failure(self) -> str:
        text = self.last_words.decode("utf-8", "replace")
        call = self.call.admission.transfers.start(explain_unpack_failure, self.call.node, self.pending, text)
        try:
            return await call.result()
        except PackhouseError as damage:
            described = describe_failure(damage)
            log_failure(self.call, damage, described.status)
            return described.sentence

    async def _finish(self) -> AsyncIterator[bytes]:
        """Check and move the refs in a thread, with a sign of life every few seconds."""
        principal = self.call.caller.principal
        self.finishing = self.call.admission.transfers.start(
            finish_push, self.call.node, principal, self.pending
        )
        while not await self.finishing.wait(limits.git_keepalive_s):
            if self._has_bands:
                yield KEEPALIVE

    @property
    def _has_bands(self) -> bool:
        return self.pending.push.request.has_bands

    def _report(self, unpack_error: str | None) -> bytes:
        asked = self.pending.push.request
        report = encode_report(unpack_error, self._outcomes(unpack_error)) if asked.wants_report else b""
        if not asked.has_bands:
            return report
        lines = "".join(f"{line}\n" for line in self.pending.lines)
        told = encode_band(BAND_PROGRESS, lines.encode("utf-8"))
        return told + encode_band(BAND_DATA, report) + FLUSH_PKT

    def _outcomes(self, unpack_error: str | None) -> list[tuple[bytes, str | None]]:
        commands = self.pending.commands
        if unpack_error is not None:
            return [(command.name, "unpacker error") for command in commands]
        assert self.finishing is not None
        failure = self.finishing.failure
        if failure is None:
            return [(report.name, report.error) for report in self.finishing.opened or []]
        described = describe_failure(failure)
        if described.status >= 500:
            log_failure(self.call, failure, described.status)
        return [(command.name, described.sentence) for command in commands]

    async def close(self) -> None:
        """End whatever still runs for this push and wait for it."""
        self.pending.switch.trip()
        for call in (self.finishing, self.discarding):
            if call is not None:
                await call.wait()
        if self.messages is not None:
            await self.messages.close()


ROUTES = (of_remote("receive_pack", "/git-receive-pack", receive_pack, method="POST"),)
