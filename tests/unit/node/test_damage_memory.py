"""Each damage is told once."""

import pytest

from packhouse.git.oid import hash_object
from packhouse.ids import RepoKey
from packhouse.node.damage_memory import DamageMemory

pytestmark = pytest.mark.quick

REPO = RepoKey(1)
OTHER = RepoKey(2)
OIDS = [hash_object("blob", b"%d" % number) for number in range(20)]


def test_each_damage_is_new_once() -> None:
    memory = DamageMemory()
    assert memory.add((REPO, "pack", ""))
    assert not memory.add((REPO, "pack", ""))
    assert memory.add((REPO, "", OIDS[0]))
    assert memory.add((OTHER, "pack", ""))
    assert memory.has((REPO, "pack", "")) and not memory.has((OTHER, "", OIDS[0]))


def test_forgotten_damage_is_new_again() -> None:
    memory = DamageMemory()
    memory.add((REPO, "pack", ""))
    memory.clear()
    assert not memory.has((REPO, "pack", ""))
    assert memory.add((REPO, "pack", ""))


def test_the_memory_has_a_bound() -> None:
    memory = DamageMemory()
    for number in range(10_001):
        assert memory.add((RepoKey(number), "pack", ""))
    assert memory.has((RepoKey(10_000), "pack", ""))
    assert not memory.has((RepoKey(0), "pack", ""))
