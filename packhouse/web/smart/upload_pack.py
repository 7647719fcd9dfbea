"""POST {remote}/git-upload-pack: a fetch. Refs are answered here; packs are streamed from git."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from starlette.responses import Response

from packhouse import limits
from packhouse.git.wire.advertisement import Service, protocol_version
from packhouse.git.wire.pktline import encode_error
from packhouse.log import log_event
from packhouse.operations.transport.fetch import Fetch, FetchAnswer, find_fetch_failure, open_fetch
from packhouse.repository.damage import Reason, RepositoryDamaged, RepositoryMended
from packhouse.web.admission.shares import Holder
from packhouse.web.admission.slot import Slot
from packhouse.web.call import Call
from packhouse.web.edge.body import iter_body
from packhouse.web.edge.responses import StreamResponse
from packhouse.web.errors import describe_failure, log_failure
from packhouse.web.routing.route import of_remote
from packhouse.web.smart.info_refs import NO_CACHE
from packhouse.web.smart.media import check_request_type, result_type
from packhouse.web.smart.pipes import Messages, PipeReader, PipeWriter
from packhouse.web.smart.remote_path import authorise_remote

_TAIL_BYTES = 4 * limits.KIB
_CANNOT_SERVE = "upload-pack: the request cannot be served"
_MEDIA_TYPE = result_type(Service.UPLOAD_PACK)


async def upload_pack(call: Call) -> Response:
    """POST {remote}/git-upload-pack"""
    principal, remote = await authorise_remote(call, Service.UPLOAD_PACK)
    check_request_type(call, Service.UPLOAD_PACK)
    transfers = call.admission.transfers
    holder = (principal.org_id, remote.repo)
    version = protocol_version(call.wire.headers.get("git-protocol", ""))
    async with contextlib.AsyncExitStack() as held:
        body = await _read_request(call, holder, held)
        fetch = Fetch(remote, version, body)
        if fetch.is_listing:
            answer = await call.in_thread(open_fetch, call.node, principal, fetch)
            return Response(answer.body, 200, NO_CACHE, _MEDIA_TYPE)
        slot = await held.enter_async_context(transfers.reads.slot(holder, call.wire.cut_connection))
        await call.wire.require_client()
        opening = transfers.start(open_fetch, call.node, principal, fetch)
        held.push_async_callback(transfers.close_result, opening, FetchAnswer.close)
        try:
            answer = await opening.result()
        except (RepositoryDamaged, RepositoryMended) as reason:
            # Git shows an error packet; of a status it shows the number.
            return Response(encode_error(_tell(call, reason)), 200, NO_CACHE, _MEDIA_TYPE)
        if answer.process is None:
            return Response(answer.body, 200, NO_CACHE, _MEDIA_TYPE)
        return StreamResponse(
            _relay(call, answer, slot),
            headers=NO_CACHE,
            media_type=_MEDIA_TYPE,
            cleanup=held.pop_all().aclose,
        )


async def _read_request(call: Call, holder: Holder, held: contextlib.AsyncExitStack) -> bytes:
    """Return the whole request; of large ones few are kept in memory at once."""
    body = bytearray()
    is_large = False
    async for piece in iter_body(call.wire.upload, max_bytes=limits.fetch_request_max_bytes):
        body += piece
        if not is_large and len(body) > limits.git_request_small_bytes:
            is_large = True
            await held.enter_async_context(call.admission.transfers.large_reads.slot(holder))
    return bytes(body)


async def _relay(call: Call, answer: FetchAnswer, slot: Slot) -> AsyncIterator[bytes]:
    """Feed upload-pack its request and yield what it writes, both at once: it may answer while it reads.

    Of a failure in the middle git itself has told the client; here it is looked into.
    """
    process = answer.process
    assert process is not None
    transfers = call.admission.transfers
    output, messages = PipeReader(process.stdout), Messages(process.stderr)
    feeder = asyncio.ensure_future(_feed(PipeWriter(process.stdin), answer.request))
    tail = b""
    try:
        while piece := await output.read():
            async with slot.parked_for_client():
                yield piece
            tail = (tail + piece[-_TAIL_BYTES:])[-_TAIL_BYTES:]
        text = await _last_words(messages)
        if text and await transfers.start(process.wait, limits.git_stall_max_s).result():
            # What git's pack-objects complains of goes to the client, in a band of the answer.
            told = text + tail.decode("utf-8", "replace")
            finding = transfers.start(find_fetch_failure, call.node, answer, told)
            reason = await finding.result()
            explanation = _CANNOT_SERVE if reason is None else _tell(call, reason)
            log_event("upload-pack failed", level=logging.WARNING, text=text, reason=explanation)
            if not tail:  # an empty answer means success to no client
                yield encode_error(explanation)
    finally:
        feeder.cancel()
        await asyncio.gather(feeder, return_exceptions=True)
        await messages.close()


def _tell(call: Call, reason: Reason) -> str:
    """Return the sentence for the client, with the line of the log that every failed request has."""
    described = describe_failure(reason)
    log_failure(call, reason, described.status)
    return described.sentence


async def _feed(writer: PipeWriter, data: bytes) -> None:
    await writer.write(data)
    writer.close()


async def _last_words(messages: Messages) -> str:
    text = b"".join([piece async for piece in messages.iter_until_end()])
    return text.decode("utf-8", "replace")[: limits.KIB]


ROUTES = (of_remote("upload_pack", "/git-upload-pack", upload_pack, method="POST"),)
