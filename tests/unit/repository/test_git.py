"""The commands of an opened repository run where the repository is now, and it checks git's complaints."""

import inspect
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from packhouse.git.commands.environment import GitPlace
from packhouse.git.commands.kill_switch import KillSwitch
from packhouse.git.commands.rev_list import Revisions
from packhouse.git.commands.run import AtPlace, GitFailed
from packhouse.repository.git import RepoGit
from tests.support.clients.git import Git
from tests.support.clients.git_runner import DamageTold, WorkTree

pytestmark = pytest.mark.quick


@pytest.fixture
def work(tmp_path: Path) -> WorkTree:
    return WorkTree(Git(tmp_path / "home"), tmp_path / "work")


class Moving:
    """A repository that is at another place at each call."""

    def __init__(self, *places: GitPlace) -> None:
        self.places = list(places)

    def place(self) -> GitPlace:
        return self.places.pop(0)

    def check(self, complaint: GitFailed, *, may_lack: bool = False) -> None:
        raise AssertionError(complaint)


def test_each_command_is_a_function_whose_first_argument_is_a_runner() -> None:
    commands = {
        name: function
        for name, function in vars(RepoGit).items()
        if not name.startswith("_") and name not in ("place", "check")
    }
    assert commands
    for name, function in commands.items():
        assert function.__module__.startswith("packhouse.git.commands."), name
        assert next(iter(inspect.signature(function).parameters)) == "runner", name


def test_a_command_sees_the_repository_as_it_is_when_it_starts(work: WorkTree, tmp_path: Path) -> None:
    tip = work.commit({"a": b"a\n"})
    work.run("clone", "--quiet", "--bare", work.folder, tmp_path / "other")
    later = work.commit({"a": b"b\n"})
    git = RepoGit(Moving(work.place(), GitPlace(tmp_path / "other")))
    assert git.list_commits(Revisions([later]), count_max=9) == [later, tip]
    with pytest.raises(GitFailed):
        git.list_commits(Revisions([later]), count_max=9)


def test_the_repository_checks_gits_complaints(work: WorkTree) -> None:
    tip = work.commit({"a": b"a\n"})
    work.remove(work.oid("HEAD:a"))
    git = RepoGit(work)
    assert not git.is_connected(Revisions([tip]), switch=KillSwitch())
    assert [may_lack for _, may_lack in work.complaints] == [True]
    work.is_strict = True
    with pytest.raises(DamageTold):
        git.is_connected(Revisions([tip]), switch=KillSwitch())


def test_git_at_one_place_runs_in_several_threads(work: WorkTree) -> None:
    commits = [work.commit({"a": b"%d" % number}) for number in range(4)]
    git = RepoGit(AtPlace(work.place()))
    with ThreadPoolExecutor(4) as threads:
        counts = list(threads.map(lambda commit: git.count_commits(Revisions([commit])), commits))
    assert counts == [1, 2, 3, 4]
