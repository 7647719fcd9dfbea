"""Seeds of random test data."""

import os
import random

import pytest


def seed_of(request: pytest.FixtureRequest) -> int:
    """Return a new seed for the test's random data, or the one in TEST_SEED, and print which.

    Each run looks at data that none has seen before; `TEST_SEED=… pytest TEST` looks again at what failed.
    """
    seed = int(os.environ.get("TEST_SEED") or random.randrange(2**32))
    print(f"seed {seed} for {request.node.nodeid}")
    return seed
