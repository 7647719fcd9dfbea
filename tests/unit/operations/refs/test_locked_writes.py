"""Writes to a ref: one at a time under its lock, repeated after a lost race, and only for a limited time."""

import threading

import pytest

from packhouse.auth.principal import Principal
from packhouse.db.ref_transaction import RefMismatch
from packhouse.db.repos import Repo
from packhouse.git.oid import Oid
from packhouse.git.refname import branch_refname
from packhouse.limits import guard_wait_max_s
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.refs.locked_writes import write_under_lock
from tests.support.servers.steady_time import SteadyTime

pytestmark = pytest.mark.quick

MAIN = branch_refname("main")
SIDE = branch_refname("side")


@pytest.fixture
def row(node: Node, caller: Principal, repo: str) -> Repo:
    """The row of the repository."""
    return lookup_repo(node, caller, repo)


class Racer:
    """An attempt that loses a given number of races."""

    def __init__(self, losses: int) -> None:
        self.attempts = 0
        self._losses = losses

    def __call__(self) -> int:
        self.attempts += 1
        if self.attempts <= self._losses:
            raise RefMismatch(MAIN, expected=None, actual=Oid("1" * 40))
        return self.attempts


def test_an_attempt_that_wins_is_made_once(node: Node, row: Repo) -> None:
    time = SteadyTime(node)
    assert write_under_lock(node, row, MAIN, Racer(0), is_guarded=False) == 1
    assert time.slept_s == []


def test_an_unguarded_attempt_is_repeated_after_short_random_pauses(node: Node, row: Repo) -> None:
    time = SteadyTime(node)
    fractions = iter([0.0, 0.5, 1.0])
    node.jitter = lambda: next(fractions)
    assert write_under_lock(node, row, MAIN, Racer(3), is_guarded=False) == 4
    assert time.slept_s == [0, 0.005, 0.01]


def test_a_guarded_attempt_is_not_repeated(node: Node, row: Repo) -> None:
    racer = Racer(1)
    with pytest.raises(RefMismatch):
        write_under_lock(node, row, MAIN, racer, is_guarded=True)
    assert racer.attempts == 1


def test_an_attempt_that_never_wins_is_given_up(node: Node, row: Repo) -> None:
    time = SteadyTime(node)
    node.jitter = lambda: 1.0
    racer = Racer(10**9)
    with pytest.raises(RefMismatch):
        write_under_lock(node, row, MAIN, racer, is_guarded=False)
    assert guard_wait_max_s < time.now - 1000 < guard_wait_max_s + 1
    assert racer.attempts > 1000


def test_any_other_error_ends_the_write(node: Node, row: Repo) -> None:
    def fail() -> None:
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - as it was raised
        write_under_lock(node, row, MAIN, fail, is_guarded=False)
    write_under_lock(node, row, MAIN, Racer(0), is_guarded=False)  # the lock is free again


def test_two_writers_of_one_ref_take_turns_and_those_of_two_refs_do_not(node: Node, row: Repo) -> None:
    inside, leave = threading.Event(), threading.Event()
    seen: list[str] = []

    def stay() -> None:
        inside.set()
        leave.wait(30)
        seen.append("first")

    first = threading.Thread(
        target=write_under_lock, args=(node, row, MAIN, stay), kwargs={"is_guarded": False}
    )
    second = threading.Thread(
        target=write_under_lock,
        args=(node, row, MAIN, lambda: seen.append("second")),
        kwargs={"is_guarded": False},
    )
    first.start()
    assert inside.wait(30)
    second.start()
    write_under_lock(node, row, SIDE, lambda: seen.append("side"), is_guarded=False)
    assert seen == ["side"]
    leave.set()
    for thread in (first, second):
        thread.join(30)
    assert seen == ["side", "first", "second"]
