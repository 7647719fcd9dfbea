"""Questions to git about new objects before they are accepted: their kinds, their ancestors, and missing objects."""

import pytest

from packhouse.db.ref_transaction import RefUpdate
from packhouse.db.repos import Repo
from packhouse.git.commands.kill_switch import KillSwitch
from packhouse.git.objects.codec import encode_tag
from packhouse.git.oid import Oid
from packhouse.git.refname import PERSISTENT
from packhouse.node.node import Node
from packhouse.repository.checks import (
    find_unconnected,
    is_connected,
    moves_forward,
    read_kinds,
)
from packhouse.repository.view import RepoView
from packhouse.repository.write import Write
from tests.support.builders.node_writes import ADA, MAIN, write_commit_object
from tests.unit.repository.line import Line

pytestmark = pytest.mark.quick

ABSENT = Oid("1" * 40)


def test_the_kinds_of_new_values_are_returned_and_tags_followed(line: Line) -> None:
    with line.open() as view, Write(view) as write:
        blob = write.writer.add_object("blob", b"x")
        kinds = read_kinds(write, [line.commits[0], line.tag, blob, ABSENT])
    assert {oid: (kind.kind, kind.peeled_oid) for oid, kind in kinds.items()} == {
        line.commits[0]: ("commit", None),
        line.tag: ("tag", line.commits[0]),
        blob: ("blob", None),
    }


def test_a_tag_of_a_missing_object_has_no_kind(line: Line) -> None:
    with line.open() as view, Write(view) as write:
        content = encode_tag(target=ABSENT, target_kind="commit", name="v1", tagger=ADA, message=b"m\n")
        tag = write.writer.add_object("tag", content)
        assert read_kinds(write, [tag]) == {}


def test_tips_are_connected_unless_something_below_them_is_missing(line: Line) -> None:
    with line.open() as view, Write(view) as write:
        good = write_commit_object(write, line.commits[3], message=b"good\n")
        bad = write_commit_object(write, ABSENT, message=b"bad\n")
        worse = write_commit_object(write, bad, message=b"worse\n")
        known, switch = [line.commits[3]], KillSwitch()
        assert is_connected(write, [good], known, switch)
        assert not is_connected(write, [bad], known, switch)
        assert find_unconnected(write, [good], known, switch) == set()
        assert find_unconnected(write, [bad], known, switch) == {bad}
        assert find_unconnected(write, [good, bad, worse], known, switch) == {bad, worse}, "good refs proceed"


def test_very_many_tips_are_not_judged_one_by_one(line: Line) -> None:
    """A thousand walks for one bad ref would be a way to keep the server busy."""
    with line.open() as view, Write(view) as write:
        good = [write_commit_object(write, message=b"%d\n" % number) for number in range(100)]
        bad = write_commit_object(write, ABSENT, message=b"bad\n")
        assert find_unconnected(write, [*good, bad], [], KillSwitch()) == {*good, bad}


@pytest.mark.parametrize(("old", "new", "is_forward"), [(0, 3, True), (0, 0, True), (3, 0, False)])
def test_a_ref_moves_forward_to_a_descendant_and_to_its_own_value(
    line: Line, old: int, new: int, is_forward: bool
) -> None:
    with line.open() as view, Write(view) as write:
        update = RefUpdate(PERSISTENT, MAIN, line.commits[old], line.commits[new])
        assert moves_forward(write, update, KillSwitch()) is is_forward


def test_a_ref_that_leaves_a_commit_for_another_object_does_not_move_forward(line: Line) -> None:
    with line.open() as view, Write(view) as write:
        write.make_folder()
        blob = write.add_loose("blob", b"x")
        assert not moves_forward(write, RefUpdate(PERSISTENT, MAIN, line.commits[0], blob), KillSwitch())


def test_without_new_values_git_is_not_started(line: Line) -> None:
    switch = KillSwitch()
    switch.trip()  # a git process would be killed
    with line.open() as view, Write(view) as write:
        assert read_kinds(write, []) == {}
        assert find_unconnected(write, [], line.commits, switch) == set()


def test_an_object_has_no_kind_in_an_empty_repository(node: Node, repo: Repo) -> None:
    with RepoView(node, repo) as view, Write(view) as write:
        assert read_kinds(write, [ABSENT]) == {}
