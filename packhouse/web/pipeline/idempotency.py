"""Requests with an idempotency key: a repeat gets the first answer and writes nothing.

Source: draft-ietf-httpapi-idempotency-key-header-07, "The Idempotency-Key HTTP Header Field". Only successes are
kept: a refused request changed nothing and may be tried again.
"""

import re
from collections.abc import Sequence
from typing import Final

from starlette.responses import Response

from packhouse import limits
from packhouse.errors import Invalid, PackhouseError
from packhouse.operations.answers.find_answer import FindAnswer, FoundAnswer, find_answer
from packhouse.operations.answers.keep_answer import KeepAnswer, keep_answer
from packhouse.web.call import Call, as_answer
from packhouse.web.edge.body import Fingerprint, drop_body
from packhouse.web.errors import KeyReused
from packhouse.web.routing.route import Handler

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"

# A string, and an item of one with its parameters, which mean nothing here. Source: RFC 9651, section 3.
_STRING: Final = r'"((?:[ !#-\[\]-~]|\\["\\])*)"'
_PARAMETER: Final = r' *; *[a-z*][a-z0-9_.*-]*(?:=(?:"(?:[ !#-\[\]-~]|\\["\\])*"|[!#-+\--:<-~]+))?'
_QUOTED: Final = re.compile(f"{_STRING}(?:{_PARAMETER})*")
# What most clients send. A comma would be the trace of two fields that a proxy has joined.
_BARE: Final = re.compile(r"[ !#-+\--~]+")
_ESCAPED: Final = re.compile(r'\\(["\\])')


def read_key(fields: Sequence[str]) -> str | None:
    """Return the key in the fields of that name; None without any.

    It is a string in quotes, or, as clients also send it, the bare text. Raises Invalid for anything else, blank
    text included: a client that sends it believes itself to be protected.
    """
    if not fields:
        return None
    if len(fields) > 1:
        raise Invalid("more than one Idempotency-Key header")
    text = fields[0].strip(" \t")
    if quoted := _QUOTED.fullmatch(text):
        key = _ESCAPED.sub(r"\1", quoted[1])
    elif _BARE.fullmatch(text):
        key = text
    else:
        raise Invalid(
            "Idempotency-Key is neither a string in quotes nor bare printable ASCII without a comma"
        )
    if not key.strip() or len(key) > limits.idempotency_key_max_chars:
        raise Invalid("Idempotency-Key has no fitting length", max_chars=limits.idempotency_key_max_chars)
    return key


async def answer_once(call: Call, handler: Handler) -> Response:
    """Return the answer that is kept for the request's key, or else the handler's, which is kept with its write.

    The caller has been authorised. A request that fails because another one with its key was faster gets the
    answer of that one. Raises Invalid for the header, KeyReused, KeyTaken and what the handler raises.
    """
    key = read_key(call.wire.headers.getlist(HEADER))
    if key is None:
        return await handler(call)
    call.idempotency_key = key
    fingerprint = call.wire.upload.fingerprint = Fingerprint(_target(call))
    if kept := await call.operate(find_answer, FindAnswer(call.caller.repo, key=key)):
        await drop_body(call.wire.upload, max_bytes=call.config.commit_max_bytes)
        return _replay(kept, fingerprint)
    try:
        response = await handler(call)
        ticket = call.ticket
        assert ticket is not None, "the handler of a route that takes keys answers by Request.write()"
        if not ticket.is_kept:  # there was nothing to write
            await call.operate(keep_answer, KeepAnswer(call.caller.repo, ticket, as_answer(response)))
    except PackhouseError:
        if not fingerprint.is_whole:
            raise
        kept = await call.operate(find_answer, FindAnswer(call.caller.repo, key=key))
        if kept is None:
            raise
        return _replay(kept, fingerprint)
    return response


def _target(call: Call) -> bytes:
    """Return what tells operations apart besides the body: the same for both dialects."""
    values = (value for name, value in sorted(call.path_values.items()) if name != "repo")
    parts = (call.match.operation, call.wire.query_string.decode("latin-1"), *values)
    return "\0".join(parts).encode("utf-8")


def _replay(kept: FoundAnswer, fingerprint: Fingerprint) -> Response:
    if kept.fingerprint != fingerprint.text():
        raise KeyReused
    answer = kept.answer
    return Response(answer.body, answer.status, {**dict(answer.headers), REPLAYED: "true"})
