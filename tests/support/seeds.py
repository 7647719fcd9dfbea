"""Seeds of random test data."""

import os
import random
import zlib

import pytest


def seed_of(request: pytest.FixtureRequest) -> int:
    """Return the seed of a test, the same in each run, so that a change is blamed for its own faults only.

    With TEST_SEED=random in the environment each test takes a new one; with another word, one that belongs
    to the word.
    """
    word = os.environ.get("TEST_SEED", "")
    name = f"{request.node.nodeid} {word}"
    seed = random.randrange(2**32) if word == "random" else zlib.crc32(name.encode())
    print(f"seed {seed}")
    return seed
