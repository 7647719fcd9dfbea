"""POST {remote}/git-upload-pack: a fetch. Refs are answered here; packs are streamed from git."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from functools import partial
from typing import Final

from starlette.responses import Response

from packhouse import limits
from packhouse.git.commands.process import GitNotEnded
from packhouse.git.wire import Service, encode_error, protocol_version
from packhouse.log import log_event
from packhouse.operations.transport.open_fetch import FetchAnswer, OpenFetch, open_fetch
from packhouse.repository import RepositoryDamaged, RepositoryMended
from packhouse.web.admission.client_slot import slot_for_client
from packhouse.web.admission.slot import Slot
from packhouse.web.call import Call
from packhouse.web.edge.body import iter_body
from packhouse.web.routing.route import of_remote
from packhouse.web.smart.answers import check_request_type, report_failure, result, streamed_result
from packhouse.web.smart.pipes import PipeReader, PipeWriter, end_tasks
from packhouse.web.smart.remote_path import authorise_remote
from packhouse.web.smart.request_memory import RequestMemory

_SERVICE: Final = Service.UPLOAD_PACK
_TAIL_BYTES: Final = 4 * limits.KIB
_CANNOT_SERVE: Final = "upload-pack: the request cannot be served"


async def upload_pack(call: Call) -> Response:
    """POST {remote}/git-upload-pack"""
    principal, remote = await authorise_remote(call, _SERVICE)
    check_request_type(call, _SERVICE)
    transfers = call.admission.transfers
    holder = (principal.org_id, remote.repo)
    version = protocol_version(call.wire.headers.get("git-protocol", ""))
    async with contextlib.AsyncExitStack() as held:
        body = await _read_request(call, RequestMemory(transfers.large_reads, holder, held))
        fetch = OpenFetch(remote, version, body)
        opening = partial(open_fetch, call.node, principal, fetch)
        if fetch.is_listing:
            return result(_SERVICE, (await call.in_thread(opening)).body)
        slot = await held.enter_async_context(slot_for_client(call.wire, transfers.reads, holder))
        try:
            answer = await held.enter_async_context(transfers.opened(opening, FetchAnswer.close))
        except (RepositoryDamaged, RepositoryMended) as reason:
            # Git shows the text of an error packet; of a failed status it shows only the number.
            return result(_SERVICE, encode_error(report_failure(call, reason)))
        if answer.process is None:
            return result(_SERVICE, answer.body)
        return streamed_result(_SERVICE, _relay(call, answer, slot), held.pop_all().aclose)


async def _read_request(call: Call, memory: RequestMemory) -> bytes:
    body = bytearray()
    async for piece in iter_body(call.wire.upload, max_bytes=limits.fetch_request_max_bytes):
        body += piece
        await memory.add(len(piece))
    return bytes(body)


async def _relay(call: Call, answer: FetchAnswer, slot: Slot) -> AsyncIterator[bytes]:
    """Send upload-pack its request and yield its output at the same time, since it may answer while it reads."""
    process = answer.process
    assert process is not None
    output = PipeReader(process.stdout)
    feeding = asyncio.ensure_future(_feed(PipeWriter(process.stdin), answer.request))
    complaining = asyncio.ensure_future(
        PipeReader(process.stderr).read_to_end(keep_max_bytes=limits.git_messages_max_bytes)
    )
    tail = b""
    try:
        while piece := await output.read():
            async with slot.parked_for_client():
                yield piece
            tail = (tail + piece[-_TAIL_BYTES:])[-_TAIL_BYTES:]
        await asyncio.wait({complaining}, timeout=limits.git_stall_max_s)
        if not complaining.done():
            raise GitNotEnded(limits.git_stall_max_s)
        failure = await _find_failure(call, answer, complaining.result(), tail)
        if failure is not None and not tail:  # an empty answer means success to no client
            yield encode_error(failure)
    finally:
        await end_tasks(feeding, complaining)


async def _feed(writer: PipeWriter, data: bytes) -> None:
    await writer.write(data)
    writer.close()


async def _find_failure(call: Call, answer: FetchAnswer, complaints: bytes, tail: bytes) -> str | None:
    """Return why upload-pack failed, and log it; None when it ended well.

    Git itself has told a client that got a part of its answer: complaints of pack-objects go to the client in a band of
    the answer. So the `tail` of the answer is searched for the reason as well.
    """
    process = answer.process
    assert process is not None
    text = complaints.decode("utf-8", "replace")[: limits.KIB]
    transfers = call.admission.transfers
    if not text or not await transfers.start(process.wait, limits.git_stall_max_s).result():
        return None
    told = text + tail.decode("utf-8", "replace")
    reason = await transfers.start(answer.find_failure, told).result()
    sentence = _CANNOT_SERVE if reason is None else report_failure(call, reason)
    log_event("upload-pack failed", level=logging.WARNING, text=text, reason=sentence)
    return sentence


ROUTES = (of_remote("upload_pack", "/git-upload-pack", upload_pack, method="POST"),)
