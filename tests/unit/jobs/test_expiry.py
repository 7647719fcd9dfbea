"""The loop that deletes repositories whose time has come."""

import logging
import threading

import pytest

from packhouse import limits
from packhouse.auth.principal import Principal
from packhouse.jobs.background import LOOPS
from packhouse.jobs.expiry import delete_expired
from packhouse.node.node import Node
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.operations.repos.list_repos import ListRepos, list_repos
from tests.unit.jobs.conftest import Clocks, MemoryWithOutages

pytestmark = pytest.mark.quick


class Rounds(threading.Event):
    """A stop signal that is given after some rounds. Before each further round something is done."""

    def __init__(self, *before_next: object) -> None:
        super().__init__()
        self._before_next = list(before_next)
        self.waits: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        if not self._before_next:
            self.set()
        else:
            action = self._before_next.pop(0)
            assert callable(action)
            action()
        return self.is_set()


def names(node: Node, caller: Principal) -> list[str]:
    return [repo.name for repo in list_repos(node, caller, ListRepos()).repos]


def test_every_process_looks_for_expired_repositories_several_times_a_minute() -> None:
    assert delete_expired in LOOPS
    assert limits.expiry_look_s <= 30


def test_each_round_deletes_what_has_expired_since(node: Node, caller: Principal, clocks: Clocks) -> None:
    for number in (1, 2, 3):
        create_repo(node, caller, CreateRepo(f"r{number}", expires_at=1000 + 10 * number))
    rounds = Rounds(lambda: clocks.advance(10), lambda: clocks.advance(10))
    delete_expired(node, rounds)
    assert names(node, caller) == ["r3"]
    assert rounds.waits == [limits.expiry_look_s] * 3


def test_the_loop_goes_on_after_an_outage_that_is_logged_once(
    node: Node,
    caller: Principal,
    clocks: Clocks,
    database: MemoryWithOutages,
    caplog: pytest.LogCaptureFixture,
) -> None:
    create_repo(node, caller, CreateRepo("r", expires_at=1001))
    clocks.advance(5)
    database.is_away = True

    def come_back() -> None:
        database.is_away = False

    delete_expired(node, Rounds(lambda: None, come_back))
    assert names(node, caller) == []
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings == ["expired repositories wait for the database"]
