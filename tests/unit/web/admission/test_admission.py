"""All bounds of a server process come from its settings, and are closed together."""

import threading
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from packhouse.config import Config
from packhouse.errors import ServerBusy, Unavailable
from packhouse.limits import Limits
from packhouse.web.admission.admission import Admission, open_admission
from packhouse.web.admission.limiter import Limiter
from tests.support.event_loop import in_event_loop

pytestmark = pytest.mark.quick

IMPATIENT = Limits(git_queue_max_s=0)
WAIT_S = 60


def admit(*, threads: int = 4, git_processes_max: int = 4) -> Admission:
    """Return the bounds of a server with these settings."""
    config = Config(data=Path("unused"), threads=threads, git_processes_max=git_processes_max)
    return open_admission(config, IMPATIENT)


async def count_slots(limiter: Limiter) -> int:
    """Return how many organisations get a slot at once."""
    async with AsyncExitStack() as held:
        for count in range(1000):
            try:
                await held.enter_async_context(limiter.slot((count, "a")))
            except Unavailable:
                return count
    raise AssertionError("no bound")


@pytest.mark.parametrize(("threads", "searches"), [(1, 1), (2, 1), (3, 1), (8, 4)])
@in_event_loop
async def test_searches_have_half_of_the_threads(threads: int, searches: int) -> None:
    admission = admit(threads=threads)
    assert await count_slots(admission.searches) == searches
    admission.close()


@in_event_loop
async def test_as_many_transfers_run_as_git_processes_may() -> None:
    admission = admit(git_processes_max=5)
    assert await count_slots(admission.transfers.reads) == 5
    assert await count_slots(admission.transfers.pushes) == 5
    admission.close()


@in_event_loop
async def test_as_many_calls_run_at_once_as_the_setting_says() -> None:
    admission = admit(threads=3)
    everybody = threading.Barrier(3)
    calls = [admission.threads.start(everybody.wait, WAIT_S) for _ in range(3)]
    assert sorted([await call.result() for call in calls]) == [0, 1, 2]
    admission.close()


@in_event_loop
async def test_a_refusal_says_what_the_server_is_busy_with() -> None:
    admission = admit(threads=2, git_processes_max=1)
    for limiter, work in (
        (admission.searches, "searches"),
        (admission.transfers.reads, "transfers"),
        (admission.transfers.pushes, "transfers"),
    ):
        async with limiter.slot((1, "a")):
            with pytest.raises(ServerBusy) as refusal:
                async with limiter.slot((2, "a")):
                    raise AssertionError
            assert refusal.value.work == work
    admission.close()


@in_event_loop
async def test_closing_ends_the_threads_of_calls_and_of_transfers() -> None:
    admission = admit()
    admission.close()
    for start in (admission.threads.start, admission.transfers.start):
        call = start(int)
        await call.wait()
        assert isinstance(call.failure, RuntimeError), "a closed pool took work"
