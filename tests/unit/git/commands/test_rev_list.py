"""The walks of rev-list: commits and objects that are reachable from some objects and not from others."""

from dataclasses import dataclass

import pytest

from packhouse.errors import TimedOut
from packhouse.git.commands.kill_switch import KillSwitch
from packhouse.git.commands.rev_list import (
    HistoryUnreadable,
    Revisions,
    count_commits,
    find_first_ancestor,
    is_connected,
    iter_ancestors_first,
    iter_commits,
    iter_objects,
    lacks_objects,
    list_commits,
    list_existing_commits,
    list_history,
    list_page,
)
from packhouse.git.commands.run import GitFailed
from packhouse.git.oid import Oid
from tests.support.clients.git_runner import DamageTold, FakeGit, WorkTree

pytestmark = pytest.mark.quick

UNKNOWN = Oid("1" * 40)


@dataclass(frozen=True)
class Fork:
    """Commits `one` and `two` on main, `side` beside `two`, and `merge` of both on main."""

    work: WorkTree
    one: Oid
    two: Oid
    side: Oid
    merge: Oid


@pytest.fixture
def fork(work: WorkTree) -> Fork:
    one = work.commit({"a": b"1\n"})
    work.run("branch", "side")
    two = work.commit({"a": b"2\n"})
    work.run("checkout", "--quiet", "side")
    side = work.commit({"sub/b": b"b\n"})
    work.run("checkout", "--quiet", "main")
    work.run("merge", "--quiet", "--no-ff", "-m", "merge", "side")
    return Fork(work, one, two, side, work.oid())


def test_exclusions_follow_the_included_ids() -> None:
    assert Revisions([UNKNOWN], [Oid("2" * 40)]).lines == b"%s\n^%s\n" % (b"1" * 40, b"2" * 40)
    assert Revisions([]).lines == b""


def test_commits_reachable_from_excluded_ids_are_left_out(fork: Fork) -> None:
    work = fork.work
    assert set(list_commits(work, Revisions([fork.merge]), count_max=9)) == {
        fork.one,
        fork.two,
        fork.side,
        fork.merge,
    }
    assert list_commits(work, Revisions([fork.merge], [fork.two]), count_max=1) == [fork.merge]
    gained = list_commits(work, Revisions([fork.merge], [fork.two]), count_max=9)
    assert sorted(gained) == sorted([fork.merge, fork.side])
    assert list_commits(work, Revisions([fork.two, fork.side], [fork.merge]), count_max=9) == []


def test_a_walk_from_nothing_lists_no_commit_and_starts_no_git(work: WorkTree, fake_git: FakeGit) -> None:
    fake_git("exit 1")
    assert list_commits(work, Revisions([], [UNKNOWN]), count_max=9) == []


def test_a_commit_that_does_not_exist_fails_the_walk(fork: Fork) -> None:
    for revisions in (Revisions([UNKNOWN]), Revisions([fork.one], [UNKNOWN])):
        with pytest.raises(GitFailed) as failed:
            list_commits(fork.work, revisions, count_max=9)
        assert failed.value.objects == [UNKNOWN]


def test_missing_objects_add_no_commits(fork: Fork) -> None:
    blob, tree = fork.work.oid("HEAD:a"), fork.work.oid("HEAD^{tree}")
    wanted = Revisions([UNKNOWN, fork.two, blob, tree], [UNKNOWN, fork.one])
    listed = list_existing_commits(fork.work, wanted, count_max=9, switch=KillSwitch())
    assert listed == [fork.two]
    assert fork.work.complaints == []


def test_a_history_with_a_hole_cannot_be_walked(fork: Fork) -> None:
    fork.work.remove(fork.one)
    with pytest.raises(HistoryUnreadable) as broken:
        list_existing_commits(fork.work, Revisions([fork.merge]), count_max=9, switch=KillSwitch())
    assert fork.one in str(broken.value)
    ((complaint, may_lack),) = fork.work.complaints
    assert (fork.one in complaint.objects, may_lack) == (True, True)


def test_a_repository_that_knows_of_damage_explains_the_hole(fork: Fork) -> None:
    fork.work.remove(fork.one)
    fork.work.is_strict = True
    with pytest.raises(DamageTold):
        list_existing_commits(fork.work, Revisions([fork.merge]), count_max=9, switch=KillSwitch())


def test_a_tag_leads_to_its_commit(fork: Fork) -> None:
    fork.work.run("tag", "-a", "-m", "tag", "v1", "side")
    tag = fork.work.oid("v1")
    assert list_commits(fork.work, Revisions([tag]), count_max=1) == [fork.side]


def test_pages_fit_together_in_the_order_of_git_log(fork: Fork) -> None:
    work = fork.work
    whole = work.run("log", "--format=%H").split()
    pages = [list_page(work, fork.merge, path=None, skip=skip, count_max=1) for skip in range(5)]
    assert pages == [[Oid(oid)] for oid in whole] + [[]]
    assert list_page(work, fork.merge, path=None, skip=1, count_max=9) == whole[1:]


def test_a_page_of_a_path_has_only_commits_that_changed_it(fork: Fork) -> None:
    work = fork.work
    assert list_page(work, fork.merge, path=b"a", skip=0, count_max=9) == [fork.two, fork.one]
    assert list_page(work, fork.merge, path=b"sub", skip=0, count_max=9) == [fork.side]
    assert list_page(work, fork.merge, path=b"none", skip=0, count_max=9) == []


@pytest.mark.parametrize("name", ["*", ":(glob)a", "[a]", "-x", "\\a", "n\nl", "\udcff"])
def test_a_path_is_taken_literally(work: WorkTree, name: str) -> None:
    work.commit({"a": b"a\n", "sub/a": b"a\n"})
    odd = work.commit({name: b"odd\n"})
    path = name.encode("utf-8", "surrogateescape")
    assert list_page(work, odd, path=path, skip=0, count_max=9) == [odd]


