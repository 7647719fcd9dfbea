"""JSON bodies of the API's calls, read into typed structs."""

from typing import Any, Final, TypeVar

import msgspec

from packhouse import limits
from packhouse.web.edge.body import iter_body
from packhouse.web.json.fields import member_names, parse_object
from packhouse.web.json.text import decode_members
from packhouse.web.request import Request

S = TypeVar("S", bound=msgspec.Struct)

_INLINE_MAX_BYTES: Final = 256 * limits.KIB  # parsing more would hold up the event loop


async def read_body(request: Request, kind: type[S], *, max_bytes: int = limits.json_body_max_bytes) -> S:
    """Return the JSON body as `kind`; an empty body counts as `{}`, whatever its content type.

    Old field names are accepted by the route's rows in `dialects.py`. Raises Invalid naming the field that
    does not fit, BodyTooLarge, ClientStalled, ClientGone.
    """
    assert request.match is not None
    members = await read_members(request, kind, max_bytes=max_bytes)
    return parse_object(members, kind, where=request.match.operation)


async def read_members(
    request: Request, kind: type[msgspec.Struct], *, max_bytes: int = limits.json_body_max_bytes
) -> dict[str, Any]:
    """Return those members of the JSON body that `kind` knows, decoded, under the names they came with.

    An empty or blank body has none. Errors as `read_body`.
    """
    assert request.match is not None
    names = member_names(kind, request.match.operation)
    text = b"".join([piece async for piece in iter_body(request.upload, max_bytes=max_bytes)]).strip()
    if not text:
        return {}
    if len(text) > _INLINE_MAX_BYTES:
        return await request.in_thread(decode_members, text, names)
    return decode_members(text, names)
