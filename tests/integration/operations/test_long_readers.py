"""Consolidation beside readers that take their time: packs stay few, and nobody's packs go away under them."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from packhouse.storage.pack_store import PackStore
from packhouse.storage.reading_lock import LOCK_NAME

REPO = "repo_abcd1234"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PackStore]:
    """A store with one repository that has no packs yet."""
    store = PackStore(tmp_path)
    store.ensure_repo(REPO)
    yield store
    store.close()


def add_packs(store: PackStore, *names: str) -> None:
    folder = store.repo_path(REPO) / "objects" / "pack"
    for name in names:
        for suffix in (".pack", ".idx"):
            (folder / f"pack-{name}{suffix}").write_bytes(b"x")


def names_in_place(store: PackStore) -> set[str]:
    return {path.stem[5:] for path in (store.repo_path(REPO) / "objects" / "pack").glob("*.pack")}


def unlink(store: PackStore, *names: str) -> set[str]:
    pinned = store.find_pinned(REPO, names, wait_max_s=0)
    store.unlink_packs(REPO, set(names) - pinned)
    return pinned


@pytest.mark.quick
def test_packs_go_at_once_when_nobody_reads(store: PackStore) -> None:
    add_packs(store, "a", "b")
    assert unlink(store, "a") == set()
    assert names_in_place(store) == {"b"}


@pytest.mark.quick
def test_a_long_reader_keeps_the_packs_it_found_and_no_later_ones(store: PackStore) -> None:
    add_packs(store, "a", "b")
    with store.hold(REPO):
        assert unlink(store, "a") == {"a"}
        add_packs(store, "c", "d")
        assert unlink(store, "a", "b", "c") == {"a", "b"}
        assert names_in_place(store) == {"a", "b", "d"}
    assert unlink(store, "a", "b") == set()
    assert names_in_place(store) == {"d"}
    assert [path.name for path in store.repo_path(REPO).glob(f"{LOCK_NAME}.*")] == []


@pytest.mark.quick
def test_readers_without_a_gap_between_them_keep_no_pack_for_long(store: PackStore) -> None:
    add_packs(store, "a")
    with ExitStack() as first:
        first.enter_context(store.hold(REPO))
        assert unlink(store, "a") == {"a"}
        with store.hold(REPO):
            first.close()
            assert unlink(store, "a") == set()


@pytest.mark.quick
def test_a_list_cut_short_by_a_crash_keeps_every_pack_its_reader_may_have(store: PackStore) -> None:
    add_packs(store, "a")
    with store.hold(REPO):
        lock = store.repo_path(REPO) / LOCK_NAME
        lock.rename(lock.with_name(f"{LOCK_NAME}.1"))
        assert unlink(store, "a") == {"a"}
    assert unlink(store, "a") == set()