def test_first_parents_lead_past_merges(fork: Fork) -> None:
    assert find_first_ancestor(fork.work, fork.merge, steps=0) == fork.merge
    assert find_first_ancestor(fork.work, fork.merge, steps=1) == fork.two
    assert find_first_ancestor(fork.work, fork.merge, steps=2) == fork.one
    assert find_first_ancestor(fork.work, fork.merge, steps=3) is None
    assert find_first_ancestor(fork.work, fork.merge, steps=2**31 - 1) is None


def test_commits_are_counted(fork: Fork) -> None:
    assert count_commits(fork.work, Revisions([fork.merge])) == 4
    assert count_commits(fork.work, Revisions([fork.merge], [fork.two])) == 2
    assert count_commits(fork.work, Revisions([fork.one], [fork.merge])) == 0


def test_history_has_children_before_their_parents(fork: Fork) -> None:
    history = list_history(fork.work, [fork.merge, fork.side])
    assert dict(history) == {
        fork.merge: (fork.two, fork.side),
        fork.two: (fork.one,),
        fork.side: (fork.one,),
        fork.one: (),
    }
    order = [oid for oid, _ in history]
    assert all(order.index(oid) < order.index(parent) for oid, parents in history for parent in parents)


def test_commits_come_after_their_parents_with_their_trees(fork: Fork) -> None:
    walk = iter_ancestors_first(
        fork.work, Revisions([fork.merge], [fork.one]), timeout_s=60, switch=KillSwitch()
    )
    commits = list(walk)
    assert {commit.oid: commit.parents for commit in commits} == {
        fork.two: (fork.one,),
        fork.side: (fork.one,),
        fork.merge: (fork.two, fork.side),
    }
    assert commits[-1].oid == fork.merge
    assert all(commit.tree == fork.work.oid(f"{commit.oid}^{{tree}}") for commit in commits)


def test_roots_have_no_parents(fork: Fork) -> None:
    walk = iter_ancestors_first(fork.work, Revisions([fork.one]), timeout_s=60, switch=KillSwitch())
    ((oid, _tree, parents),) = walk
    assert (oid, parents) == (fork.one, ())


def test_objects_are_all_that_the_commits_need(fork: Fork) -> None:
    work = fork.work
    found = set(iter_objects(work, Revisions([fork.side], [fork.one]), timeout_s=60))
    names = ("side", "side^{tree}", "side:sub", "side:sub/b")
    assert found == {work.oid(name) for name in names}
    assert set(iter_objects(work, Revisions([work.oid("side:sub")]), timeout_s=60)) == {
        work.oid("side:sub"),
        work.oid("side:sub/b"),
    }


def test_commits_are_yielded_one_by_one(fork: Fork) -> None:
    found = list(iter_commits(fork.work, Revisions([fork.merge], [fork.side]), timeout_s=60))
    assert found == [fork.merge, fork.two]


def test_leaving_a_walk_ends_git(fork: Fork) -> None:
    switch = KillSwitch()
    walk = iter_objects(fork.work, Revisions([fork.merge]), timeout_s=60, switch=switch)
    next(walk)
    (git,) = switch._running
    del walk
    assert git.poll() is not None


def test_a_walk_that_is_cut_off_fails(fork: Fork) -> None:
    switch = KillSwitch()
    switch.trip()
    with pytest.raises(GitFailed):
        list(iter_objects(fork.work, Revisions([fork.merge]), timeout_s=60, switch=switch))


def test_a_walk_has_a_time_limit(fork: Fork) -> None:
    with pytest.raises(TimedOut):
        list(iter_commits(fork.work, Revisions([fork.merge]), timeout_s=0))


def test_a_tip_is_connected_when_nothing_below_it_is_missing(fork: Fork) -> None:
    work = fork.work
    assert is_connected(work, Revisions([fork.merge]), switch=KillSwitch())
    work.remove(work.oid("side:sub/b"))
    assert not is_connected(work, Revisions([fork.merge]), switch=KillSwitch())
    assert is_connected(work, Revisions([fork.two]), switch=KillSwitch())
    assert not is_connected(work, Revisions([UNKNOWN]), switch=KillSwitch())


def test_excluded_objects_are_taken_as_complete(fork: Fork) -> None:
    work = fork.work
    work.remove(work.oid(f"{fork.one}:a"))
    assert not is_connected(work, Revisions([fork.side]), switch=KillSwitch())
    assert is_connected(work, Revisions([fork.merge], [fork.side, fork.two]), switch=KillSwitch())


def test_a_missing_object_is_reported_as_one_that_may_be_lacking(fork: Fork) -> None:
    assert not is_connected(fork.work, Revisions([UNKNOWN]), switch=KillSwitch())
    ((complaint, may_lack),) = fork.work.complaints
    assert (complaint.objects, may_lack) == ([UNKNOWN], True)
    fork.work.is_strict = True
    with pytest.raises(DamageTold):
        is_connected(fork.work, Revisions([UNKNOWN]), switch=KillSwitch())


def test_missing_blobs_and_trees_are_found(fork: Fork) -> None:
    work = fork.work
    assert not lacks_objects(work, Revisions([fork.merge]))
    work.remove(work.oid("side:sub/b"))
    assert lacks_objects(work, Revisions([fork.merge]))
    assert not lacks_objects(work, Revisions([fork.two]))


def test_a_missing_tip_is_a_failure(fork: Fork) -> None:
    with pytest.raises(GitFailed):
        lacks_objects(fork.work, Revisions([UNKNOWN]))
