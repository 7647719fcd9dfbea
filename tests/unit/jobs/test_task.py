"""How long a failed job waits for its next attempt."""

import random

import pytest

from packhouse import limits
from packhouse.jobs.task import Job, Task
from packhouse.jobs.tasks import RECURRING, TASKS
from packhouse.node.node import Node

pytestmark = pytest.mark.quick


def do_nothing(_node: Node, _job: Job) -> None:
    """Do nothing, like the task of a job without work."""


def test_waits_grow_fourfold_up_to_the_longest() -> None:
    task = Task(do_nothing, retry_first_s=2, retry_longest_s=1000)
    assert [task.retry_delay_s(attempt, lambda: 0.5) for attempt in range(1, 8)] == [
        2,
        8,
        32,
        128,
        512,
        1000,
        1000,
    ]


def test_waits_are_spread_by_a_fifth_to_either_side() -> None:
    task = Task(do_nothing, retry_first_s=100, retry_longest_s=10_000)
    assert task.retry_delay_s(1, lambda: 0.0) == 80
    assert task.retry_delay_s(1, lambda: 1.0) == 120
    drawn = {task.retry_delay_s(1, random.random) for _ in range(200)}
    assert len(drawn) > 5, "jobs that failed together must not come back together"
    assert all(80 <= delay_s <= 120 for delay_s in drawn)


def test_a_wait_is_at_least_one_second() -> None:
    task = Task(do_nothing, retry_first_s=0, retry_longest_s=0)
    assert task.retry_delay_s(1, lambda: 0.0) == 1


def test_the_longest_wait_holds_after_any_number_of_attempts() -> None:
    task = Task(do_nothing)
    longest = round(limits.job_retry_longest_s * 1.2)
    assert task.retry_delay_s(10_000, lambda: 1.0) == longest


def test_every_recurring_job_has_a_task() -> None:
    assert set(RECURRING) <= set(TASKS)
