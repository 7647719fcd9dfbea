"""Outages: who waits how long for a server that does not answer, and what the operator reads."""

import logging

import pytest

from packhouse import limits
from packhouse.db.engines.outage import Outage
from packhouse.db.session import DatabaseAway

_WAIT_MAX_S = 9.0


class Hands:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def fail_to_wait(outage: Outage, reason: str) -> None:
    with pytest.raises(DatabaseAway, match=reason or "in use"):
        outage.waited(lambda: reason)


def test_callers_may_wait_long_while_the_server_answers() -> None:
    assert Outage(wait_max_s=_WAIT_MAX_S).patience_s() == _WAIT_MAX_S


def test_after_a_broken_connection_callers_wait_only_a_moment() -> None:
    outage = Outage(wait_max_s=_WAIT_MAX_S)
    outage.suspect()
    assert outage.patience_s() == limits.database_outage_wait_max_s
    outage.end()
    assert outage.patience_s() == _WAIT_MAX_S


def test_after_a_wait_in_vain_other_callers_are_refused_for_a_while() -> None:
    hands = Hands()
    outage = Outage(wait_max_s=_WAIT_MAX_S, monotonic=hands)
    fail_to_wait(outage, "connection refused")
    with pytest.raises(DatabaseAway, match="connection refused"):
        outage.patience_s()
    hands.now += limits.database_outage_pause_s
    assert outage.patience_s() == limits.database_outage_wait_max_s


def test_a_server_with_all_connections_in_use_is_not_away() -> None:
    outage = Outage(wait_max_s=_WAIT_MAX_S)
    fail_to_wait(outage, "")
    assert outage.patience_s() == _WAIT_MAX_S


def test_an_outage_is_logged_once_with_its_reason_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    outage = Outage(wait_max_s=_WAIT_MAX_S)
    with caplog.at_level(logging.INFO):
        outage.suspect()
        for _ in range(3):
            fail_to_wait(outage, "connection refused")
        outage.end()
        outage.end()
    assert [record.message for record in caplog.records] == ["database is away", "database answers again"]
