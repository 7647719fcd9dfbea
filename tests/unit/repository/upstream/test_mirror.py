"""The refs that a pull changes."""

import pytest

from packhouse.db.ref_transaction import RefUpdate
from packhouse.errors import Invalid
from packhouse.git.oid import Oid
from packhouse.git.refname import PERSISTENT, RefName
from packhouse.repository.upstream.mirror import is_mirrored, list_unfit, names_for, plan_mirror

pytestmark = pytest.mark.quick

A, B = Oid("a" * 40), Oid("b" * 40)
MAIN, TOPIC, TAG = RefName(b"refs/heads/main"), RefName(b"refs/heads/topic"), RefName(b"refs/tags/v1")
HEAD, DIGITS = RefName(b"refs/heads/HEAD"), RefName(b"refs/tags/" + b"a" * 40)


def update(name: RefName, old: Oid | None, new: Oid | None) -> RefUpdate:
    return RefUpdate(PERSISTENT, name, old, new)


def test_a_mirror_is_forced_and_pruned() -> None:
    plan = plan_mirror({MAIN: A, TOPIC: A}, {MAIN: B, TAG: B}, scope=None, prune=True)
    assert plan == [update(MAIN, A, B), update(TOPIC, A, None), update(TAG, None, B)]


def test_without_pruning_local_branches_stay() -> None:
    assert plan_mirror({MAIN: A, TOPIC: A}, {MAIN: A}, scope=None, prune=False) == []


def test_a_scope_leaves_all_other_refs() -> None:
    plan = plan_mirror({MAIN: A, TOPIC: A}, {TAG: B}, scope=[TOPIC, TAG], prune=True)
    assert plan == [update(TOPIC, A, None), update(TAG, None, B)]


@pytest.mark.parametrize("name", [b"refs/notes/commits", b"refs/pull/1/head", b"refs/heads/a..b", b"HEAD"])
def test_refs_of_an_upstream_outside_branches_and_tags_are_ignored(name: bytes) -> None:
    assert not is_mirrored(name)


def test_a_short_name_may_be_a_branch_or_a_tag() -> None:
    assert names_for("v1", default_branch="main") == [b"refs/heads/v1", TAG]
    assert names_for("refs/heads/main", default_branch="trunk") == [MAIN]


def test_head_means_the_default_branch_and_its_full_name_a_branch() -> None:
    assert names_for("HEAD", default_branch="main") == [MAIN]
    assert names_for("refs/heads/HEAD", default_branch="main") == [HEAD]


def test_a_ref_with_a_refused_name_is_mirrored_only_where_it_exists() -> None:
    upstream = {MAIN: B, HEAD: B, DIGITS: B}
    assert plan_mirror({MAIN: A}, upstream, scope=None, prune=True) == [update(MAIN, A, B)]
    assert list_unfit({MAIN: A}, upstream) == [HEAD, DIGITS]
    assert plan_mirror({HEAD: A}, {HEAD: B, DIGITS: B}, scope=None, prune=True) == [update(HEAD, A, B)]
    assert list_unfit({HEAD: A}, upstream) == [DIGITS]
    assert plan_mirror({HEAD: A}, {}, scope=None, prune=True) == [update(HEAD, A, None)]


@pytest.mark.parametrize("ref", ["", "a..b", "refs/notes/x", "refs/heads/", "a b", "\udcff"])
def test_a_name_that_is_not_a_branch_or_tag_is_refused(ref: str) -> None:
    with pytest.raises(Invalid):
        names_for(ref, default_branch="main")
