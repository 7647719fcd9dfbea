"""Media types of the two services (gitprotocol-http(5))."""

from packhouse.git.wire.advertisement import Service
from packhouse.web.call import Call
from packhouse.web.errors import UnsupportedMediaType


def result_type(service: Service) -> str:
    """Return the content type of an answer to a POST."""
    return f"application/x-{service.value}-result"


def check_request_type(call: Call, service: Service) -> None:
    """Return if the body is announced as a request to this service; raise UnsupportedMediaType otherwise."""
    expected = f"application/x-{service.value}-request"
    given = call.wire.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != expected:
        raise UnsupportedMediaType(expected)
