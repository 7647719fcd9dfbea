"""Stored packs of a write whose refs do not move: at no step does a live pack remain, nor a file for ever."""

import pytest

from packhouse.auth.principal import Principal
from packhouse.db.packs import PackNotIncoming, delete_pack_rows
from packhouse.db.ref_transaction import RefMismatch, RefUpdate
from packhouse.db.refs import get_ref
from packhouse.db.repos import Repo
from packhouse.errors import Unavailable
from packhouse.git.commands.rev_list import Revisions
from packhouse.git.oid import Oid
from packhouse.git.refname import PERSISTENT
from packhouse.limits import Limits
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.repository import stored_packs
from packhouse.repository.stored_packs import sweep_packs
from packhouse.repository.view import RepoView
from packhouse.repository.write import Write
from tests.support.builders.node_writes import (
    MAIN,
    journal_packs,
    move_refs,
    pack_states,
    put_commit,
    write_commit_object,
)
from tests.support.builders.packs import list_packs, stored_names
from tests.support.limits import EITHER_WAY, STORED

START = 1000  # of the node's clock
WRONG = Oid("1" * 40)


@pytest.fixture
def limits() -> Limits:
    """Every write stores a pack, if a test does not ask for the journal."""
    return STORED


@pytest.fixture
def repo(node: Node, caller: Principal) -> Repo:
    """An empty repository."""
    create_repo(node, caller, CreateRepo("repo"))
    return lookup_repo(node, caller, "repo")


def tip_of(node: Node, repo: Repo) -> Oid | None:
    with node.database.read() as session:
        ref = get_ref(session, repo.id, PERSISTENT, MAIN)
    return None if ref is None else ref.oid


def is_there(node: Node, repo: Repo, oid: Oid) -> bool:
    with RepoView(node, repo) as view:
        return view.kind_and_size(oid) is not None


def test_a_pack_is_incoming_until_a_ref_transaction_lists_it(
    node: Node, caller: Principal, repo: Repo
) -> None:
    with RepoView(node, repo) as view, Write(view) as write:
        commit = write_commit_object(write)
        (pack,) = write.publish(may_journal=False).packs
        assert pack_states(node, repo) == {pack.name: "incoming"}
        assert stored_names(node, repo) == {pack.name}
        assert list_packs(node, repo) == []
        assert not is_there(node, repo, commit), "nobody else sees it"
        move_refs(node, caller, repo, RefUpdate(PERSISTENT, MAIN, None, commit), write=write)
    assert pack_states(node, repo) == {pack.name: "live"}
    assert list_packs(node, repo) == [pack]
    assert is_there(node, repo, commit)


