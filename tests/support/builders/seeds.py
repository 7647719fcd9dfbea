"""Seeds of random test data."""

import os
import random

import pytest


def seed_of(request: pytest.FixtureRequest) -> int:
    """Return a new seed for the test's random data, or the one in TEST_SEED, and print it.

    Each run uses new data. `TEST_SEED=… pytest TEST` repeats a failed run.
    """
    seed = int(os.environ.get("TEST_SEED") or random.randrange(2**32))
    print(f"seed {seed} for {request.node.nodeid}")
    return seed
