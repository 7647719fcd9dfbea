"""The commits that an update introduces, as the rule `verify-sig` looks at them."""

import pytest

from packhouse.auth.principal import Principal
from packhouse.db.repos import Repo
from packhouse.git.commands.kill_switch import KillSwitch
from packhouse.git.commands.rev_list import Revisions
from packhouse.git.oid import Oid
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.refs.signed_updates import list_introduced
from packhouse.repository.view import RepoView
from tests.unit.repository.line import Line

pytestmark = pytest.mark.quick

ABSENT = Oid("1" * 40)


@pytest.fixture
def stored(node: Node, caller: Principal, repo: str) -> Repo:
    """The empty repository."""
    return lookup_repo(node, caller, repo)


def test_commits_are_listed_newest_first_up_to_a_bound(node: Node, caller: Principal, stored: Repo) -> None:
    line = Line(node, caller, stored)
    switch = KillSwitch()
    with line.open() as view:
        newest_first = [line.commits[3], line.commits[2], line.commits[1]]
        revisions = Revisions([line.commits[3]], [line.commits[0]])
        assert list_introduced(view, revisions, switch, count_max=10) == newest_first
        assert len(list_introduced(view, Revisions([line.commits[3]]), switch, count_max=2)) == 2
        assert list_introduced(view, Revisions([ABSENT]), switch, count_max=10) == []


def test_an_empty_repository_has_no_commits_to_list(node: Node, stored: Repo) -> None:
    with RepoView(node, stored) as view:
        assert list_introduced(view, Revisions([ABSENT]), KillSwitch(), count_max=10) == []
