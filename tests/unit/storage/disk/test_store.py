"""Packs in place: what was put is durable and whole, what a crash left is mended or left alone, what goes is gone."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from packhouse.git.commands.environment import GitPlace
from packhouse.git.commands.run import run_git
from packhouse.git.packs.pack import Pack
from packhouse.storage.disk.store import DiskPackStore
from packhouse.storage.store import FOLDER_MISSING, MISSING, PackFault, PackSet
from tests.support.builders.store_bench import REPO
from tests.support.builders.stored import pack_dir_of, place_for_git, read_blob, store_blobs

pytestmark = pytest.mark.quick

A, B = b"a", b"b"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DiskPackStore]:
    store = DiskPackStore(tmp_path / "data")
    yield store
    store.close()


def cut_short(store: DiskPackStore) -> Pack:
    """Store a pack whose writer died before the idx was in place."""
    pack = store_blobs(store, REPO, A)
    (pack_dir_of(store, REPO) / f"pack-{pack.name}.idx").unlink()
    return pack


def test_a_pack_that_is_being_published_is_kept(store: DiskPackStore) -> None:
    pack = cut_short(store)
    store.sweep()
    assert store.list_names(REPO) == [pack.name]


def test_a_pack_without_an_idx_is_deleted_when_its_row_says_so(store: DiskPackStore) -> None:
    half, whole = cut_short(store), store_blobs(store, REPO, B)
    assert store.delete(REPO, [half.name]) == {half.name}
    assert store.list_names(REPO) == [whole.name]


def test_a_listed_pack_without_its_idx_is_kept_and_read(store: DiskPackStore) -> None:
    pack = cut_short(store)
    assert store.missing(REPO, [pack]) == []
    opened = store.open(REPO, PackSet(1, [pack]))
    assert read_blob(opened, A) == A
    opened.close()


def test_a_repeated_put_replaces_the_partial_files_of_the_first(store: DiskPackStore) -> None:
    pack = cut_short(store)
    path = pack_dir_of(store, REPO) / f"pack-{pack.name}.pack"
    path.chmod(0o600)
    path.write_bytes(b"PACK")
    assert store_blobs(store, REPO, A) == pack
    opened = store.open(REPO, PackSet(1, [pack]))
    assert read_blob(opened, A) == A
    opened.close()


def test_a_pack_without_a_row_is_not_swept_not_shown_and_does_no_harm(store: DiskPackStore) -> None:
    listed, stray = store_blobs(store, REPO, A), store_blobs(store, REPO, B)
    opened = store.open(REPO, PackSet(1, [listed]))
    store.sweep()
    store.delete(REPO, [listed.name])
    assert store.list_names(REPO) == [stray.name]
    assert read_blob(opened, B) is None
    opened.close()


def test_packs_are_deleted_at_once_with_all_files_beside_them(store: DiskPackStore) -> None:
    one, two = store_blobs(store, REPO, A), store_blobs(store, REPO, B)
    for suffix in (".rev", ".bitmap"):
        (pack_dir_of(store, REPO) / f"pack-{one.name}{suffix}").write_bytes(b"x")
    assert store.delete(REPO, [one.name]) == {one.name}
    assert sorted(path.name for path in pack_dir_of(store, REPO).iterdir()) == [
        f"pack-{two.name}.idx",
        f"pack-{two.name}.pack",
    ]


def test_deleting_an_absent_pack_reports_it_as_gone(store: DiskPackStore) -> None:
    assert store.delete(REPO, ["1" * 40]) == {"1" * 40}  # the repository has no folder
    pack = store_blobs(store, REPO, A)
    assert store.delete(REPO, [pack.name, "1" * 40]) == {pack.name, "1" * 40}
    assert store.delete(REPO, [pack.name]) == {pack.name}


def test_a_pack_that_is_cut_short_or_gone_counts_as_missing(store: DiskPackStore) -> None:
    whole, cut, gone = (store_blobs(store, REPO, content) for content in (A, B, b"c"))
    path = pack_dir_of(store, REPO) / f"pack-{cut.name}.pack"
    path.chmod(0o600)
    os.truncate(path, cut.size_bytes - 1)
    store.delete(REPO, [gone.name])
    faults = store.missing(REPO, [whole, cut, gone])
    assert [fault.pack for fault in faults] == [cut.name, gone.name]
    assert faults[1].reason == MISSING


def test_a_lost_folder_is_one_fault_for_all_its_packs(store: DiskPackStore) -> None:
    packs = [store_blobs(store, REPO, content) for content in (A, B)]
    shutil.rmtree(store.repo_path(REPO))
    assert store.missing(REPO, packs) == [PackFault("", FOLDER_MISSING)]
    assert store.missing(REPO, []) == []


def test_a_survey_returns_complete_packs_and_removes_files_that_mislead_git(store: DiskPackStore) -> None:
    whole, half = store_blobs(store, REPO, B), cut_short(store)
    folder = pack_dir_of(store, REPO)
    (folder / f"pack-{'1' * 40}.idx").write_bytes(b"an idx without its pack")
    run_git(GitPlace(store.repo_path(REPO)), "multi-pack-index", "write")
    locks = [store.repo_path(REPO) / name for name in ("packhouse.lock", "packhouse.lock.1")]
    for lock in locks:
        lock.touch()
    assert (folder / "multi-pack-index").exists()
    assert store.survey(REPO) == [whole]
    assert not (folder / "multi-pack-index").exists()
    assert not any(lock.exists() for lock in locks)
    assert set(store.list_names(REPO)) == {whole.name, half.name}
    assert store.survey("repo_wxyz5678") == []


def test_git_that_reads_during_a_deletion_uses_no_multi_pack_index_of_deleted_packs(
    store: DiskPackStore,
) -> None:
    one, two = store_blobs(store, REPO, A), store_blobs(store, REPO, B)
    opened = store.open(REPO, PackSet(1, [one, two]))
    store.delete(REPO, [one.name])
    listed = run_git(place_for_git(store, opened), "cat-file", "--batch-all-objects", "--batch-check")
    assert len(listed.stdout.splitlines()) == 2
    assert listed.stderr == b""
    opened.close()


def test_a_linked_pack_belongs_to_the_repository(store: DiskPackStore) -> None:
    fork = "repo_wxyz5678"
    source = store_blobs(store, REPO, A)
    store.link(REPO, source.name, fork, "f" * 40)
    assert (pack_dir_of(store, fork) / f"pack-{'f' * 40}.pack").stat().st_nlink == 2
    store.remove_repo(REPO)
    opened = store.open(fork, PackSet(1, [Pack("f" * 40, source.size_bytes, source.objects)]))
    assert opened.mended.faults == []
    assert read_blob(opened, A) == A
    opened.close()
    with pytest.raises(FileNotFoundError):
        store.link(REPO, source.name, fork, "e" * 40)


def test_folders_of_repositories_are_closed_to_other_users(tmp_path: Path) -> None:
    data = tmp_path / "data"
    DiskPackStore(data).close()
    folders = [data, *data.iterdir()]
    assert {folder.name for folder in folders} == {"data", "repos", "quarantine", "locks", "views"}
    assert {folder.stat().st_mode & 0o777 for folder in folders} == {0o700}


def test_a_deleted_folder_of_locks_is_made_again(store: DiskPackStore, tmp_path: Path) -> None:
    (locks,) = tmp_path.glob("**/locks")
    shutil.rmtree(locks)
    with store.writer_lock(REPO, b"refs/heads/main"):
        assert len(list(locks.iterdir())) == 1
    shutil.rmtree(locks)
    store.check()
    assert list(locks.iterdir()) == []
