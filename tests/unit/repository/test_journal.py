"""Reading the journal: from memory, from SQL, and while another process flushes it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from packhouse.auth.principal import Principal
from packhouse.db.journal import list_journal_packs
from packhouse.db.packs import list_packs
from packhouse.db.repos import Repo
from packhouse.db.session import Session
from packhouse.git.objects.reader import ObjectMissing, ObjectOfOtherKind
from packhouse.git.oid import Oid, hash_object
from packhouse.node.node import Node
from packhouse.operations.repos.delete_repo import DeleteRepo, delete_repo
from packhouse.repository.damage import RepositoryDamaged
from packhouse.repository.journal import HeldJournal, JournalReader, NoObjects, hold_journal
from packhouse.repository.packs import GONE, read_packs
from packhouse.repository.view import RepoView
from tests.support.builders.node_writes import journal_packs, put_commit
from tests.support.builders.small_packs import small_pack
from tests.support.builders.upkeep import flush

pytestmark = pytest.mark.quick


@pytest.fixture
def commits(node: Node, caller: Principal, repo: Repo) -> list[Oid]:
    """Three commits, each in a row of its own."""
    return [put_commit(node, caller, repo, message=b"%d\n" % number) for number in range(3)]


def hold(node: Node, repo: Repo) -> HeldJournal:
    return hold_journal(node, repo, read_packs(node, repo, fresh=True))


def corrupt(node: Node, repo: Repo, name: str) -> None:
    """Change a byte of a row, as a failing disk does."""
    with node.database.write() as session:
        rows = list_journal_packs(session, repo.id, first=0, last=2**31)
        (pack,) = [pack for _, of, pack in rows if of == name]
        changed = pack[:20] + bytes([pack[20] ^ 0xFF]) + pack[21:]
        session.define(f"UPDATE journal SET pack = x'{changed.hex()}' WHERE name = '{name}'")
    node.journal_packs.clear()


def test_the_packs_are_read_once_and_kept(node: Node, repo: Repo, commits: list[Oid]) -> None:
    assert [commit in pack for pack, commit in zip(hold(node, repo).packs, commits, strict=True)] == [
        True
    ] * 3
    node.journal_packs.clear()
    first, second = hold(node, repo), hold(node, repo)
    assert all(one is other for one, other in zip(first.packs, second.packs, strict=True))
    assert [pack.pack.name for pack in first.packs] == journal_packs(node, repo)


def test_only_the_rows_that_are_not_in_memory_are_read(node: Node, repo: Repo, commits: list[Oid]) -> None:
    names = journal_packs(node, repo)
    kept = node.journal_packs.get(names[1])
    node.journal_packs.pop(names[0])
    node.journal_packs.pop(names[2])
    held = hold(node, repo)
    assert held.packs[1] is kept
    assert [commit in pack for pack, commit in zip(held.packs, commits, strict=True)] == [True] * 3


@contextmanager
def flushing_before_rows_are_read(node: Node, repo: Repo, patch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Let another process flush the journal between the reading of a list and that of its rows."""
    real, flushed = node.database.read, list[int]()

    @contextmanager
    def read() -> Iterator[Session]:
        if not flushed:
            flushed.append(0)
            flushed[0] = flush(replace(node), repo.public_id)
        with real() as session:
            yield session

    with patch.context() as context:
        context.setattr(node.database, "read", read, raising=False)
        yield flushed


def test_rows_that_are_flushed_meanwhile_are_read_from_the_stored_pack(
    node: Node, repo: Repo, commits: list[Oid], monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = read_packs(node, repo, fresh=True)
    node.journal_packs.clear()
    with flushing_before_rows_are_read(node, repo, monkeypatch) as flushed:
        held = hold_journal(node, repo, listed)
    assert flushed == [3]
    assert (held.packs, held.listed.journal, len(held.listed.packs)) == ((), (), 1)
    with RepoView(node, repo) as view:
        assert [view.read(commit)[0] for commit in commits] == ["commit"] * 3


def test_rows_in_memory_serve_a_view_that_was_opened_before_the_flush(
    node: Node, repo: Repo, commits: list[Oid]
) -> None:
    with RepoView(node, repo) as view:
        assert view.read(commits[0])[0] == "commit"
        flush(node, repo.public_id)
        assert [view.read(commit)[0] for commit in commits] == ["commit"] * 3


def test_the_journal_of_a_repository_that_is_deleted_meanwhile_is_empty(
    node: Node, caller: Principal, repo: Repo, commits: list[Oid]
) -> None:
    with node.database.read() as session:
        listed = list_packs(session, repo.id)
    assert listed is not None and len(listed.journal) == len(commits)
    node.journal_packs.clear()
    delete_repo(node, caller, DeleteRepo("shop"))
    with node.database.write() as session:
        session.run("delete_journal_page", repo_id=repo.id, limit=1000)
    assert hold_journal(node, repo, listed) == HeldJournal(GONE)


def test_a_damaged_row_hides_only_its_own_objects(
    node: Node, caller: Principal, repo: Repo, commits: list[Oid], caplog: pytest.LogCaptureFixture
) -> None:
    damaged = journal_packs(node, repo)[1]
    corrupt(node, repo, damaged)
    with RepoView(node, repo) as view:
        for commit in (commits[0], commits[2]):
            assert view.read(commit)[0] == "commit"
        with pytest.raises(RepositoryDamaged):
            view.read(commits[1])
        with pytest.raises(RepositoryDamaged):
            view.read(commits[1])
    errors = [record for record in caplog.records if record.message == "stored data is damaged"]
    assert len(errors) == 1, "the damage is logged once"
    assert put_commit(node, caller, repo, message=b"goes on\n") is not None


def test_a_flush_leaves_a_damaged_row_where_it_is(node: Node, repo: Repo, commits: list[Oid]) -> None:
    damaged = journal_packs(node, repo)[0]
    corrupt(node, repo, damaged)
    assert flush(node, repo.public_id) == 2
    assert journal_packs(node, repo) == [damaged]
    with RepoView(node, repo) as view:
        assert [view.read(commit)[0] for commit in commits[1:]] == ["commit"] * 2
        with pytest.raises(RepositoryDamaged):
            view.read(commits[0])


# JournalReader


def test_a_reader_looks_in_all_packs_and_then_beneath() -> None:
    opened = []

    def open_beneath() -> JournalReader:
        opened.append(1)
        return JournalReader([small_pack("c", b"three")], NoObjects)

    reader = JournalReader([small_pack("a", b"one"), small_pack("b", b"two")], open_beneath)
    for content in (b"one", b"two"):
        oid = hash_object("blob", content)
        assert reader.read(oid) == ("blob", content)
        assert reader.kind_and_size(oid) == ("blob", len(content))
    assert opened == []
    assert reader.read(hash_object("blob", b"three"), kind="blob") == ("blob", b"three")
    assert reader.kind_and_size(hash_object("blob", b"four")) is None
    assert opened == [1]
    with pytest.raises(ObjectMissing):
        reader.read(hash_object("blob", b"four"))
    with pytest.raises(ObjectOfOtherKind):
        reader.read(hash_object("blob", b"one"), kind="tree")
