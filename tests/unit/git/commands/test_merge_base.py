"""How two commits are related."""

import pytest

from packhouse.git.commands.kill_switch import KillSwitch
from packhouse.git.commands.merge_base import find_merge_base, is_ancestor
from packhouse.git.commands.run import GitFailed
from packhouse.git.oid import Oid
from tests.support.clients.git_runner import DamageTold, FakeGit, WorkTree

pytestmark = pytest.mark.quick

UNKNOWN = Oid("1" * 40)


def beside(work: WorkTree, base: Oid, name: str) -> Oid:
    """Return a new commit on a branch of its own that begins at `base`."""
    work.run("checkout", "--quiet", "-b", name, base)
    return work.commit({name: name.encode()})


def unrelated(work: WorkTree, name: str) -> Oid:
    """Return a new root commit."""
    work.run("checkout", "--quiet", "--orphan", name)
    return work.commit({name: name.encode()})


def test_a_commit_is_an_ancestor_of_its_descendants_and_of_itself(work: WorkTree) -> None:
    one = work.commit({"a": b"1"})
    two = work.commit({"a": b"2"})
    side = beside(work, one, "side")
    assert is_ancestor(work, one, two)
    assert is_ancestor(work, one, one)
    assert not is_ancestor(work, two, one)
    assert not is_ancestor(work, two, side)
    assert work.complaints == []


def test_an_object_that_is_not_a_commit_has_no_ancestors(work: WorkTree) -> None:
    one = work.commit({"a": b"1"})
    assert not is_ancestor(work, UNKNOWN, one)
    assert not is_ancestor(work, one, UNKNOWN)
    assert not is_ancestor(work, work.oid("HEAD:a"), one)
    assert is_ancestor(work, UNKNOWN, UNKNOWN)  # equal ids need no git
    assert [may_lack for _, may_lack in work.complaints] == [True] * 3


def test_an_ancestor_that_damage_hides_is_reported_as_damage(work: WorkTree) -> None:
    one = work.commit({"a": b"1"})
    two = work.commit({"a": b"2"})
    work.remove(one)
    work.is_strict = True
    with pytest.raises(DamageTold):
        is_ancestor(work, one, two)
    with pytest.raises(DamageTold):
        find_merge_base(work, two, unrelated(work, "other"))


def test_the_question_can_be_cut_off(work: WorkTree, fake_git: FakeGit) -> None:
    fake_git("sleep 1000")
    switch = KillSwitch()
    switch.trip()
    with pytest.raises(GitFailed):
        is_ancestor(work, UNKNOWN, Oid("2" * 40), switch=switch)


def test_the_merge_base_is_the_best_common_ancestor(work: WorkTree) -> None:
    root = work.commit({"a": b"1"})
    base = work.commit({"a": b"2"})
    ours, theirs = beside(work, base, "ours"), beside(work, base, "theirs")
    assert find_merge_base(work, ours, theirs) == base
    assert find_merge_base(work, theirs, ours) == base
    assert find_merge_base(work, root, ours) == root
    assert find_merge_base(work, ours, ours) == ours


def test_of_equally_good_bases_one_is_returned(work: WorkTree) -> None:
    root = work.commit({"a": b"1"})
    one, two = beside(work, root, "one"), beside(work, root, "two")
    work.run("checkout", "--quiet", "one")
    work.run("merge", "--quiet", "-m", "criss", two)
    criss = work.oid()
    work.run("checkout", "--quiet", "two")
    work.run("merge", "--quiet", "-m", "cross", one)
    found = find_merge_base(work, criss, work.oid())
    assert found in (one, two)
    assert found == work.run("merge-base", criss, work.oid())


def test_unrelated_commits_have_no_merge_base(work: WorkTree) -> None:
    one = work.commit({"a": b"1"})
    assert find_merge_base(work, one, unrelated(work, "other")) is None
    assert work.complaints == []


def test_a_commit_that_does_not_exist_is_a_failure(work: WorkTree) -> None:
    one = work.commit({"a": b"1"})
    with pytest.raises(GitFailed) as failed:
        find_merge_base(work, one, UNKNOWN)
    assert UNKNOWN in failed.value.messages
