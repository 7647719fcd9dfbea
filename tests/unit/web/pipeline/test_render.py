"""From the result of a handler to the sent answer."""

import asyncio
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest
from msgspec import UNSET, UnsetType
from starlette.responses import Response

from packhouse.web.call import Call
from packhouse.web.edge.responses import IMMUTABLE, REVALIDATED, StreamResponse
from packhouse.web.openapi.description import Description
from packhouse.web.pipeline.render import render
from packhouse.web.reply import Reply, Returned, encode_reply
from packhouse.web.routing.route import Route, changing, of_repo, reading

pytestmark = pytest.mark.quick


class Thing(msgspec.Struct):
    """A reply whose second member may be absent."""

    name: str
    next_cursor: str | UnsetType = UNSET


async def handler(_call: Call) -> Response:
    """Stand in for a handler: these tests never call it."""
    return Response()


GET = reading("get", of_repo("things"), handler, Description("Get"))
POST = changing("make", of_repo("things"), handler, Description("Make", status=201))


def test_a_struct_is_json_with_the_status_of_its_route() -> None:
    response = render(Thing("a", "c"), POST)
    assert (response.status_code, bytes(response.body)) == (201, b'{"name":"a","next_cursor":"c"}')
    assert response.headers["content-type"] == "application/json"
    assert "cache-control" not in response.headers


def test_members_that_are_unset_are_absent() -> None:
    assert bytes(render(Thing("a"), POST).body) == b'{"name":"a"}'


def test_a_reply_may_have_a_status_of_its_own() -> None:
    assert render(Reply(Thing("a"), 200), POST).status_code == 200


def test_none_is_rendered_as_an_answer_without_a_body() -> None:
    gone = changing("end", of_repo("things"), handler, Description("End", status=204))
    response = render(None, gone)
    assert (response.status_code, bytes(response.body)) == (204, b"")
    assert "content-type" not in response.headers


def test_a_response_is_sent_unchanged() -> None:
    response = Response(b"file", 206, {"ETag": '"x"'})
    assert render(response, POST) is response
    assert dict(response.headers) == {"content-length": "4", "etag": '"x"'}


@pytest.mark.parametrize(
    ("make", "caching"),
    [
        (lambda: Thing("a"), REVALIDATED),
        (lambda: Reply(Thing("a")), REVALIDATED),
        (lambda: Reply(Thing("a"), is_by_id=True), IMMUTABLE),
        (lambda: encode_reply(Thing("a"), is_by_id=True), IMMUTABLE),
        (lambda: Response(headers={"Cache-Control": "no-store"}), "no-store"),
        (Response, REVALIDATED),
    ],
)
def test_reading_answers_say_how_long_they_may_be_kept(make: Callable[[], Returned], caching: str) -> None:
    assert render(make(), GET).headers["cache-control"] == caching


async def two_pieces() -> AsyncIterator[bytes]:
    yield b'{"name":'
    yield b'"a"}'


def test_a_reply_in_pieces_is_sent_as_they_come() -> None:
    response = render(Reply(Thing(""), 202, is_by_id=True, pieces=two_pieces()), GET)
    assert isinstance(response, StreamResponse)
    assert response.status_code == 202
    assert dict(response.headers) == {"content-type": "application/json", "cache-control": IMMUTABLE}

    async def collect() -> list[bytes]:
        return [piece async for piece in response.chunks]

    assert asyncio.run(collect()) == [b'{"name":', b'"a"}']


@pytest.mark.parametrize("route", [GET, POST])
def test_a_body_that_a_worker_thread_has_encoded_is_not_encoded_again(route: Route) -> None:
    early = Reply(Thing("a"), text=b'{"name":"as the thread made it"}')
    assert bytes(render(early, route).body) == b'{"name":"as the thread made it"}'
