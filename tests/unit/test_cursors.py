"""Cursors of pages: callers send them back, and any other text is refused."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.cursors import CURSOR_MAX_CHARS, BadCursor, decode_cursor, decode_number, encode_cursor

pytestmark = pytest.mark.quick

PARTS = st.lists(st.binary(max_size=40).map(lambda part: part.replace(b"\0", b"\1")), min_size=1, max_size=4)


@given(PARTS)
def test_a_cursor_gives_back_its_parts(parts: list[bytes]) -> None:
    assert decode_cursor(encode_cursor(*parts), parts=len(parts)) == parts


@given(PARTS)
def test_a_cursor_needs_no_escapes_in_a_query(parts: list[bytes]) -> None:
    assert set(encode_cursor(*parts)) <= set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    )


@given(PARTS, st.integers(1, 5))
def test_a_cursor_with_another_number_of_parts_is_refused(parts: list[bytes], expected: int) -> None:
    if expected != len(parts):
        with pytest.raises(BadCursor):
            decode_cursor(encode_cursor(*parts), parts=expected)


def test_a_listing_may_take_cursors_of_several_forms() -> None:
    for parts in ([b"a"], [b"a", b"b", b"c"]):
        assert decode_cursor(encode_cursor(*parts), parts=(1, 3)) == parts
    with pytest.raises(BadCursor):
        decode_cursor(encode_cursor(b"a", b"b"), parts=(1, 3))


@given(st.text(max_size=30))
def test_any_text_is_refused_unless_it_is_a_cursor_of_this_server(text: str) -> None:
    try:
        (part,) = decode_cursor(text, parts=1)
    except BadCursor:
        return
    assert base64.urlsafe_b64decode(encode_cursor(part) + "==") == part


@pytest.mark.parametrize("text", ["a", "Y Q", "YQ.", "é", "YQ\n", "\ud800"])
def test_text_outside_the_alphabet_or_cut_short_is_refused(text: str) -> None:
    with pytest.raises(BadCursor):
        decode_cursor(text, parts=1)


def test_a_cursor_has_a_bound() -> None:
    longest = "A" * CURSOR_MAX_CHARS
    assert len(decode_cursor(longest, parts=CURSOR_MAX_CHARS * 3 // 4 + 1)) == CURSOR_MAX_CHARS * 3 // 4 + 1
    with pytest.raises(BadCursor):
        decode_cursor(longest + "A", parts=1)


@pytest.mark.parametrize(("part", "number"), [(b"0", 0), (b"007", 7), (b"9" * 18, 10**18 - 1)])
def test_a_number_of_a_cursor_is_read(part: bytes, number: int) -> None:
    assert decode_number(part) == number


@pytest.mark.parametrize("part", [b"", b"-1", b"+1", b"1.0", b" 1", b"9" * 19, "٣".encode()])
def test_a_part_that_is_not_a_number_is_refused(part: bytes) -> None:
    with pytest.raises(BadCursor):
        decode_number(part)


def test_the_caller_bounds_the_digits_of_a_number() -> None:
    assert decode_number(b"12", digits_max=2) == 12
    with pytest.raises(BadCursor):
        decode_number(b"123", digits_max=2)
