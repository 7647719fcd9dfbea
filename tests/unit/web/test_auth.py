"""Tokens in the Authorization header: Bearer everywhere, and Basic where git sends it."""

import base64

import pytest

from packhouse import limits
from packhouse.errors import Unauthenticated
from packhouse.web.auth import read_token
from packhouse.web.edge.wire_request import WireRequest
from tests.support.wire_requests import make_scope, receive_of

pytestmark = pytest.mark.quick


def wire_with(*fields: str) -> WireRequest:
    """Return a request with these Authorization fields."""
    scope = make_scope("GET", "/")
    scope["headers"] = [(b"authorization", field.encode("latin-1")) for field in fields]
    return WireRequest(scope, receive_of(), stall_max_s=1)


def basic(text: str | bytes) -> str:
    raw = text.encode() if isinstance(text, str) else text
    return "Basic " + base64.b64encode(raw).decode()


@pytest.mark.parametrize("field", ["Bearer abc", "bearer abc", "BEARER   abc ", " Bearer abc"])
def test_a_bearer_token_is_read_whatever_the_case_of_its_scheme(field: str) -> None:
    assert read_token(wire_with(field)) == "abc"
    assert read_token(wire_with(field), basic=True) == "abc"


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("t:abc", "abc"),
        ("anything:abc\n", "abc"),
        ("abc:", "abc"),
        ("abc:x-oauth-basic", "abc"),
        (":abc", "abc"),
        ("u:a:b", "a:b"),
    ],
)
def test_the_password_is_the_token_or_the_user_beside_a_blank_one(text: str, token: str) -> None:
    assert read_token(wire_with(basic(text)), basic=True) == token


@pytest.mark.parametrize(
    "field",
    [
        "",
        " ",
        "Bearer",
        "Bearer ",
        "abc",
        "Digest abc",
        "Basic",
        "Basic !",
        "Basic " + base64.b64encode(b"\xff:x").decode(),
        basic("no colon"),
        basic(":"),
        basic(":\n"),
        basic("x:" + "y" * 2 * limits.token_max_bytes),
    ],
)
def test_any_other_header_holds_no_token(field: str) -> None:
    with pytest.raises(Unauthenticated):
        read_token(wire_with(field), basic=True)


def test_basic_is_for_git_only() -> None:
    with pytest.raises(Unauthenticated):
        read_token(wire_with(basic("t:abc")))


def test_two_headers_are_refused_and_an_absent_header_is_a_missing_token() -> None:
    for fields in ((), ("Bearer a", "Bearer a")):
        with pytest.raises(Unauthenticated):
            read_token(wire_with(*fields))
