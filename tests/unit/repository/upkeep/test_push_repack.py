"""Packing a push anew: the kept objects, and the removal of the others."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from packhouse.db.repos import Repo
from packhouse.git.commands.kill_switch import KillSwitch
from packhouse.git.objects.codec import encode_commit
from packhouse.git.oid import EMPTY_TREE_OID, Oid, hash_object
from packhouse.git.packs.idx import PackIdx
from packhouse.node.node import Node
from packhouse.repository.upkeep.push_repack import Kept, PushedObjectRefused, keep_only
from packhouse.repository.view import RepoView
from packhouse.repository.write import Write
from tests.support.builders.node_writes import ADA
from tests.support.builders.packs import write_pack

pytestmark = pytest.mark.quick


@dataclass(frozen=True)
class Pushed:
    """A push of two commits without a common parent, as index-pack has left it."""

    write: Write
    one: Oid
    two: Oid


@pytest.fixture
def pushed(node: Node, repo: Repo, tmp_path: Path) -> Iterator[Pushed]:
    """The push. Its write is discarded after the test, whatever the test did with it."""
    commits = [
        encode_commit(tree=EMPTY_TREE_OID, parents=(), author=ADA, committer=ADA, message=message)
        for message in (b"one\n", b"two\n")
    ]
    pack = write_pack(tmp_path, [("tree", b""), *(("commit", commit) for commit in commits)])
    with RepoView(node, repo) as view, Write(view) as write:
        write.make_folder()
        process = write.git.start_unpacking(allowed=(), max_bytes=10_000, shows_progress=False)
        with process:
            process.stdin.write(pack.read_bytes())
            process.stdin.close()
            assert process.wait(60) == 0
        yield Pushed(write, *(hash_object("commit", commit) for commit in commits))


def kept(*tips: Oid) -> Kept:
    """Keep all objects below these tips."""
    return Kept(tips, known=(), allowed=(), shallow=())


def holds(write: Write, oid: Oid) -> bool:
    """Tell whether the one pack of a write has an object."""
    with PackIdx(write.new_idx()) as idx:
        return oid in idx


def test_unneeded_objects_are_removed_with_the_old_write(node: Node, pushed: Pushed) -> None:
    rest = keep_only(node, pushed.write, kept(pushed.one), KillSwitch(), must=False)
    assert rest is not None
    with rest:
        assert (holds(rest, pushed.one), holds(rest, pushed.two)) == (True, False)
        assert holds(rest, EMPTY_TREE_OID), "the pack is whole in itself"
        assert not pushed.write.has_folder


def test_a_push_whose_objects_are_all_kept_is_not_repacked(node: Node, pushed: Pushed) -> None:
    both = kept(pushed.one, pushed.two)
    assert keep_only(node, pushed.write, both, KillSwitch(), must=False) is pushed.write
    assert holds(pushed.write, pushed.two)


def test_a_pack_with_faulty_objects_is_judged_again_even_where_all_of_it_is_kept(
    node: Node, pushed: Pushed
) -> None:
    rest = keep_only(node, pushed.write, kept(pushed.one, pushed.two), KillSwitch(), must=True)
    assert rest is not None
    with rest:
        assert rest is not pushed.write
        assert holds(rest, pushed.two)


@pytest.mark.parametrize("must", [True, False])
def test_a_push_without_needed_objects_leaves_no_write(node: Node, pushed: Pushed, *, must: bool) -> None:
    assert keep_only(node, pushed.write, kept(), KillSwitch(), must=must) is None
    assert not pushed.write.has_folder


def test_a_push_without_faults_stays_whole_when_it_cannot_be_packed_anew(node: Node, pushed: Pushed) -> None:
    small = replace(node, config=replace(node.config, push_max_bytes=50))
    assert keep_only(small, pushed.write, kept(pushed.one), KillSwitch(), must=False) is pushed.write
    assert holds(pushed.write, pushed.two)


def test_a_push_with_faults_is_refused_when_it_cannot_be_packed_anew(node: Node, pushed: Pushed) -> None:
    small = replace(node, config=replace(node.config, push_max_bytes=50))
    with pytest.raises(PushedObjectRefused):
        keep_only(small, pushed.write, kept(pushed.one), KillSwitch(), must=True)
    assert holds(pushed.write, pushed.two), "the caller discards it"
