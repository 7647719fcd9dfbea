"""One line a request: its caller, its route and how it ended.

A line never holds the query, the path as the client wrote it, or a header other than the request's id. They may hold
secrets and names of files.
"""

import asyncio
import logging
import time
from typing import Final

import msgspec

from packhouse import limits
from packhouse.log import collect_line, format_time, is_logged, write_collected_lines
from packhouse.web.call import Call
from packhouse.web.edge.wire_request import WireRequest

# Load balancers ask for these every few seconds. A line for each request would drown all other lines.
_PROBES: Final = frozenset({"healthz", "readyz"})
_NAMES: Final = {logging.DEBUG: "debug", logging.INFO: "info"}


class RequestLine(msgspec.Struct, frozen=True):
    """The fields that operators search by. An unknown text is blank, an unknown number 0.

    `path` is the template of the route, `operation` its name. `status` is the status that was sent, 0 when the client
    left before. `bytes_in` and `bytes_out` count bodies as they went over the wire, without the framing of chunks.
    `org` and `sub` are those of a valid token, `repo` is the repository that it was used for. `client` is the address
    of the peer.
    """

    time: str
    level: str
    logger: str
    message: str
    request_id: str
    method: str
    path: str
    operation: str
    status: int
    bytes_in: int
    bytes_out: int
    duration_ms: float
    client: str
    org: str
    sub: str
    repo: str
    reason: str | msgspec.UnsetType = msgspec.UNSET


_encode: Final = msgspec.json.Encoder().encode


def log_request(
    wire: WireRequest,
    call: Call | None,
    message: str,
    *,
    refused_path: str,
    status: int,
    bytes_out: int,
    seconds: float,
    reason: str = "",
) -> None:
    """Write the line of a request that has ended; `message` says how it ended.

    A request without a route has no call. `refused_path` is the template of a path that does not take its method.
    """
    match = call.match if call else None
    level = logging.DEBUG if match and match.operation in _PROBES else logging.INFO
    if not is_logged(level):
        return
    principal = call.principal if call else None
    line = RequestLine(
        time=format_time(time.time()),
        level=_NAMES[level],
        logger="packhouse",
        message=message,
        request_id=wire.id,
        method=wire.method,
        path=match.template if match else refused_path,
        operation=match.operation if match else "",
        status=status,
        bytes_in=wire.upload.received_bytes,
        bytes_out=bytes_out,
        duration_ms=round(seconds * 1000, 3),
        client=wire.client_host,
        org=principal.org_name if principal else "",
        sub=_cut(principal.subject) if principal else "",
        repo=_cut(_repo_name(call) if call else ""),
        reason=reason or msgspec.UNSET,
    )
    _write(line)


def _write(line: RequestLine) -> None:
    if collect_line(_encode(line)):
        asyncio.get_running_loop().call_later(limits.log_collect_s, write_collected_lines)


def _repo_name(call: Call) -> str:
    """Return the repository that the call was for, "" for an unknown caller."""
    if call.authorised is not None:
        return call.authorised.repo
    return call.match.values.get("repo", "") if call.principal else ""


def _cut(text: str) -> str:
    return text[: limits.log_value_max_chars]


def log_refusal(request_id: bytes, *, status: int, bytes_out: int, client: str) -> None:
    """Log the refusal of bytes that could not be read as a request."""
    if not is_logged(logging.INFO):
        return
    line = RequestLine(
        time=format_time(time.time()),
        level="info",
        logger="packhouse",
        message="request refused",
        request_id=request_id.decode("ascii"),
        method="",
        path="",
        operation="",
        status=status,
        bytes_in=0,
        bytes_out=bytes_out,
        duration_ms=0,
        client=client,
        org="",
        sub="",
        repo="",
    )
    _write(line)
