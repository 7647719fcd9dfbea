"""Random schedules of writers, readers, joining and sweeping, with faults.

All invariants are checked after every step. A failing run prints its seed and its schedule.
`TEST_SEED=SEED pytest tests/simulation` runs only that seed, in the same order.
"""

import os
import random

import pytest

from tests.simulation.conftest import Run
from tests.simulation.invariants import Violation
from tests.simulation.mistakes import MISTAKES, Plant

SEEDS = 1000
PARTS = 20
MISTAKE_SEEDS_MAX = 300

_CHOSEN = os.environ.get("TEST_SEED")


@pytest.mark.parametrize("part", range(1 if _CHOSEN else PARTS))
def test_the_invariants_hold_after_every_step_of_every_schedule(part: int, run_seed: Run) -> None:
    if _CHOSEN:
        run_seed(int(_CHOSEN))
        return
    first = random.randrange(2**31)
    print(f"part {part}: seeds {first} to {first + SEEDS // PARTS - 1}")
    for seed in range(first, first + SEEDS // PARTS):
        run_seed(seed)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_seed_makes_the_same_schedule_each_time(seed: int, run_seed: Run) -> None:
    first, second = run_seed(seed), run_seed(seed)
    assert first.scheduler.trace == second.scheduler.trace
    assert len(first.scheduler.trace) > 50


@pytest.mark.parametrize("plant", MISTAKES, ids=lambda plant: plant.__name__)
def test_a_known_mistake_is_found(plant: Plant, run_seed: Run) -> None:
    def search() -> None:
        for seed in range(MISTAKE_SEEDS_MAX):
            with pytest.MonkeyPatch.context() as patch:
                run_seed(seed, plant=lambda world, patch=patch: plant(patch, world))

    with pytest.raises(Violation, match=MISTAKES[plant]) as found:
        search()
    assert "the schedule until then" in found.value.__notes__[0]
