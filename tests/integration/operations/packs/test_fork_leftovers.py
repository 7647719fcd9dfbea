"""Leftovers of a crash while a repository was filled with objects, and their removal.

Until such a repository is complete, its row is that of a deleted repository. The row is made when the objects are ready
to be stored.
"""

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from packhouse.auth.principal import Principal
from packhouse.config import Config
from packhouse.db.packs import PackNotIncoming
from packhouse.db.ref_transaction import RefUpdate
from packhouse.db.refs import list_refs
from packhouse.db.repos import Repo, RepoExists, RepoNotFound, find_repo_by_id
from packhouse.git.refname import PERSISTENT
from packhouse.ids import RepoId
from packhouse.limits import DEFAULT_LIMITS, Limits
from packhouse.node.node import Node, open_node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.repos import fill_repo as fill_module
from packhouse.operations.repos import fork_repo as fork_module
from packhouse.operations.repos.bases import ForkBase
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.operations.repos.fill_repo import FilledRepo, fill_repo
from packhouse.operations.repos.fork_repo import ForkRepo, fork_repo
from packhouse.operations.repos.list_repos import ListRepos, list_repos
from packhouse.operations.repos.repo_info import RepoInfo
from packhouse.operations.repos.undelete_repo import UndeleteRepo, undelete_repo
from packhouse.repository import stored_packs
from packhouse.repository.refs import writer as ref_writer
from packhouse.repository.refs.resolve import RefNotFound
from packhouse.repository.upkeep.sweep import sweep
from packhouse.repository.view import RepoView
from packhouse.repository.write import Write
from tests.support.builders.node_writes import (
    MAIN,
    journal_packs,
    pack_states,
    put_commit,
    write_commit_object,
)
from tests.support.builders.packs import make_repo_dir, stored_names
from tests.support.limits import EITHER_WAY, STORED

SPAWN = multiprocessing.get_context("spawn")
START = 1000  # of the node's clock


@pytest.fixture
def limits() -> Limits:
    """Every write stores a pack, if a test does not ask for the journal."""
    return STORED


@pytest.fixture
def base(node: Node, caller: Principal) -> Repo:
    """Return an empty repository, the base of the others."""
    create_repo(node, caller, CreateRepo("base"))
    return lookup_repo(node, caller, "base")


def fill(node: Node, caller: Principal, base: Repo, name: str) -> RepoInfo:
    """Create a repository that starts with one commit."""
    with RepoView(node, base) as view, Write(view) as write:
        updates = [RefUpdate(PERSISTENT, MAIN, None, write_commit_object(write))]
        return fill_repo(node, caller, FilledRepo(name, "main", updates, "fork"), write, receipt=None)


def names_of(node: Node, caller: Principal) -> list[str]:
    return [repo.name for repo in list_repos(node, caller, ListRepos()).repos]


def die(*_arguments: object, **_options: object) -> None:
    """End like a process in a power cut."""
    os.kill(os.getpid(), signal.SIGKILL)


def find_unborn(node: Node, base: Repo) -> Repo:
    """Return the repository that was inserted after the base."""
    with node.database.read() as session:
        unborn = find_repo_by_id(session, base.id + 1)
    assert unborn is not None
    return unborn


def fill_and_die(config: Config, limits: Limits, caller: Principal, base: Repo, step: str) -> None:
    """Fill a repository in a process that is killed at a step."""
    node = open_node(config, limits=limits)
    node.clock = lambda: START
    with pytest.MonkeyPatch.context() as patch:
        places: dict[str, tuple[object, str]] = {
            "before the pack's row": (stored_packs, "insert_incoming_pack"),
            "before the file": (node.store, "put"),
            "before the refs": (fill_module, "bear_repo"),
            "before the commit": (ref_writer, "apply_ref_updates"),
        }
        patch.setattr(*places[step], die)
        fill(node, caller, base, "shop")


