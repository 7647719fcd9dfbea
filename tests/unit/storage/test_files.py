"""Locks on files, and folders whose names are on the disk."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from packhouse.storage.files import lock_file, make_folders, try_lock

pytestmark = pytest.mark.quick


def synced_folders(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note the inode of each file and folder that is synced."""
    inodes: list[int] = []
    real = os.fsync

    def note(descriptor: int) -> None:
        inodes.append(os.fstat(descriptor).st_ino)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    return inodes


def test_missing_folders_are_made_and_the_entry_of_each_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder whose parent was not synced may be gone after a power cut, with all that is in it."""
    synced = synced_folders(monkeypatch)
    make_folders(tmp_path / "a" / "b" / "c", stop=tmp_path)
    assert (tmp_path / "a" / "b" / "c").is_dir()
    parents = [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]
    assert synced == [parent.stat().st_ino for parent in parents]


def test_existing_folders_are_not_synced_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_folders(tmp_path / "a" / "b", stop=tmp_path)
    synced = synced_folders(monkeypatch)
    make_folders(tmp_path / "a" / "b", stop=tmp_path)
    assert synced == []
    make_folders(tmp_path / "a" / "b" / "c", stop=tmp_path)
    assert synced == [(tmp_path / "a" / "b").stat().st_ino]


def test_nothing_is_made_above_the_stop(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        make_folders(tmp_path / "gone" / "a", stop=tmp_path / "gone")
    assert not (tmp_path / "gone").exists()


def test_many_processes_may_make_folders_at_once(tmp_path: Path) -> None:
    failed: list[BaseException] = []
    barrier = threading.Barrier(8)

    def make() -> None:
        barrier.wait(60)
        try:
            make_folders(tmp_path / "a" / "b" / "c", stop=tmp_path)
        except OSError as error:
            failed.append(error)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    assert (tmp_path / "a" / "b" / "c").is_dir()


def test_an_exclusive_lock_excludes_all_and_a_shared_one_only_exclusive_ones(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with lock_file(path, exclusive=True) as held:
        assert held is not None
        for exclusive in (True, False):
            with lock_file(path, exclusive=exclusive, wait=False) as second:
                assert second is None
    with lock_file(path, exclusive=False):
        with lock_file(path, exclusive=False, wait=False) as second:
            assert second is not None
        with lock_file(path, exclusive=True, wait=False) as third:
            assert third is None
    with lock_file(path, exclusive=True, wait=False) as free:
        assert free is not None


def test_a_lock_ends_with_its_block_also_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with pytest.raises(KeyError), lock_file(path, exclusive=True):
        raise KeyError
    with lock_file(path, exclusive=True, wait=False) as held:
        assert held is not None


def test_a_lock_can_be_polled_for_a_while(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    got, released = threading.Event(), threading.Event()

    def ask() -> None:
        with lock_file(path, exclusive=True, wait=False, poll_max_s=60) as held:
            assert released.is_set()
            if held is not None:
                got.set()

    with lock_file(path, exclusive=True):
        thread = threading.Thread(target=ask)
        thread.start()
        with lock_file(path, exclusive=True, wait=False, poll_max_s=0.02) as second:
            assert second is None
        released.set()
    thread.join(60)
    assert got.is_set()


def test_a_child_that_inherits_the_descriptor_keeps_the_lock(tmp_path: Path) -> None:
    """So the folder of a killed server stays as long as a git of its works in it."""
    path = tmp_path / "lock"
    with lock_file(path, exclusive=True) as held:
        assert held is not None
        child = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, pass_fds=(held,)
        )
    with lock_file(path, exclusive=True, wait=False) as second:
        assert second is None
    child.communicate(timeout=60)
    with lock_file(path, exclusive=True, wait=False) as third:
        assert third is not None


def test_a_descriptor_is_not_inherited_by_accident(tmp_path: Path) -> None:
    with lock_file(tmp_path / "lock", exclusive=True) as held:
        assert held is not None
        assert not os.get_inheritable(held)


def test_the_lock_of_an_open_file_can_be_tried(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    first, second = os.open(path, os.O_RDONLY), os.open(path, os.O_RDONLY)
    try:
        assert try_lock(first, exclusive=True, wait=False)
        assert not try_lock(second, exclusive=False, wait=False)
        assert try_lock(first, exclusive=False, wait=False), "a holder may change to a shared lock"
        assert try_lock(second, exclusive=False, wait=False)
    finally:
        os.close(first)
        os.close(second)
