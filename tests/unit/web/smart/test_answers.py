"""Media types of requests and answers, and failures after the status was sent."""

import logging
from collections.abc import AsyncIterator

import pytest

from packhouse.git.wire.advertisement import Service
from packhouse.operations.refs.tags import TagNotFound
from packhouse.web.smart.answers import (
    UnsupportedMediaType,
    advertisement,
    check_request_type,
    report_failure,
    result,
    streamed_result,
)
from tests.support.event_loop import in_event_loop
from tests.support.servers.memory_edge import MemoryEdge
from tests.support.wire_requests import Client

pytestmark = pytest.mark.quick


def check(edge: MemoryEdge, service: Service, headers: dict[str, str]) -> None:
    """Check the head of a request to a service."""
    _route, call = edge.call("POST", f"/r.git/{service.value}", Client(), headers)
    check_request_type(call, service)


@pytest.mark.parametrize("service", list(Service))
@pytest.mark.parametrize("form", ["{}", " {} ", "{}; charset=utf-8", "{};x"])
def test_a_request_has_the_media_type_of_its_service(edge: MemoryEdge, service: Service, form: str) -> None:
    expected = f"application/x-{service.value}-request"
    for written in (expected, expected.upper()):
        check(edge, service, {"content-type": form.format(written)})


@pytest.mark.parametrize("service", list(Service))
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": ""},
        {"content-type": "application/json"},
        {"content-type": "application/x-git-request"},
        {"content-type": "application/x-git-upload-pack-result"},
        {"content-type": "x, application/x-git-upload-pack-request"},
    ],
)
def test_any_other_media_type_is_refused(edge: MemoryEdge, service: Service, headers: dict[str, str]) -> None:
    with pytest.raises(UnsupportedMediaType):
        check(edge, service, headers)


@pytest.mark.parametrize("service", list(Service))
def test_whole_answers_say_their_length_and_are_not_cached(service: Service) -> None:
    for answer, kind in (
        (advertisement(service, b"body"), "advertisement"),
        (result(service, b"body"), "result"),
    ):
        assert (answer.status_code, answer.body) == (200, b"body")
        assert answer.headers["content-type"] == f"application/x-{service.value}-{kind}"
        assert answer.headers["content-length"] == "4"
        assert answer.headers["cache-control"] == "no-cache"


@in_event_loop
async def test_a_streamed_answer_looks_the_same_and_cleans_up() -> None:
    cleaned: list[bool] = []

    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    async def clean_up() -> None:
        cleaned.append(True)

    client = Client()
    answer = streamed_result(Service.UPLOAD_PACK, pieces(), clean_up)
    await client.receive()
    await answer({"type": "http", "method": "POST"}, client.receive, client.sent)
    reply = client.sent
    assert (reply.status, reply.body) == (200, b"onetwo")
    assert reply.headers["content-type"] == "application/x-git-upload-pack-result"
    assert reply.headers["cache-control"] == "no-cache"
    assert cleaned == [True]


def test_a_failure_in_the_body_of_an_answer_is_logged(
    edge: MemoryEdge, caplog: pytest.LogCaptureFixture
) -> None:
    _route, call = edge.call("POST", "/r.git/git-upload-pack", Client(), {})
    with caplog.at_level(logging.WARNING, logger="packhouse"):
        assert report_failure(call, TagNotFound("v1")) == "tag v1 does not exist"
        assert report_failure(call, RuntimeError("secret")) == "internal server error"
    assert [record.message for record in caplog.records] == ["request failed", "request failed"]