def test_a_ref_transaction_that_fails_leaves_no_live_pack_and_no_file(
    node: Node, caller: Principal, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    delete = node.store.delete

    def delete_and_look(repo_id: str, names: list[str]) -> set[str]:
        seen.append(list(pack_states(node, repo).values()))
        assert stored_names(node, repo)
        return delete(repo_id, names)

    monkeypatch.setattr(node.store, "delete", delete_and_look)
    with RepoView(node, repo) as view, Write(view) as write:
        commit = write_commit_object(write)
        with pytest.raises(RefMismatch):
            move_refs(node, caller, repo, RefUpdate(PERSISTENT, MAIN, WRONG, commit), write=write)
        assert list(pack_states(node, repo).values()) == ["incoming"]
        assert list_packs(node, repo) == []
        assert len(stored_names(node, repo)) == 1
    assert seen == [["deleting"]], "the row says so before the file goes"
    assert pack_states(node, repo) == {}
    assert stored_names(node, repo) == set()
    assert not is_there(node, repo, commit)


def test_a_later_attempt_lists_the_packs_of_an_earlier_one_that_failed(
    node: Node, caller: Principal, repo: Repo
) -> None:
    with RepoView(node, repo) as view, Write(view) as write:
        first = write_commit_object(write)
        with pytest.raises(RefMismatch):
            move_refs(node, caller, repo, RefUpdate(PERSISTENT, MAIN, WRONG, first), write=write)
        second = write_commit_object(write, first)
        move_refs(node, caller, repo, RefUpdate(PERSISTENT, MAIN, None, second), write=write)
    assert list(pack_states(node, repo).values()) == ["live", "live"]
    assert stored_names(node, repo) == {pack.name for pack in list_packs(node, repo)}
    with RepoView(node, repo) as view:
        assert view.git.list_commits(Revisions([second]), count_max=9) == [second, first]


@EITHER_WAY
def test_a_write_without_new_objects_lists_nothing(node: Node, caller: Principal, repo: Repo) -> None:
    commit = put_commit(node, caller, repo)
    before = list_packs(node, repo), journal_packs(node, repo)
    assert len(before[0]) + len(before[1]) == 1
    with RepoView(node, repo) as view, Write(view) as write:
        move_refs(node, caller, repo, RefUpdate(PERSISTENT, MAIN, commit, commit), write=write)
    assert (list_packs(node, repo), journal_packs(node, repo)) == before


def test_a_writer_that_paused_for_too_long_must_retry(node: Node, caller: Principal, repo: Repo) -> None:
    with RepoView(node, repo) as view, Write(view) as write:
        commit = write_commit_object(write)
        write.publish(may_journal=False)
        node.clock = lambda: START + node.limits.incoming_grace_s
        assert sweep_packs(node) == 1
        with pytest.raises(PackNotIncoming) as refused:
            move_refs(node, caller, repo, RefUpdate(PERSISTENT, MAIN, None, commit), write=write)
    assert isinstance(refused.value, Unavailable)
    assert tip_of(node, repo) is None
    assert list_packs(node, repo) == []
    assert (pack_states(node, repo), stored_names(node, repo)) == ({}, set())
    assert put_commit(node, caller, repo) == commit, "the same request stores it anew"
    assert tip_of(node, repo) == commit
    assert is_there(node, repo, commit)


def test_a_pack_that_is_being_deleted_is_not_made_live(
    node: Node, caller: Principal, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of the pack still exists: the sweeper died after it changed the row and before it deleted the file."""
    monkeypatch.setattr(stored_packs, "delete_packs", lambda *_: 0)
    with RepoView(node, repo) as view, Write(view) as write:
        commit = write_commit_object(write)
        (pack,) = write.publish(may_journal=False).packs
        node.clock = lambda: START + node.limits.incoming_grace_s
        sweep_packs(node)
        with pytest.raises(PackNotIncoming):
            move_refs(node, caller, repo, RefUpdate(PERSISTENT, MAIN, None, commit), write=write)
    assert tip_of(node, repo) is None
    assert pack_states(node, repo) == {pack.name: "deleting"}
    assert stored_names(node, repo) == {pack.name}
    monkeypatch.undo()
    node.clock = lambda: START + node.limits.incoming_grace_s
    assert sweep_packs(node) == 1
    assert (pack_states(node, repo), stored_names(node, repo)) == ({}, set())


def test_a_file_stored_after_its_row_was_deleted_is_removed_by_its_writer(
    node: Node, caller: Principal, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer paused between row and file."""
    put = node.store.put

    def put_late(*arguments: object) -> None:
        node.clock = lambda: START + node.limits.incoming_grace_s
        assert sweep_packs(node) == 1
        put(*arguments)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(node.store, "put", put_late)
    with RepoView(node, repo) as view, Write(view) as write:
        commit = write_commit_object(write)
        with pytest.raises(PackNotIncoming):
            move_refs(node, caller, repo, RefUpdate(PERSISTENT, MAIN, None, commit), write=write)
    assert (pack_states(node, repo), stored_names(node, repo)) == ({}, set())


def test_a_file_whose_row_is_deleted_at_that_moment_is_removed_by_its_writer(
    node: Node, caller: Principal, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweeper found no file, and deletes the row while the writer discards the pack."""
    real = stored_packs.delete_packs

    def strike_off_first(node: Node, *arguments: object) -> int:
        with node.database.write() as session:
            assert delete_pack_rows(session, repo.id, pack_states(node, repo)) == 1
        return real(node, *arguments)  # type: ignore[arg-type]  # passed on as they came

    with RepoView(node, repo) as view, Write(view) as write:
        write_commit_object(write)
        write.publish(may_journal=False)
        monkeypatch.setattr(stored_packs, "delete_packs", strike_off_first)
    assert (pack_states(node, repo), stored_names(node, repo)) == ({}, set())


@pytest.mark.parametrize("step", ["insert_incoming_pack", "put"])
def test_a_store_that_fails_leaves_nothing(
    node: Node, caller: Principal, repo: Repo, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    place = node.store if step == "put" else stored_packs
    monkeypatch.setattr(place, step, fail)
    with RepoView(node, repo) as view, Write(view) as write:
        commit = write_commit_object(write)
        with pytest.raises(OSError, match="No space left"):
            move_refs(node, caller, repo, RefUpdate(PERSISTENT, MAIN, None, commit), write=write)
    assert tip_of(node, repo) is None
    assert (pack_states(node, repo), stored_names(node, repo)) == ({}, set())


def publish_and_die(node: Node, repo: Repo, content: bytes) -> None:
    """Store a pack that is never listed."""
    with RepoView(node, repo) as view:
        write = Write(view)  # its process dies, so its block is never left
        write.writer.add_object("blob", content)
        write.publish(may_journal=False)


def test_one_sweep_deletes_the_packs_of_many_dead_writers(node: Node, repo: Repo) -> None:
    node.limits = type(node.limits)(prune_batch=2)
    for number in range(5):
        publish_and_die(node, repo, b"%d" % number)
    assert len(stored_names(node, repo)) == 5
    node.clock = lambda: START + node.limits.incoming_grace_s
    assert sweep_packs(node) == 5
    assert (pack_states(node, repo), stored_names(node, repo)) == ({}, set())


@pytest.fixture
def other(node: Node, caller: Principal) -> Repo:
    """Another repository, empty too."""
    create_repo(node, caller, CreateRepo("other"))
    return lookup_repo(node, caller, "other")


def test_a_repository_that_misses_a_live_pack_keeps_its_other_packs_and_delays_no_sweep(
    node: Node, caller: Principal, repo: Repo, other: Repo
) -> None:
    """The rows may be those of a restored database, which does not know the pack that holds all objects."""
    node.limits = type(node.limits)(prune_batch=1)
    put_commit(node, caller, repo)
    (lost,) = stored_names(node, repo)
    publish_and_die(node, repo, b"1")
    publish_and_die(node, repo, b"2")
    publish_and_die(node, other, b"3")
    assert node.store.delete(repo.public_id, [lost]) == {lost}
    kept = stored_names(node, repo)
    node.clock = lambda: START + node.limits.incoming_grace_s
    assert sweep_packs(node) == 1
    assert stored_names(node, repo) == kept
    assert len(kept) == 2
    assert stored_names(node, other) == set()


def test_a_read_only_folder_does_not_delay_the_others(
    node: Node,
    repo: Repo,
    other: Repo,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    node.limits = type(node.limits)(prune_batch=1)
    publish_and_die(node, repo, b"1")
    publish_and_die(node, other, b"2")
    delete = node.store.delete

    def delete_elsewhere(repo_id: str, names: list[str]) -> set[str]:
        if repo_id == repo.public_id:
            raise OSError(1, "Operation not permitted")
        return delete(repo_id, names)

    monkeypatch.setattr(node.store, "delete", delete_elsewhere)
    node.clock = lambda: START + node.limits.incoming_grace_s
    assert sweep_packs(node) == 1
    assert "packs cannot be deleted" in caplog.messages
    assert (len(stored_names(node, repo)), stored_names(node, other)) == (1, set())
    monkeypatch.undo()
    assert sweep_packs(node) == 1
    assert stored_names(node, repo) == set()
