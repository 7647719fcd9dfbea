"""Damaged, incomplete and unknown packs in the background: logged, left out, completed, and never deleted if listed."""

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from packhouse.auth.principal import Principal
from packhouse.db.damage import list_damage
from packhouse.db.packs import replace_packs
from packhouse.db.ref_transaction import RefUpdate
from packhouse.db.repos import Repo, RepoNotFound
from packhouse.git.commands.run import GitFailed
from packhouse.git.oid import hash_object
from packhouse.git.refname import PERSISTENT, RefName
from packhouse.jobs.maintenance import maintain_packs
from packhouse.limits import Limits
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.operations.repos.delete_repo import DeleteRepo, delete_repo
from packhouse.repository.damage import RepositoryDamaged, mend
from packhouse.repository.packs import adopt
from packhouse.repository.stored_packs import sweep_packs
from packhouse.repository.upkeep.damage_report import find_lost_packs, recheck_damage
from packhouse.repository.upkeep.sweep import adopt_all, sweep
from packhouse.repository.view import RepoView
from packhouse.repository.write import Write
from tests.support.builders.node_writes import move_refs, pack_states, put_blob, put_commit
from tests.support.builders.packs import list_packs, pack_dir, stored_names, write_pack
from tests.support.builders.upkeep import consolidate
from tests.support.damage import cut, flip, flip_content, remove
from tests.support.waiting import wait_until

TWO_HOURS_S = 7200


@pytest.fixture
def limits() -> Limits:
    """Every write stores a pack, and packs are joined as soon as there are three."""
    return Limits(packs_before_consolidation=2, journal_pack_max_bytes=0)


@pytest.fixture
def repo(node: Node, caller: Principal) -> Repo:
    """An empty repository."""
    create_repo(node, caller, CreateRepo("repo"))
    return lookup_repo(node, caller, "repo")


def store(node: Node, repo: Repo, content: bytes) -> Path:
    """Store a pack of one blob, and list it; return its path."""
    return pack_dir(node, repo) / f"pack-{put_blob(node, repo, content)}.pack"


def name_of(pack: Path) -> str:
    return pack.stem.removeprefix("pack-")


def contents(count: int) -> list[bytes]:
    return [random.Random(number).randbytes(1000) for number in range(count)]


def holds(node: Node, repo: Repo, content: bytes) -> bool:
    with RepoView(node, repo) as view:
        return view.kind_and_size(hash_object("blob", content)) == ("blob", len(content))


def told(caplog: pytest.LogCaptureFixture, message: str) -> list[dict[str, object]]:
    return [record.fields for record in caplog.records if record.message == message]  # type: ignore[attr-defined]  # log_event adds it


def listed_names(node: Node, repo: Repo) -> set[str]:
    return {pack.name for pack in list_packs(node, repo)}


def test_a_missing_object_is_damage_while_a_ref_leads_to_it(
    node: Node, caller: Principal, repo: Repo
) -> None:
    side = RefName(b"refs/heads/side")
    put_commit(node, caller, repo)
    (kept,) = list_packs(node, repo)
    lost = put_commit(node, caller, repo, message=b"lost\n", refname=side)
    gone = [pack.name for pack in list_packs(node, repo) if pack != kept]
    with node.database.write() as session:
        assert replace_packs(session, repo.id, old=gone, new=[], state=node.new_state(), now=node.clock())
    with RepoView(node, repo) as view, pytest.raises(RepositoryDamaged):
        view.read(lost)
    assert recheck_damage(node) == 0
    move_refs(node, caller, repo, RefUpdate(PERSISTENT, side, lost, None))
    assert recheck_damage(node) == 1
    with node.database.read() as session:
        assert list_damage(session, limit=10) == []


