"""Waiting for what happens in another process, for as long as the slowest machine may need."""

import time
from collections.abc import Callable

WAIT_S = 120


def comes_true(holds: Callable[[], object]) -> bool:
    """Return True as soon as `holds` says so, False when it does not within `WAIT_S`."""
    deadline = time.monotonic() + WAIT_S
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def wait_until(holds: Callable[[], object], what: str) -> None:
    """Return once `holds` says so; fail, saying `what` did not happen, after `WAIT_S`."""
    assert comes_true(holds), what
