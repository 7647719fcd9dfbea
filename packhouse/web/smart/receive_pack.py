"""POST {remote}/git-receive-pack: a push. Commands are read here, and the pack goes from the socket to git."""

import contextlib
import struct
from collections.abc import AsyncIterator
from functools import partial
from typing import Final

from starlette.responses import Response

from packhouse import limits
from packhouse.git.wire import ProtocolError, ReceiveRequest, ReceiveRequestParser, Service
from packhouse.operations.transport.start_push import PendingPush, StartPush, start_push
from packhouse.web.admission.client_slot import slot_for_client
from packhouse.web.call import Call
from packhouse.web.edge.body import iter_body
from packhouse.web.routing.route import of_remote
from packhouse.web.smart.answers import check_request_type, result, streamed_result
from packhouse.web.smart.incoming_push import IncomingPush
from packhouse.web.smart.remote_path import authorise_remote
from packhouse.web.smart.request_memory import RequestMemory

_SERVICE: Final = Service.RECEIVE_PACK
_PACK_HEADER_BYTES: Final = 12


async def receive_pack(call: Call) -> Response:
    """POST {remote}/git-receive-pack"""
    principal, remote = await authorise_remote(call, _SERVICE)
    check_request_type(call, _SERVICE)
    transfers = call.admission.transfers
    # A little more than the pack's own bound, so that git is the one to say that the pack is too large.
    body_max = call.config.push_max_bytes + limits.push_commands_max_bytes + limits.MIB
    chunks = iter_body(call.wire.upload, max_bytes=body_max)
    holder = (principal.org_id, remote.repo)
    async with contextlib.AsyncExitStack() as held:
        asked, first = await _read_commands(chunks, RequestMemory(transfers.large_pushes, holder, held))
        if not asked.commands:
            # The probe by which a client learns whether its credentials are good, before it sends a large body.
            return result(_SERVICE, b"")
        first, pack_objects = await _read_pack_start(asked, chunks, first)
        slot = await held.enter_async_context(slot_for_client(call.wire, transfers.pushes, holder))
        starting = partial(start_push, call.node, principal, StartPush(remote, asked, pack_objects))
        pending = await held.enter_async_context(transfers.opened(starting, PendingPush.close))
        push = IncomingPush(call, pending, slot)
        held.push_async_callback(push.close)
        await push.feed(first, chunks)
        return streamed_result(_SERVICE, push.answer(), held.pop_all().aclose)


async def _read_commands(chunks: AsyncIterator[bytes], memory: RequestMemory) -> tuple[ReceiveRequest, bytes]:
    """Return the request, which stands before the pack, and the first bytes of the pack that came with it."""
    parser = ReceiveRequestParser()
    async for chunk in chunks:
        parser.feed(chunk)
        if parser.is_complete:
            break
        await memory.add(len(chunk))
    return parser.finish()


async def _read_pack_start(
    asked: ReceiveRequest, chunks: AsyncIterator[bytes], first: bytes
) -> tuple[bytes, int | None]:
    """Return the bytes read so far, and the number of objects that the pack announces; None when no pack is due.

    A small pack is read whole. A client that stalls before its first bytes costs neither a slot nor a process. Raises
    ProtocolError for anything but a pack (gitformat-pack(5): "PACK", version, number of objects).
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


ROUTES = (of_remote("receive_pack", "/git-receive-pack", receive_pack, method="POST"),)