@pytest.mark.parametrize("is_swept", [False, True], ids=["just now", "and cleaned"])
def test_objects_of_a_deleted_repository_are_not_damage(
    node: Node, caller: Principal, repo: Repo, is_swept: bool, caplog: pytest.LogCaptureFixture
) -> None:
    oid = put_commit(node, caller, repo)
    with RepoView(node, repo) as view:
        delete_repo(node, caller, DeleteRepo("repo"))
        if is_swept:
            node.store.remove_repo(repo.public_id)
        with pytest.raises(RepoNotFound), view.telling_damage():
            raise GitFailed("index-pack", messages=f"fatal: bad object {oid}")
    assert not told(caplog, "stored data is damaged")


@pytest.mark.parametrize(
    "fault", [flip_content, lambda pack: cut(pack, -1)], ids=["flipped bit", "a byte less"]
)
@pytest.mark.parametrize("in_process_max", [None, 0], ids=["joined here", "joined by git"])
def test_a_damaged_pack_is_set_aside_and_the_others_are_joined(
    node: Node,
    repo: Repo,
    fault: Callable[[Path], None],
    in_process_max: int | None,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if in_process_max is not None:
        monkeypatch.setattr("packhouse.repository.upkeep.consolidate._IN_PROCESS_MAX_BYTES", in_process_max)
    packs = [store(node, repo, content) for content in contents(6)]
    fault(packs[2])
    assert consolidate(node, repo.public_id) >= 4
    damaged = name_of(packs[2])
    assert packs[2].exists()
    assert damaged in listed_names(node, repo)
    assert len(listed_names(node, repo)) <= 3
    whole = contents(6)
    assert all(holds(node, repo, content) for number, content in enumerate(whole) if number != 2)
    for content in contents(12)[6:]:
        store(node, repo, content)
    assert consolidate(node, repo.public_id) >= 4
    (line,) = told(caplog, "stored data is damaged")
    assert (line["repo"], line["pack"]) == ("acme/repo", damaged)
    assert line["object"] == hash_object("blob", whole[2])


def test_packs_without_their_idx_are_completed_and_joined(node: Node, repo: Repo) -> None:
    packs = [store(node, repo, content) for content in contents(6)]
    flip(packs[1].with_suffix(".idx"), 8 + 1024 + 3)
    assert consolidate(node, repo.public_id) >= 4
    assert all(holds(node, repo, content) for content in contents(6))


def test_a_listed_pack_that_lost_its_idx_survives_the_start(node: Node, repo: Repo) -> None:
    packs = [store(node, repo, content) for content in contents(2)]
    remove(packs[0].with_suffix(".idx"))
    node.clock = lambda: int(time.time()) + TWO_HOURS_S
    stopping = threading.Event()
    node.request_maintenance(repo.public_id)  # served after all the work at the start
    thread = threading.Thread(target=maintain_packs, args=(node, stopping))
    thread.start()
    try:
        wait_until(packs[0].with_suffix(".idx").exists, "the idx is not made anew")
    finally:
        stopping.set()
        thread.join()
    assert all(pack.exists() for pack in packs)
    assert all(holds(node, repo, content) for content in contents(2))


def test_a_pack_that_was_never_listed_is_deleted_and_logged(
    node: Node, repo: Repo, caplog: pytest.LogCaptureFixture
) -> None:
    store(node, repo, b"kept")
    with RepoView(node, repo) as view:
        write = Write(view)  # the write of a process that dies: its block is never left
        write.writer.add_object("blob", b"half")
        (half,) = write.publish(may_journal=False).packs
    path = pack_dir(node, repo) / f"pack-{half.name}.pack"
    remove(path.with_suffix(".idx"))
    node.clock = lambda: 1000 + node.limits.incoming_grace_s - 1
    assert sweep_packs(node) == 0, "it may still be listed"
    assert path.exists()
    node.clock = lambda: 1000 + node.limits.incoming_grace_s
    assert sweep_packs(node) == 1
    assert not path.exists()
    assert half.name not in pack_states(node, repo)
    assert not holds(node, repo, b"half")
    (line,) = told(caplog, "packs deleted that were never listed")
    assert line["repo_id"] == repo.public_id
    assert line["packs"] == [half.name]


def test_a_pack_without_a_row_is_neither_listed_nor_deleted(node: Node, repo: Repo, tmp_path: Path) -> None:
    """The pack belongs to a newer database, or to another one."""
    for content in contents(3):
        store(node, repo, content)
    stray = write_pack(pack_dir(node, repo), [("blob", b"stray")])
    node.clock = lambda: int(time.time()) + TWO_HOURS_S
    sweep(node)
    assert adopt_all(node, lambda: False) == 0
    assert consolidate(node, repo.public_id) > 1
    assert find_lost_packs(node, lambda: False) == 0
    assert stray.exists()
    assert stored_names(node, repo) == listed_names(node, repo) | {name_of(stray)}
    assert not holds(node, repo, b"stray")


def test_only_the_first_start_adopts_packs_of_an_earlier_release(node: Node, repo: Repo) -> None:
    known = store(node, repo, b"known")
    with node.database.write() as session:
        session.define("UPDATE repos SET adopted_at = NULL")
    first = write_pack(pack_dir(node, repo), [("blob", b"first")])
    assert adopt_all(node, lambda: False) == 1
    later = write_pack(pack_dir(node, repo), [("blob", b"later")])
    assert adopt_all(node, lambda: False) == 0
    assert adopt(node, [(repo.id, repo.public_id)]) == {}
    assert listed_names(node, repo) == {name_of(known), name_of(first)}
    assert later.exists()
    assert holds(node, repo, b"first")


def test_a_reader_before_the_first_sweep_sees_packs_of_an_earlier_release(
    node: Node, caller: Principal, repo: Repo
) -> None:
    store(node, repo, b"known")
    with node.database.write() as session:
        session.define("UPDATE repos SET adopted_at = NULL")
    write_pack(pack_dir(node, repo), [("blob", b"unlisted")])
    node.pack_lists.clear()
    assert holds(node, lookup_repo(node, caller, "repo"), b"unlisted")


def test_a_pack_that_holds_another_number_of_objects_than_listed_gets_no_idx(
    node: Node, repo: Repo, caplog: pytest.LogCaptureFixture
) -> None:
    kept, other = store(node, repo, b"one"), store(node, repo, b"two")
    with node.database.write() as session:
        session.define(f"UPDATE stored_packs SET objects = 2 WHERE name = '{name_of(other)}'")
    remove(other.with_suffix(".idx"))
    mend(node, repo)
    assert not other.with_suffix(".idx").exists()
    assert [line["pack"] for line in told(caplog, "stored data is damaged")] == [name_of(other)]
    assert kept.exists()
    assert other.exists()


def test_damage_is_kept_until_the_pack_is_sound_again(node: Node, repo: Repo) -> None:
    pack = store(node, repo, b"content")
    content = pack.read_bytes()
    remove(pack)
    assert find_lost_packs(node, lambda: False) == 1
    with node.database.read() as session:
        (row,) = list_damage(session, limit=10)
    assert (row.repo_name, row.pack) == ("repo", name_of(pack))
    assert recheck_damage(node) == 0
    pack.write_bytes(content)
    assert recheck_damage(node) == 1
    with node.database.read() as session:
        assert list_damage(session, limit=10) == []


@pytest.mark.parametrize(
    "fault", [flip_content, lambda pack: cut(pack, 5), remove], ids=["flipped bit", "cut short", "lost"]
)
def test_content_written_again_is_read_from_the_new_pack(
    node: Node, repo: Repo, fault: Callable[[Path], None]
) -> None:
    content = contents(1)[0]
    fault(store(node, repo, content))
    store(node, repo, content)
    with RepoView(node, repo) as view:
        assert view.read(hash_object("blob", content)) == ("blob", content)
        assert b"".join(view.git.iter_blob(hash_object("blob", content))) == content
