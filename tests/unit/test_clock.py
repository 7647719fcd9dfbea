"""Times as callers see them: no year before 1970 or with five digits."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.clock import TIMESTAMP_MAX, TIMESTAMP_MIN, clamp_timestamp, format_timestamp

pytestmark = pytest.mark.quick


@given(st.integers(-(2**80), 2**80))
def test_every_number_becomes_a_date_that_reads_back(time_s: int) -> None:
    text = format_timestamp(time_s)
    assert len(text) == len("2026-01-01T00:00:00Z")
    read = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert int(read.timestamp()) == clamp_timestamp(time_s)


@pytest.mark.parametrize(
    ("time_s", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (-1, "1970-01-01T00:00:00Z"),
        (951782399, "2000-02-28T23:59:59Z"),
        (951782400, "2000-02-29T00:00:00Z"),
        (TIMESTAMP_MAX, "9999-12-31T23:59:59Z"),
        (TIMESTAMP_MAX + 1, "9999-12-31T23:59:59Z"),
    ],
)
def test_a_time_is_written_in_utc(time_s: int, text: str) -> None:
    assert format_timestamp(time_s) == text


@given(st.integers(TIMESTAMP_MIN, TIMESTAMP_MAX))
def test_a_time_between_1970_and_9999_is_unchanged(time_s: int) -> None:
    assert clamp_timestamp(time_s) == time_s
