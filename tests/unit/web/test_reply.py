"""The results of handlers, and the structs in their annotations."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from msgspec import UNSET
from starlette.responses import Response

from packhouse.web.prepared_write import BranchWrite, PreparedWrite
from packhouse.web.reply import Reply, encode_reply, find_reply_type, or_unset, then

pytestmark = pytest.mark.quick


class Made(msgspec.Struct):
    """A reply of these tests."""

    name: str


async def plain() -> Made:
    return Made("a")


async def wrapped() -> Reply[Made]:
    return Reply(Made("a"))


async def writing() -> PreparedWrite[Made]:
    raise AssertionError


async def writing_branch() -> "BranchWrite[Made]":
    raise AssertionError


async def streaming() -> Response:
    return Response()


async def silent() -> None:
    return None


async def unknown() -> Any:
    return None


@pytest.mark.parametrize("handler", [plain, wrapped, writing, writing_branch])
def test_the_annotation_names_the_struct_however_it_is_wrapped(handler: Any) -> None:
    assert find_reply_type(handler) is Made


@pytest.mark.parametrize("handler", [streaming, silent, unknown])
def test_other_annotations_promise_no_struct(handler: Any) -> None:
    assert find_reply_type(handler) is None


def test_a_reply_is_encoded_once() -> None:
    early = encode_reply(Made("a"), is_by_id=True)
    assert early.text == early.encode() == Reply(Made("a")).encode() == b'{"name":"a"}'
    assert (early.is_by_id, early.status) == (True, None)


async def _no_pieces() -> AsyncIterator[bytes]:
    yield b"{"


def test_a_reply_in_pieces_is_not_encoded_as_a_whole() -> None:
    with pytest.raises(AssertionError, match="not whole"):
        Reply(Made(""), pieces=_no_pieces()).encode()


def test_an_operation_joined_with_its_reply_takes_the_same_arguments() -> None:
    def operation(first: str, /, *, second: str) -> str:
        return first + second

    assert then(operation, Made)("a", second="b") == Made("ab")


def test_the_reply_of_an_operation_that_fails_is_not_made() -> None:
    def operation() -> str:
        raise LookupError

    with pytest.raises(LookupError):
        then(operation, lambda _: pytest.fail("made"))()


def test_only_none_is_absent() -> None:
    assert or_unset(None) is UNSET
    assert [or_unset(value) for value in ("", 0, "x")] == ["", 0, "x"]
