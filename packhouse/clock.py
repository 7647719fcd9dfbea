"""Time as an argument: production passes `system_clock`, tests pass their own."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], int]
"""Returns the current time in whole seconds since 1970, UTC."""

TIMESTAMP_MIN = 0
TIMESTAMP_MAX = 253402300799  # 9999-12-31T23:59:59Z, the last second with a four-digit year


def system_clock() -> int:
    """Return the wall clock's time in whole seconds since 1970."""
    return int(time.time())


def clamp_timestamp(time_s: int) -> int:
    """Return the time in the form that callers see: within the years 1970 to 9999.

    Commits may have any number as their date. JSON, HTTP and archives must show the same time for it.
    """
    return min(max(time_s, TIMESTAMP_MIN), TIMESTAMP_MAX)


def format_timestamp(time_s: int) -> str:
    """Return `time_s` as `YYYY-MM-DDTHH:MM:SSZ`, clamped to the years 1970 to 9999.

    Clients parse every date of a page, and drop the whole page if one is malformed.
    """
    return datetime.fromtimestamp(clamp_timestamp(time_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
