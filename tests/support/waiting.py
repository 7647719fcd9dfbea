"""Waits for events in another process, as long as the slowest machine may need."""

import time
from collections.abc import Callable

WAIT_S = 120


def comes_true(holds: Callable[[], object]) -> bool:
    """Return True as soon as `holds` returns true; False if it does not within `WAIT_S`."""
    deadline = time.monotonic() + WAIT_S
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def wait_until(holds: Callable[[], object], what: str) -> None:
    """Return once `holds` returns true. After `WAIT_S`, fail and say that `what` did not happen."""
    assert comes_true(holds), what
