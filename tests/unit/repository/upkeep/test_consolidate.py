"""The choice of the packs to join next, and that joining loses nothing."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.auth.principal import Principal
from packhouse.db.repos import Repo
from packhouse.git.oid import hash_object
from packhouse.git.packs.pack import Pack
from packhouse.node.node import Node
from packhouse.operations.repos.delete_repo import DeleteRepo, delete_repo
from packhouse.repository.upkeep.consolidate import choose_packs
from packhouse.repository.upkeep.lease import hold_lease
from packhouse.repository.upkeep.sweep import sweep
from packhouse.repository.view import RepoView
from packhouse.repository.write import Write
from tests.support.builders.node_writes import pack_states, put_blob
from tests.support.builders.upkeep import consolidate

pytestmark = pytest.mark.quick

HOUR_S = 3600


def packs_of(*sizes: int) -> list[Pack]:
    return [Pack(f"{number:040x}", size, 1) for number, size in enumerate(sizes)]


def sizes_of(packs: list[Pack]) -> list[int]:
    return [pack.size_bytes for pack in packs]


def test_few_packs_are_left_alone() -> None:
    assert choose_packs(packs_of(*[1] * 40), count_max=40) == []
    assert choose_packs([], count_max=40) == []


def test_many_packs_of_one_size_become_one_with_half_of_the_bound_left() -> None:
    chosen = choose_packs(packs_of(*[100] * 41), count_max=40)
    assert len(chosen) == 41, "each is no bigger than those before it together"


def test_the_smallest_go_first_and_a_large_one_stays_out() -> None:
    chosen = choose_packs(packs_of(10_000, 1, 2, 3, 5000), count_max=4)
    assert sizes_of(chosen) == [1, 2, 3]


def test_a_large_pack_joins_when_as_much_has_come_beside_it() -> None:
    chosen = choose_packs(packs_of(100, 40, 30, 30, 20, 20), count_max=4)
    assert sizes_of(chosen) == [20, 20, 30, 30, 40, 100]


@given(st.lists(st.integers(1, 10**9), max_size=60), st.integers(2, 40))
def test_whatever_the_sizes_the_packs_become_few(sizes: list[int], count_max: int) -> None:
    packs = packs_of(*sizes)
    for _ in range(100):
        chosen = choose_packs(packs, count_max=count_max)
        if not chosen:
            break
        assert len(chosen) > 1
        left_out = [pack for pack in packs if pack not in chosen]
        assert all(
            pack.size_bytes >= max(sizes_of(chosen)) or pack.size_bytes >= sum(sizes_of(chosen))
            for pack in left_out
        )
        joined = Pack(f"{len(packs):039x}j", sum(sizes_of(chosen)), len(chosen))
        packs = [*left_out, joined]
    assert len(packs) <= count_max
    assert sum(sizes_of(packs)) == sum(sizes)


def test_a_pack_is_copied_about_as_often_as_its_repository_doubles() -> None:
    """A million small writes must not copy the first of them a million times."""
    packs: list[Pack] = []
    copied = 0
    for number in range(5000):
        packs.append(Pack(f"{number:040x}", 100, 1))
        while chosen := choose_packs(packs, count_max=40):
            copied += sum(sizes_of(chosen))
            total = sum(sizes_of(chosen))
            packs = [pack for pack in packs if pack not in chosen]
            packs.append(Pack(f"{number:039x}j", total, len(chosen)))
    assert copied / (5000 * 100) < 10


# On a node


@pytest.fixture
def few(node: Node) -> Node:
    """The node, which joins packs as soon as there are more than four."""
    return replace(node, limits=replace(node.limits, packs_before_consolidation=4))


def contents(count: int) -> list[bytes]:
    return [b"content %d\n" % number for number in range(count)]


def holds(node: Node, repo: Repo, content: bytes) -> bool:
    with RepoView(node, repo) as view:
        oid = hash_object("blob", content)
        return view.kind_and_size(oid) is not None and view.read(oid) == ("blob", content)


def test_joined_packs_are_deleted_and_every_object_is_still_there(few: Node, repo: Repo) -> None:
    for content in contents(9):
        put_blob(few, repo, content)
    assert consolidate(few, repo.public_id) == 9
    assert list(pack_states(few, repo).values()) == ["live"]
    assert all(holds(few, repo, content) for content in contents(9))


def test_few_packs_are_not_rewritten(few: Node, repo: Repo) -> None:
    for content in contents(4):
        put_blob(few, repo, content)
    before = pack_states(few, repo)
    assert consolidate(few, repo.public_id) == 0
    assert pack_states(few, repo) == before


def test_a_view_opened_before_still_reads_its_packs(few: Node, repo: Repo) -> None:
    for content in contents(9):
        put_blob(few, repo, content)
    with RepoView(few, repo) as view:
        assert view.read(hash_object("blob", contents(1)[0])) == ("blob", contents(1)[0])
        consolidate(few, repo.public_id)
        for content in contents(9):
            assert view.read(hash_object("blob", content)) == ("blob", content)


def test_a_repository_that_another_process_works_on_is_left_to_it(few: Node, repo: Repo) -> None:
    for content in contents(9):
        put_blob(few, repo, content)
    with hold_lease(few, repo) as lease:
        assert lease is not None
        assert consolidate(few, repo.public_id) == 0
    assert consolidate(few, repo.public_id) == 9


def test_a_repository_that_is_gone_has_nothing_to_join(few: Node, caller: Principal, repo: Repo) -> None:
    for content in contents(9):
        put_blob(few, repo, content)
    delete_repo(few, caller, DeleteRepo("shop"))
    assert consolidate(few, repo.public_id) == 0
    assert consolidate(few, "repo_unknown") == 0


def test_the_sweep_deletes_old_leftovers_of_dead_writers(few: Node, repo: Repo) -> None:
    put_blob(few, repo, b"kept")
    with RepoView(few, repo) as view:
        write = Write(view)  # the write of a process that dies: its block is never left
        write.writer.add_object("blob", b"half")
        write.publish(may_journal=False)
    started = few.clock()
    few.clock = lambda: started + HOUR_S - 1
    assert sweep(few) == 0
    assert sorted(pack_states(few, repo).values()) == ["incoming", "live"]
    few.clock = lambda: started + HOUR_S + 1
    assert sweep(few) == 1
    assert list(pack_states(few, repo).values()) == ["live"]
    assert holds(few, repo, b"kept")
