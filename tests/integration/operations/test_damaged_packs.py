"""Damaged and incomplete packs in the background: told, set aside, completed, and never deleted when listed."""

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from packhouse.auth.principal import Principal
from packhouse.db.damage import list_damage
from packhouse.db.packs import insert_packs, list_packs
from packhouse.db.repos import Repo
from packhouse.git.oid import Oid, hash_object
from packhouse.git.pack import Pack
from packhouse.jobs.maintenance import maintain_packs
from packhouse.limits import Limits
from packhouse.node.node import Node
from packhouse.operations.create_repo import CreateRepo, create_repo
from packhouse.operations.lookup import lookup_repo
from packhouse.repository.consolidate import consolidate
from packhouse.repository.damage_report import recheck_damage
from packhouse.repository.sweep import settle_packs
from packhouse.repository.view import open_reader
from tests.support.damage import cut, flip, flip_content, remove
from tests.support.waiting import wait_until

TWO_HOURS_S = 7200


@pytest.fixture
def limits() -> Limits:
    """Packs are joined as soon as there are three."""
    return Limits(packs_before_consolidation=2)


@pytest.fixture
def repo(node: Node, caller: Principal) -> Repo:
    """An empty repository."""
    create_repo(node, caller, CreateRepo("repo"))
    return lookup_repo(node, caller, "repo")


def write_pack(node: Node, repo: Repo, content: bytes, *, listed: bool = True) -> Path:
    """Publish a pack of one blob, and list it; return its path."""
    with node.store.new_draft() as draft:
        draft.writer.add_object("blob", content)
        pack = node.store.publish_draft(draft, repo.public_id)
    if listed:
        with node.database.write() as session:
            row = Pack(pack.name, pack.size_bytes, pack.objects)
            insert_packs(session, repo.id, [row], now=node.clock())
    return pack_dir(node, repo) / f"pack-{pack.name}.pack"


def pack_dir(node: Node, repo: Repo) -> Path:
    return node.store.repo_path(repo.public_id) / "objects" / "pack"


def contents(count: int) -> list[bytes]:
    return [random.Random(number).randbytes(1000) for number in range(count)]


def holds(node: Node, repo: Repo, content: bytes) -> bool:
    with open_reader(node, repo) as reader:
        return reader.kind_and_size(Oid(hash_object("blob", content))) == ("blob", len(content))


def told(caplog: pytest.LogCaptureFixture, message: str) -> list[dict[str, object]]:
    return [record.fields for record in caplog.records if record.message == message]  # type: ignore[attr-defined]  # log_event adds it


def listed_names(node: Node, repo: Repo) -> set[str]:
    with node.database.read() as session:
        return {pack.name for pack in list_packs(session, repo.id)}


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
        monkeypatch.setattr("packhouse.repository.consolidate._IN_PROCESS_MAX_BYTES", in_process_max)
    packs = [write_pack(node, repo, content) for content in contents(6)]
    fault(packs[2])
    assert consolidate(node, repo.public_id) >= 4
    damaged = packs[2].stem.removeprefix("pack-")
    assert packs[2].exists()
    assert damaged in listed_names(node, repo)
    assert len(listed_names(node, repo)) <= 3
    whole = contents(6)
    assert all(holds(node, repo, content) for number, content in enumerate(whole) if number != 2)
    for content in contents(12)[6:]:
        write_pack(node, repo, content)
    assert consolidate(node, repo.public_id) >= 4
    (line,) = told(caplog, "stored data is damaged")
    assert (line["repo"], line["pack"]) == ("acme/repo", damaged)
    assert line["object"] == hash_object("blob", whole[2])


def test_packs_without_their_idx_are_completed_and_joined(node: Node, repo: Repo) -> None:
    packs = [write_pack(node, repo, content) for content in contents(6)]
    flip(packs[1].with_suffix(".idx"), 8 + 1024 + 3)
    assert consolidate(node, repo.public_id) >= 4
    assert all(holds(node, repo, content) for content in contents(6))


def test_a_listed_pack_that_lost_its_idx_survives_the_start(node: Node, repo: Repo) -> None:
    packs = [write_pack(node, repo, content) for content in contents(3)]
    remove(packs[0].with_suffix(".idx"))
    node.clock = lambda: int(time.time()) + TWO_HOURS_S
    stopping = threading.Event()
    thread = threading.Thread(target=maintain_packs, args=(node, stopping))
    thread.start()
    try:
        wait_until(packs[0].with_suffix(".idx").exists, "the idx is not made anew")
    finally:
        stopping.set()
        thread.join()
    assert all(pack.exists() for pack in packs)
    assert all(holds(node, repo, content) for content in contents(3))


def test_a_pack_that_was_never_published_goes_and_is_named(
    node: Node, repo: Repo, caplog: pytest.LogCaptureFixture
) -> None:
    write_pack(node, repo, b"kept")
    half = write_pack(node, repo, b"half", listed=False)
    remove(half.with_suffix(".idx"))
    node.clock = lambda: int(time.time())
    assert settle_packs(node, repo.public_id), "it is looked at again"
    assert half.exists()
    node.clock = lambda: int(time.time()) + TWO_HOURS_S
    assert not settle_packs(node, repo.public_id)
    assert not half.exists()
    (line,) = told(caplog, "packs deleted that were never published")
    assert line["repo"] == "acme/repo"
    assert line["packs"] == [half.stem.removeprefix("pack-")]


def test_an_idx_that_tells_another_number_of_objects_than_listed_is_not_taken(
    node: Node, repo: Repo, caplog: pytest.LogCaptureFixture
) -> None:
    kept = write_pack(node, repo, b"one")
    other = write_pack(node, repo, b"two", listed=False)
    name, size_bytes = other.stem.removeprefix("pack-"), other.stat().st_size
    with node.database.write() as session:
        insert_packs(session, repo.id, [Pack(name, size_bytes, 2)], now=1)
    remove(other.with_suffix(".idx"))
    settle_packs(node, repo.public_id)
    assert not other.with_suffix(".idx").exists()
    assert [line["pack"] for line in told(caplog, "stored data is damaged")] == [name]
    assert kept.exists()
    assert other.exists()


def test_damage_is_kept_until_the_pack_is_sound_again(node: Node, repo: Repo) -> None:
    pack = write_pack(node, repo, b"content")
    content = pack.read_bytes()
    remove(pack)
    settle_packs(node, repo.public_id)
    with node.database.read() as session:
        (row,) = list_damage(session, limit=10)
    assert (row.repo_name, row.pack) == ("repo", pack.stem.removeprefix("pack-"))
    assert recheck_damage(node) == 0
    pack.write_bytes(content)
    assert recheck_damage(node) == 1
    with node.database.read() as session:
        assert list_damage(session, limit=10) == []


def test_a_pack_written_again_heals_one_that_was_cut_short(node: Node, repo: Repo) -> None:
    pack = write_pack(node, repo, b"content")
    whole = pack.read_bytes()
    cut(pack, 5)
    write_pack(node, repo, b"content")
    assert pack.read_bytes() == whole
