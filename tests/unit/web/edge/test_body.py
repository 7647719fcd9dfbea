"""Bodies as they arrive: their bounds, their encodings, and their fingerprints."""

import asyncio
import gzip
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message

from packhouse import limits
from packhouse.errors import Invalid
from packhouse.web.edge.body import (
    BodyTooLarge,
    ClientGone,
    ClientStalled,
    Fingerprint,
    RequestBody,
    drop_body,
    iter_body,
)
from tests.support.wire_requests import make_scope, receive_of

pytestmark = pytest.mark.quick


def upload(*pieces: bytes, is_whole: bool = True, **headers: str) -> RequestBody:
    """Return a body of these pieces. Only a header announces its length."""
    named = {"Transfer-Encoding": "chunked"} if "content_length" not in headers else {}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    return RequestBody(make_scope("POST", "/", named), receive_of(*pieces, is_whole=is_whole), stall_max_s=5)


def silent(**more: object) -> RequestBody:
    """Return a body of which nothing arrives."""

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    headers = {"Content-Length": "5"}
    return RequestBody(make_scope("POST", "/", headers, **more), receive, stall_max_s=0.01)


def read(body: RequestBody, max_bytes: int = limits.MIB, *, decode_gzip: bool = True) -> bytes:
    async def collect() -> bytes:
        return b"".join(
            [piece async for piece in iter_body(body, max_bytes=max_bytes, decode_gzip=decode_gzip)]
        )

    return asyncio.run(collect())


@given(st.lists(st.binary(max_size=50), max_size=6))
def test_the_pieces_make_the_body(pieces: list[bytes]) -> None:
    body = upload(*pieces) if pieces else upload(content_length="0")
    assert read(body) == b"".join(pieces)
    assert (body.complete, body.received_bytes) == (True, sum(map(len, pieces)))


def test_a_request_without_a_body_is_complete_from_the_start() -> None:
    body = RequestBody(make_scope("GET", "/"), receive_of(), stall_max_s=5)
    assert (body.complete, body.declared_bytes) == (True, 0)
    assert read(body) == b""


def test_a_body_at_the_bound_is_taken_and_one_beyond_it_refused() -> None:
    assert read(upload(b"abc", b"de"), 5) == b"abcde"
    with pytest.raises(BodyTooLarge):
        read(upload(b"abc", b"def"), 5)


def test_a_body_with_too_large_a_length_is_refused_before_it_arrives() -> None:
    body = upload(b"abc", content_length="6")
    with pytest.raises(BodyTooLarge):
        read(body, 5)
    assert not body.started


@given(st.binary(max_size=3000), st.integers(1, 40))
def test_a_compressed_body_is_inflated_however_it_is_cut(content: bytes, step: int) -> None:
    packed = gzip.compress(content)
    pieces = [packed[start : start + step] for start in range(0, len(packed), step)]
    assert read(upload(*pieces, content_encoding="gzip")) == content


def test_the_bound_counts_what_a_body_inflates_to() -> None:
    bomb = gzip.compress(bytes(10 * limits.MIB))
    assert len(bomb) < limits.MIB
    with pytest.raises(BodyTooLarge):
        read(upload(bomb, content_encoding="GZIP"), limits.MIB)


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (b"x", "br"),
        (b"x", "gzip, gzip"),
        (b"not gzip at all", "gzip"),
        (gzip.compress(b"abc")[:-3], "gzip"),
        (gzip.compress(b"abc") + b"more", "gzip"),
    ],
    ids=["unknown", "twice", "not gzip", "cut short", "more behind it"],
)
def test_damaged_and_unknown_encodings_are_refused(content: bytes, encoding: str) -> None:
    with pytest.raises(Invalid):
        read(upload(content, content_encoding=encoding))


def test_a_call_may_ask_for_its_body_unchanged() -> None:
    with pytest.raises(Invalid):
        read(upload(b"x", content_encoding="gzip"), decode_gzip=False)
    assert read(upload(b"x", content_encoding="identity"), decode_gzip=False) == b"x"


def test_an_empty_compressed_body_is_empty() -> None:
    assert read(upload(b"", content_encoding="gzip")) == b""


def test_silence_ends_the_wait_and_is_remembered() -> None:
    body = silent()
    with pytest.raises(ClientStalled):
        read(body)
    assert body.stalled
    assert asyncio.run(body.drain(100)) is False


def test_the_wait_ends_when_the_client_has_gone() -> None:
    with pytest.raises(ClientGone):
        read(upload(b"abc", is_whole=False))


def test_a_fingerprint_is_of_the_content_and_not_of_its_pieces_or_encoding() -> None:
    def hashed(body: RequestBody) -> str:
        body.fingerprint = Fingerprint(b"create_tag")
        asyncio.run(drop_body(body, max_bytes=limits.MIB))
        assert body.fingerprint.is_whole
        return body.fingerprint.text()

    plain = hashed(upload(b"abcdef"))
    assert (
        plain
        == hashed(upload(b"abc", b"def"))
        == hashed(upload(gzip.compress(b"abcdef"), content_encoding="gzip"))
    )
    assert plain == hashlib.sha256((10).to_bytes(8, "big") + b"create_tag" + b"abcdef").hexdigest()
    assert plain != hashed(upload(b"abcde"))


def test_start_and_body_of_a_fingerprint_cannot_be_shifted() -> None:
    def hashed(start: bytes, content: bytes) -> str:
        body = upload(content)
        body.fingerprint = Fingerprint(start)
        asyncio.run(drop_body(body, max_bytes=limits.MIB))
        return body.fingerprint.text()

    assert hashed(b"ab", b"c") != hashed(b"a", b"bc")


def test_a_body_that_was_not_read_to_its_end_has_no_fingerprint_yet() -> None:
    with pytest.raises(AssertionError):
        Fingerprint(b"x").text()


@pytest.mark.parametrize(("bound", "reached"), [(6, True), (5, False)])
def test_the_rest_of_a_body_is_drained_up_to_a_bound(bound: int, reached: bool) -> None:
    assert asyncio.run(upload(b"abc", b"def").drain(bound)) is reached


def test_an_announced_length_beyond_the_bound_is_not_drained() -> None:
    body = upload(b"abc", content_length="1000")
    assert asyncio.run(body.drain(999)) is False
    assert not body.started


def test_a_client_that_expects_continue_is_not_asked_for_its_body() -> None:
    waiting = silent(**{"packhouse.continue_expected": True})
    assert asyncio.run(waiting.drain(100)) is False
    asyncio.run(waiting.linger(5))
    assert not waiting.started


def test_lingering_ends_with_its_time_with_the_body_and_with_the_client() -> None:
    asyncio.run(silent().linger(0.01))
    whole, gone = upload(b"abc", b"def"), upload(b"abc", is_whole=False)
    for body in (whole, gone):
        asyncio.run(body.linger(5))
    assert (whole.complete, gone.complete, gone.received_bytes) == (True, False, 3)
