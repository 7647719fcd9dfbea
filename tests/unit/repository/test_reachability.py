"""The commits that are served by id: exactly those that are reachable from a ref now."""

import pytest

from packhouse.db.repos import Repo
from packhouse.errors import NotFound
from packhouse.git.oid import Oid
from packhouse.git.refname import EPHEMERAL, RefName
from packhouse.node.node import Node
from packhouse.repository.reachability import is_reachable, read_reachable, resolve_abbreviation
from packhouse.repository.view import RepoView
from tests.support.builders.node_writes import MAIN
from tests.unit.repository.line import Line

pytestmark = pytest.mark.quick

SIDE = RefName(b"refs/heads/side")
TAG = RefName(b"refs/tags/v1")
ABSENT = Oid("1" * 40)


def reaches(line: Line, *oids: Oid) -> list[bool]:
    with line.open() as view:
        return [is_reachable(view, oid) for oid in oids]


def test_exactly_the_commits_below_a_ref_are_reachable(line: Line) -> None:
    assert reaches(line, *line.commits) == [True] * 4
    assert reaches(line, line.tag, ABSENT) == [False, False]


def test_an_empty_repository_reaches_nothing(node: Node, repo: Repo) -> None:
    with RepoView(node, repo) as view:
        assert not is_reachable(view, ABSENT)
        with pytest.raises(NotFound):
            resolve_abbreviation(view, "1111")


def test_commits_that_a_forced_move_has_lost_are_gone_at_once(line: Line) -> None:
    line.move(MAIN, line.commits[1])
    assert reaches(line, *line.commits) == [True, True, False, False]
    line.move(MAIN, line.commits[3])
    assert reaches(line, *line.commits) == [True] * 4


def test_a_lost_commit_stays_while_another_ref_leads_to_it(line: Line) -> None:
    line.move(SIDE, line.commits[2])
    line.move(MAIN, line.commits[0])
    assert reaches(line, *line.commits) == [True, True, True, False]
    line.move(SIDE, None)
    assert reaches(line, *line.commits) == [True, False, False, False]


def test_refs_of_the_ephemeral_namespace_count(line: Line) -> None:
    line.move(SIDE, line.commits[3], namespace=EPHEMERAL)
    line.move(MAIN, line.commits[0])
    assert reaches(line, *line.commits) == [True] * 4


def test_a_tag_and_its_target_are_reachable_by_their_ids(line: Line) -> None:
    line.move(TAG, line.tag, peeled=line.commits[0])
    assert reaches(line, line.tag, line.commits[0]) == [True, True]


def test_the_set_is_computed_once_for_each_state_of_the_refs(line: Line) -> None:
    with line.open() as view:
        first = read_reachable(view)
        assert read_reachable(view) is first
        line.move(SIDE, line.commits[0])
    with line.open() as view:
        second = read_reachable(view)
    assert second is not first
    assert second.commits == first.commits == frozenset(line.commits)


def test_an_updated_set_equals_a_set_computed_anew(line: Line) -> None:
    """The set is updated when refs move. A mistake in it would serve deleted commits for ever."""
    moves = [(MAIN, 1), (SIDE, 3), (MAIN, 0), (SIDE, None), (MAIN, 2), (SIDE, 0), (MAIN, 3)]
    for refname, place in moves:
        line.move(refname, None if place is None else line.commits[place])
        with line.open() as view:
            updated = read_reachable(view)
            line.node.reachability.clear()
            assert read_reachable(view).commits == updated.commits


def test_an_abbreviation_names_the_one_reachable_object(line: Line) -> None:
    with line.open() as view:
        assert resolve_abbreviation(view, line.commits[2][:10]) == line.commits[2]
        for unknown in (line.tag[:10], ABSENT[:10]):
            with pytest.raises(NotFound):
                resolve_abbreviation(view, unknown)
        with pytest.raises(NotFound):
            resolve_abbreviation(view, "")  # the beginning of every id
