"""Running prepared writes: in the queue of their branch, and once for all requests with one idempotency key.

A repeat of a request gets the first answer and writes nothing. Source: draft-ietf-httpapi-idempotency-key-header-07,
"The Idempotency-Key HTTP Header Field". Only successes are kept: a refused request changed nothing and may be tried
again.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from starlette.responses import Response

from packhouse import limits
from packhouse.errors import Code, PackhouseError
from packhouse.git import short_name
from packhouse.operations.answers.find_answer import FindAnswer, FoundAnswer, find_answer
from packhouse.operations.answers.keep_answer import KeepAnswer, keep_answer
from packhouse.repository import Answer, Receipt, Ticket
from packhouse.web.call import Call
from packhouse.web.edge.body import Fingerprint, drop_body
from packhouse.web.pipeline.idempotency_key import read_key
from packhouse.web.pipeline.render import render
from packhouse.web.prepared_write import BranchWrite, PreparedWrite
from packhouse.web.routing.route import Route

KEY: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"


class KeyReused(PackhouseError):
    """The idempotency key came before with another request: another body, query or operation."""

    code = Code.KEY_REUSED


async def answer_write(call: Call, route: Route) -> Response:
    """Run the write that the route's handler prepares, or return the answer that is kept for the request's key.

    The caller has been authorised. When another request with the same key was faster, this one gets the answer of that
    one. Raises Invalid for the header, KeyReused, KeyTaken, BranchBusy and the errors of handler and operation.
    """
    key = read_key(call.wire.headers.getlist(KEY))
    if key is None:
        async with _prepared(call, route) as write:
            return render(write.render(await _run(call, write, None)), route)
    fingerprint = call.wire.upload.fingerprint = Fingerprint(_target(call))
    if kept := await call.operate(find_answer, FindAnswer(call.caller.repo, key=key)):
        await drop_body(call.wire.upload, max_bytes=call.config.commit_max_bytes)
        return _replay(kept, fingerprint)
    try:
        return await _write_and_keep(call, route, key, fingerprint)
    except PackhouseError:
        if not fingerprint.is_whole:
            raise
        kept = await call.operate(find_answer, FindAnswer(call.caller.repo, key=key))
        if kept is None:
            raise
        return _replay(kept, fingerprint)


@asynccontextmanager
async def _prepared(call: Call, route: Route) -> AsyncIterator[PreparedWrite[Any]]:
    """Let the handler prepare its write. Remove what it has prepared if the block fails."""
    write = await route.handler(call)
    assert isinstance(write, PreparedWrite), "the handler of a route that takes keys prepares a write"
    try:
        yield write
    except BaseException:
        if write.discard is not None:
            await call.in_thread(write.discard)
        raise


async def _write_and_keep(call: Call, route: Route, key: str, fingerprint: Fingerprint) -> Response:
    """Run the write with a receipt, so that the transaction of the write also keeps its answer."""
    async with _prepared(call, route) as write:
        if not fingerprint.is_whole:  # the handler ignores the body
            await drop_body(call.wire.upload, max_bytes=call.config.commit_max_bytes)
        ticket = Ticket(key, fingerprint.text())
        receipt: Receipt[Any] = Receipt(
            ticket, lambda result: _as_answer(render(write.render(result), route))
        )
        response = render(write.render(await _run(call, write, receipt)), route)
    if not ticket.is_kept:  # there was nothing to write
        await call.operate(keep_answer, KeepAnswer(call.caller.repo, ticket, _as_answer(response)))
    return response


async def _run(call: Call, write: PreparedWrite[Any], receipt: Receipt[Any] | None) -> Any:
    """Return the result of the operation. A branch write waits in the queue of its branch first."""
    if not isinstance(write, BranchWrite):
        return await call.in_thread(write.operation, receipt)
    key = (call.caller.principal.org_id, call.caller.repo, write.namespace, write.refname)
    queue, branch = call.admission.branch_queue, short_name(write.refname)
    async with queue.wait(key, branch=branch, wait_max_s=limits.guard_wait_max_s):
        return await call.in_thread(write.operation, receipt)


def _as_answer(response: Response) -> Answer:
    """Return a whole response as an answer to keep. Its length follows from its body."""
    headers = ((name, value) for name, value in response.headers.items() if name != "content-length")
    return Answer(response.status_code, tuple(headers), bytes(response.body))


def _target(call: Call) -> bytes:
    """Return the text that tells operations apart beside the body. It is the same for both dialects."""
    values = (value for name, value in sorted(call.path_values.items()) if name != "repo")
    parts = (call.match.operation, call.wire.query_string.decode("latin-1"), *values)
    return "\0".join(parts).encode("utf-8")


def _replay(kept: FoundAnswer, fingerprint: Fingerprint) -> Response:
    if kept.fingerprint != fingerprint.text():
        raise KeyReused()
    answer = kept.answer
    return Response(answer.body, answer.status, {**dict(answer.headers), REPLAYED: "true"})
