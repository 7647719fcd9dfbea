"""Answers of the two services, and the check of a request's media type (gitprotocol-http(5))."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from starlette.responses import Response

from packhouse.errors import Code, PackhouseError
from packhouse.git.wire import Service
from packhouse.web.call import Call
from packhouse.web.edge.responses import StreamResponse
from packhouse.web.errors import describe_failure, log_failure

_NO_CACHE: Final = {"Cache-Control": "no-cache"}


class UnsupportedMediaType(PackhouseError):
    """The Content-Type of the body is not the one that this call takes."""

    code = Code.UNSUPPORTED_MEDIA_TYPE
    expected: str


def check_request_type(call: Call, service: Service) -> None:
    """Raise UnsupportedMediaType unless the Content-Type is that of a request to this service."""
    expected = f"application/x-{service.value}-request"
    given = call.wire.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != expected:
        raise UnsupportedMediaType(expected)


def advertisement(service: Service, body: bytes) -> Response:
    """Return the answer to `info/refs`."""
    return Response(body, 200, _NO_CACHE, f"application/x-{service.value}-advertisement")


def result(service: Service, body: bytes) -> Response:
    """Return a whole answer to a request."""
    return Response(body, 200, _NO_CACHE, _result_type(service))


def streamed_result(
    service: Service, pieces: AsyncIterator[bytes], cleanup: Callable[[], Awaitable[None]]
) -> StreamResponse:
    """Return an answer that is made while it is sent. `cleanup` runs at its end."""
    return StreamResponse(pieces, headers=_NO_CACHE, media_type=_result_type(service), cleanup=cleanup)


def _result_type(service: Service) -> str:
    return f"application/x-{service.value}-result"


def report_failure(call: Call, failure: BaseException) -> str:
    """Return the sentence for a client that has its status already; log the failure of the request."""
    described = describe_failure(failure)
    log_failure(call, failure, described.status)
    return described.sentence
