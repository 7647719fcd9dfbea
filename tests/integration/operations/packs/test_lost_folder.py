"""A node with the database of another and an empty data folder: listed packs are lost, never absent.

The database has the journal, so a repository that consists of rows is not lost.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from packhouse.auth.principal import Principal, operator_principal
from packhouse.config import Config
from packhouse.db.refs import get_ref
from packhouse.db.repos import Repo
from packhouse.git.commands.grep import GrepQuery
from packhouse.git.commands.rev_list import Revisions
from packhouse.git.objects.codec import MODE_FILE
from packhouse.git.objects.tree_path import TreePath
from packhouse.git.oid import Oid, hash_object
from packhouse.git.refname import PERSISTENT
from packhouse.limits import DEFAULT_LIMITS, Limits
from packhouse.node.node import Node, open_node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.commits.add_commit import CommitFacts, NewCommit
from packhouse.operations.commits.commit_target import CommitTarget
from packhouse.operations.commits.start_commit import FileChange, StartCommit, start_commit
from packhouse.operations.reading.grep_files import GrepFiles, grep_files
from packhouse.operations.reading.list_commits import ListCommits, list_commits
from packhouse.operations.reading.list_files import ListFiles, list_files
from packhouse.operations.reading.open_file import OpenFile, open_file
from packhouse.operations.reading.read_commit import ReadCommit, read_commit
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.operations.tenants.create_org import CreateOrg, create_org
from packhouse.operations.tenants.orgs import read_org
from packhouse.repository.damage import RepositoryDamaged
from packhouse.repository.upkeep.sweep import adopt_all, sweep
from packhouse.repository.view import RepoView, open_view
from tests.support.builders.node_writes import ADA, MAIN, journal_packs, pack_states
from tests.support.builders.packs import list_packs, repo_dir, stored_names
from tests.support.builders.upkeep import consolidate, flush
from tests.support.limits import EITHER_WAY, STORED
from tests.support.servers.postgres import PostgresServer

Read = Callable[[Node, Principal], object]
CONTENT = b"a needle\n"


def commit(node: Node, caller: Principal, name: str, content: bytes = CONTENT) -> NewCommit:
    """Put a commit with the file `a` on main."""
    changes = [FileChange(TreePath(b"a"), "c", MODE_FILE)]
    facts = CommitFacts(b"m\n", ADA, ADA)
    command = StartCommit(name, CommitTarget(PERSISTENT, MAIN), facts, changes)
    with start_commit(node, caller, command) as making:
        making.add_chunk("c", content, eof=True)
        return making.commit()


@pytest.fixture(params=["sqlite", "postgres"])
def whole(request: pytest.FixtureRequest, tmp_path: Path) -> Config:
    """The settings of a closed node: repository r has two stored commits, `rows` one in the journal, `empty` none."""
    url = ""
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = server.new_database()
    config = Config(data=tmp_path / "whole", database=url)
    node = open_node(config, limits=STORED)
    org = create_org(node, CreateOrg("acme"))
    caller = operator_principal(org.id, org.name)
    create_repo(node, caller, CreateRepo("empty"))
    create_repo(node, caller, CreateRepo("r"))
    create_repo(node, caller, CreateRepo("rows"))
    commit(node, caller, "r", b"first\n")
    commit(node, caller, "r")
    node.close()
    node = open_node(config)
    commit(node, caller, "rows")
    node.close()
    return config


@pytest.fixture
def limits() -> Limits:
    return DEFAULT_LIMITS


@pytest.fixture
def node(whole: Config, tmp_path: Path, limits: Limits) -> Iterator[Node]:
    """A node with the same rows and without any file."""
    folder = tmp_path / "lost"
    folder.mkdir()
    for file in whole.data.glob("packhouse.db*"):
        shutil.copy(file, folder)
    node = open_node(Config(data=folder, database=whole.database), limits=limits)
    yield node
    node.close()


@pytest.fixture
def caller(node: Node) -> Principal:
    """A caller who may do everything in organisation acme."""
    with node.database.read() as session:
        org = read_org(session, "acme")
    return operator_principal(org.id, org.name)


@pytest.fixture
def repo(node: Node, caller: Principal) -> Repo:
    return lookup_repo(node, caller, "r")


def tip_of(node: Node, repo: Repo) -> Oid:
    with node.database.read() as session:
        ref = get_ref(session, repo.id, PERSISTENT, MAIN)
    assert ref is not None
    return ref.oid


def find(node: Node, caller: Principal, name: str = "r") -> object:
    return open_file(node, caller, OpenFile(name, b"a"))


def list_all(node: Node, caller: Principal) -> object:
    return list_files(node, caller, ListFiles("r", "main"))


def list_history(node: Node, caller: Principal, path: bytes | None = None) -> object:
    return list_commits(node, caller, ListCommits("r", "main", path=path, count_max=10))


def grep(node: Node, caller: Principal) -> object:
    query = GrepQuery("needle", case_sensitive=True, before=0, after=0, file_matches_max=9)
    return grep_files(node, caller, GrepFiles("r", query, "main", matches_max=9, lines_max=9))


def read_with_git(node: Node, caller: Principal) -> object:
    with open_view(node, lookup_repo(node, caller, "r")) as view:
        return list(view.git.iter_objects(Revisions([tip_of(node, view.repo)]), timeout_s=60))


def read_unknown(node: Node, caller: Principal) -> object:
    with open_view(node, lookup_repo(node, caller, "r")) as view:
        return view.kind_and_size(Oid("1" * 40))


READS: dict[str, Read] = {
    "file": find,
    "files": list_all,
    "commit": lambda node, caller: read_commit(node, caller, ReadCommit("r", "main")),
    "commit by id": lambda node, caller: read_commit(
        node, caller, ReadCommit("r", tip_of(node, lookup_repo(node, caller, "r")))
    ),
    "history": list_history,
    "history of a path": lambda node, caller: list_history(node, caller, b"a"),
    "search": grep,
    "git": read_with_git,
    "object that never was": read_unknown,
}


@pytest.mark.parametrize("read", READS)
def test_reads_of_listed_packs_answer_that_they_are_damaged(node: Node, caller: Principal, read: str) -> None:
    for _ in range(2):  # damage that is noted already is reported as well
        with pytest.raises(RepositoryDamaged):
            READS[read](node, caller)


def test_the_repository_is_not_empty(node: Node, caller: Principal, repo: Repo) -> None:
    with RepoView(node, repo) as view:
        assert not view.is_empty
        view.packs()
        assert not view.is_empty
    with RepoView(node, lookup_repo(node, caller, "empty")) as view:
        assert view.is_empty


@EITHER_WAY
def test_a_commit_on_top_is_refused_and_leaves_nothing(node: Node, caller: Principal, repo: Repo) -> None:
    before, tip, states = list_packs(node, repo), tip_of(node, repo), pack_states(node, repo)
    assert len(before) == 2
    in_scratch = sorted(node.store.scratch_dir().iterdir())
    with pytest.raises(RepositoryDamaged):
        commit(node, caller, "r", b"third\n")
    assert (list_packs(node, repo), tip_of(node, repo)) == (before, tip)
    assert journal_packs(node, repo) == []
    assert pack_states(node, repo) == states
    assert stored_names(node, repo) == set()
    assert sorted(node.store.scratch_dir().iterdir()) == in_scratch


def test_no_background_work_unlists_the_lost_packs(node: Node, repo: Repo) -> None:
    before, states = list_packs(node, repo), pack_states(node, repo)
    sweep(node)
    assert adopt_all(node, lambda: False) == 0
    assert consolidate(node, repo.public_id) == 0
    assert (list_packs(node, repo), pack_states(node, repo)) == (before, states)


@EITHER_WAY
def test_other_repositories_are_read_and_written(node: Node, caller: Principal) -> None:
    with pytest.raises(RepositoryDamaged):
        find(node, caller)
    commit(node, caller, "empty")
    create_repo(node, caller, CreateRepo("new"))
    commit(node, caller, "new")
    for name in ("empty", "new", "rows"):
        assert find(node, caller, name)
        with RepoView(node, lookup_repo(node, caller, name)) as view:
            assert view.read(hash_object("blob", CONTENT)) == ("blob", CONTENT)
    with pytest.raises(RepositoryDamaged):
        find(node, caller)


def test_a_repository_of_which_all_packs_are_rows_is_whole(node: Node, caller: Principal) -> None:
    repo = lookup_repo(node, caller, "rows")
    with RepoView(node, repo) as view:
        assert view.read(hash_object("blob", CONTENT)) == ("blob", CONTENT)
        assert len(list(view.git.iter_objects(Revisions([tip_of(node, repo)]), timeout_s=60))) == 3
    commit(node, caller, "rows", b"more\n")
    assert flush(node, repo.public_id) == 2
    assert find(node, caller, "rows")
    assert len(stored_names(node, repo)) == 1


def test_the_loss_is_logged_once(node: Node, caller: Principal, caplog: pytest.LogCaptureFixture) -> None:
    for read in READS.values():
        with pytest.raises(RepositoryDamaged):
            read(node, caller)
    told = [record for record in caplog.records if record.message == "stored data is damaged"]
    assert len({(record.fields["pack"], record.fields["reason"]) for record in told}) == len(told)  # type: ignore[attr-defined]  # log_event adds them
    assert 1 <= len(told) <= 3, "two packs, or the folder of both"


def test_packs_that_are_put_back_are_read_again(
    whole: Config, node: Node, caller: Principal, repo: Repo
) -> None:
    with pytest.raises(RepositoryDamaged):
        find(node, caller)
    target = repo_dir(node, repo.public_id)
    shutil.copytree(whole.data / target.relative_to(node.config.data), target)
    assert find(node, caller)
    assert list_history(node, caller, b"a")
    commit(node, caller, "r", b"third\n")