def fill_in_a_process_that_dies(node: Node, caller: Principal, base: Repo, step: str) -> None:
    process = SPAWN.Process(target=fill_and_die, args=(node.config, node.limits, caller, base, step))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("step", "states", "files"),
    [
        ("before the pack's row", [], 0),
        ("before the file", ["incoming"], 0),
        ("before the refs", ["incoming"], 1),
        ("before the commit", ["incoming"], 1),
    ],
)
def test_a_crash_leaves_a_row_that_nobody_finds_and_packs_that_the_sweeper_removes(
    node: Node, caller: Principal, base: Repo, step: str, states: list[str], files: int
) -> None:
    fill_in_a_process_that_dies(node, caller, base, step)
    assert names_of(node, caller) == ["base"]
    unborn = find_unborn(node, base)
    with pytest.raises(RepoNotFound):
        lookup_repo(node, caller, "shop")
    with pytest.raises(RepoNotFound):
        undelete_repo(node, caller, UndeleteRepo("shop"))
    assert list(pack_states(node, unborn).values()) == states
    assert len(stored_names(node, unborn)) == files
    node.clock = lambda: START + node.limits.incoming_grace_s - 1
    sweep(node)
    assert list(pack_states(node, unborn).values()) == states, "somebody may be filling it"
    node.clock = lambda: START + node.limits.incoming_grace_s
    sweep(node)
    assert pack_states(node, unborn) == {}
    assert list(node.store.iter_repo_ids()) == []
    made = fill(node, caller, base, "shop")
    assert names_of(node, caller) == ["base", "shop"]
    assert made.public_id != unborn.public_id


@pytest.mark.parametrize("limits", [DEFAULT_LIMITS], ids=["journal"])
@pytest.mark.parametrize("step", ["before the refs", "before the commit"])
def test_a_crash_before_the_commit_leaves_a_row_that_nobody_finds_and_no_journal(
    node: Node, caller: Principal, base: Repo, step: str
) -> None:
    fill_in_a_process_that_dies(node, caller, base, step)
    assert names_of(node, caller) == ["base"]
    unborn = find_unborn(node, base)
    with pytest.raises(RepoNotFound):
        undelete_repo(node, caller, UndeleteRepo("shop"))
    assert (journal_packs(node, unborn), pack_states(node, unborn)) == ([], {})
    fill(node, caller, base, "shop")
    assert len(journal_packs(node, lookup_repo(node, caller, "shop"))) == 1


@EITHER_WAY
def test_a_complete_repository_survives_every_sweep(node: Node, caller: Principal, base: Repo) -> None:
    public_id = fill(node, caller, base, "shop").public_id
    node.clock = lambda: START + 2 * node.limits.incoming_grace_s
    sweep(node)
    repo = lookup_repo(node, caller, "shop")
    if node.limits.journal_pack_max_bytes:
        assert len(journal_packs(node, repo)) == 1
    else:
        assert list(node.store.iter_repo_ids()) == [public_id]
        assert set(pack_states(node, repo).values()) == {"live"}
    with RepoView(node, repo) as view, node.database.read() as session:
        assert [view.kind_and_size(ref.oid) is not None for ref in list_refs(session, repo.id)] == [True]


def test_a_repository_that_was_filled_for_too_long_is_refused_and_nobody_finds_it(
    node: Node, caller: Principal, base: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = node.store.put

    def put_and_wait(repo_id: RepoId, name: str, pack: Path, idx: Path) -> None:
        put(repo_id, name, pack, idx)
        node.clock = lambda: START + node.limits.incoming_grace_s
        assert sweep(node) == 1

    monkeypatch.setattr(node.store, "put", put_and_wait)
    with pytest.raises(PackNotIncoming):
        fill(node, caller, base, "shop")
    assert names_of(node, caller) == ["base"]
    assert list(node.store.iter_repo_ids()) == []


def test_a_folder_without_a_row_is_left_alone(node: Node, caller: Principal) -> None:
    folder = make_repo_dir(node, "repo_zzzz9999")
    node.clock = lambda: START + 2 * node.limits.incoming_grace_s
    sweep(node)
    assert folder.exists()


@EITHER_WAY
def test_a_fork_that_loses_the_race_for_its_name_leaves_no_pack(
    node: Node, caller: Principal, base: Repo
) -> None:
    with pytest.raises(RepoExists):
        fill(node, caller, base, "base")
    assert list(node.store.iter_repo_ids()) == []
    unborn = find_unborn(node, base)
    assert (journal_packs(node, unborn), pack_states(node, unborn)) == ([], {})


def test_a_fork_that_is_refused_before_it_stores_anything_leaves_no_row(
    node: Node, caller: Principal, base: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_commit(node, caller, base)
    monkeypatch.setattr(fork_module, "open_source", lambda *_: base)  # without a token for it
    with pytest.raises(RepoExists):
        fork_repo(node, caller, ForkRepo("base", ForkBase("base", "")))
    with pytest.raises(RefNotFound):
        fork_repo(node, caller, ForkRepo("shop", ForkBase("base", "", ref="nowhere")))
    with node.database.read() as session:
        assert find_repo_by_id(session, base.id + 1) is None
