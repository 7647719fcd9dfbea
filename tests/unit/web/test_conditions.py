"""Conditional and range requests, row by row as RFC 9110 sections 13 and 14 have them."""

import pytest
from starlette.datastructures import Headers

from packhouse.clock import TIMESTAMP_MAX
from packhouse.web.conditions import Verdict, decide, format_http_date

pytestmark = pytest.mark.quick

TAG = "ab" * 20
WHEN = 1_700_000_000
SAME, EARLIER, LATER = (format_http_date(WHEN + shift) for shift in (0, -1, 1))
SIZE = 10


def ask(*headers: tuple[str, str], size: int = SIZE, when: int | None = WHEN) -> tuple[int, int, int]:
    """Return status, first byte and end for a request with these headers."""
    raw = [(name.lower().encode(), value.encode()) for name, value in headers]
    decision = decide(Headers(raw=raw), entity_tag=TAG, modified_at=when, size_bytes=size)
    return decision.verdict.value, decision.first, decision.end


@pytest.mark.parametrize(
    ("text", "status", "first", "end"),
    [
        ("bytes=0-2", 206, 0, 3),
        ("bytes=5-", 206, 5, 10),
        ("bytes=-3", 206, 7, 10),
        ("bytes=-100", 206, 0, 10),
        ("bytes=9-9", 206, 9, 10),
        ("bytes=0-100", 206, 0, 10),
        ("bytes=0-" + "9" * 5000, 206, 0, 10),
        ("bytes=-" + "9" * 5000, 206, 0, 10),
        ("BYTES=0-2", 206, 0, 3),
        ("bytes=10-", 416, 0, 0),
        ("bytes=" + "9" * 5000 + "-", 416, 0, 0),
        ("bytes=-0", 416, 0, 0),
        ("bytes=3-1", 200, 0, 10),
        ("bytes=0-1,3-4", 200, 0, 10),
        ("bytes=-", 200, 0, 10),
        ("bytes=", 200, 0, 10),
        ("bytes=a-b", 200, 0, 10),
        ("bytes=٣-", 200, 0, 10),
        ("items=0-2", 200, 0, 10),
    ],
)
def test_one_range_is_a_part_and_an_invalid_range_is_ignored(
    text: str, status: int, first: int, end: int
) -> None:
    assert ask(("Range", text)) == (status, first, end)


@pytest.mark.parametrize("text", ["bytes=0-", "bytes=0-0", "bytes=-1"])
def test_no_range_of_an_empty_file_can_be_satisfied(text: str) -> None:
    assert ask(("Range", text), size=0)[0] == 416


def test_two_range_headers_are_ignored() -> None:
    assert ask(("Range", "bytes=0-1"), ("Range", "bytes=3-4")) == (200, 0, SIZE)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([("If-Match", f'"{TAG}"')], 200),
        ([("If-Match", "*")], 200),
        ([("If-Match", f'"x", "{TAG}"')], 200),
        ([("If-Match", '"x"'), ("If-Match", f'"{TAG}"')], 200),
        ([("If-Match", f'W/"{TAG}"')], 412),
        ([("If-Match", '"x"')], 412),
        ([("If-Match", "")], 412),
        ([("If-Unmodified-Since", SAME)], 200),
        ([("If-Unmodified-Since", EARLIER)], 412),
        ([("If-Unmodified-Since", "no date")], 200),
        ([("If-Match", f'"{TAG}"'), ("If-Unmodified-Since", EARLIER)], 200),
        ([("If-None-Match", f'"{TAG}"')], 304),
        ([("If-None-Match", f'W/"{TAG}"')], 304),
        ([("If-None-Match", "*")], 304),
        ([("If-None-Match", '"x"')], 200),
        ([("If-Modified-Since", SAME)], 304),
        ([("If-Modified-Since", EARLIER)], 200),
        ([("If-Modified-Since", "no date")], 200),
        ([("If-None-Match", '"x"'), ("If-Modified-Since", LATER)], 200),
        ([("If-Match", '"x"'), ("If-None-Match", f'"{TAG}"')], 412),
        ([("If-Unmodified-Since", EARLIER), ("If-Modified-Since", SAME)], 412),
    ],
)
@pytest.mark.parametrize("with_range", [False, True])
def test_conditions_go_in_the_order_of_the_standard_and_before_ranges(
    headers: list[tuple[str, str]], status: int, *, with_range: bool
) -> None:
    if with_range:
        headers = [*headers, ("Range", "bytes=0-2")]
        status = 206 if status == 200 else status
    assert ask(*headers)[0] == status


@pytest.mark.parametrize(
    ("text", "applies"),
    [
        (f'"{TAG}"', True),
        (SAME, True),
        (f'W/"{TAG}"', False),
        ('"x"', False),
        (EARLIER, False),
        (LATER, False),
        ("no date", False),
    ],
)
def test_a_range_counts_only_for_the_representation_that_if_range_names(text: str, *, applies: bool) -> None:
    assert ask(("Range", "bytes=0-2"), ("If-Range", text))[0] == (206 if applies else 200)
    assert ask(("Range", "bytes=90-"), ("If-Range", text))[0] == (416 if applies else 200)


@pytest.mark.parametrize("told", [EARLIER, LATER, "no date"])
def test_conditions_on_an_unknown_time_are_ignored(told: str) -> None:
    assert ask(("If-Modified-Since", told), when=None)[0] == Verdict.SEND.value
    assert ask(("If-Unmodified-Since", told), when=None)[0] == Verdict.SEND.value
    assert ask(("Range", "bytes=0-2"), ("If-Range", told), when=None)[0] == Verdict.SEND.value
    assert ask(("If-None-Match", f'"{TAG}"'), when=None)[0] == Verdict.NOT_MODIFIED.value


@pytest.mark.parametrize("when", [TIMESTAMP_MAX + 1, 10**17])
def test_a_time_beyond_all_dates_is_compared_as_it_was_sent(when: int) -> None:
    told = format_http_date(when)
    assert ask(("If-Modified-Since", told), when=when)[0] == Verdict.NOT_MODIFIED.value
    assert ask(("If-Unmodified-Since", told), when=when)[0] == Verdict.SEND.value
    assert ask(("Range", "bytes=0-2"), ("If-Range", told), when=when)[0] == Verdict.SEND_PART.value
