"""Packs are shown also where no link can be made: copied, or read where they are, and then not deleted meanwhile."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from packhouse.git.packs.pack import Pack
from packhouse.storage.disk import views
from packhouse.storage.disk.store import DiskPackStore
from tests.support.builders.store_bench import REPO
from tests.support.builders.stored import read_blob, read_blob_by_git, show, shown_names, store_blobs
from tests.support.servers.loop_disk import LoopDisk, loop_disk

A, B = b"a", b"b"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def inodes_of(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_ino for file in folder.iterdir()}


def test_packs_are_copied_if_no_link_can_be_made(data: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:  # another file system, so EXDEV
        data.mkdir()
        (data / "views").symlink_to(elsewhere)
        store = DiskPackStore(data)
        pack = store_blobs(store, REPO, A)
        if (data / "repos").stat().st_dev == os.stat(elsewhere).st_dev:
            pytest.skip("the data folder is on the memory file system too")
        opened = show(store, 1, pack)
        assert opened.object_dir.is_relative_to(data / "views")
        assert shown_names(opened) == {pack.name}
        for file in (opened.object_dir / "pack").iterdir():
            file.chmod(0o600)
            os.truncate(file, 0)  # as a power cut leaves copies
        after_cut = DiskPackStore(data)
        again = show(after_cut, 1, pack)
        assert read_blob(again, A) == A
        again.close()
        after_cut.close()
        copies = inodes_of(opened.object_dir / "pack")
        third = DiskPackStore(data)
        show(third, 1, pack).close()
        third.close()
        assert inodes_of(opened.object_dir / "pack") == copies, "what is whole is not copied again"
        assert store.delete(REPO, [pack.name]) == {pack.name}
        assert read_blob(opened, A) == A
        opened.close()
        store.close()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[LoopDisk]:
    with loop_disk(tmp_path) as disk:
        yield disk


def store_and_close(data: Path, *contents: bytes) -> list[Pack]:
    """Store packs and leave nothing open, which would keep the disk writable."""
    store = DiskPackStore(data)
    packs = [store_blobs(store, REPO, content) for content in contents]
    store.close()
    return packs


def remount(disk: LoopDisk, mode: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{mode}", disk.path], check=True)


def test_on_a_read_only_disk_packs_are_read_in_the_store_and_are_not_deleted_meanwhile(
    disk: LoopDisk,
) -> None:
    data = disk.path / "data"
    one, two = store_and_close(data, A, B)
    remount(disk, "ro")
    store = DiskPackStore(data)
    opened = show(store, 1, one, two)
    assert opened.mended.faults == []
    assert opened.object_dir == store.repo_path(REPO) / "objects"
    assert (read_blob(opened, A), read_blob_by_git(store, opened, B)) == (A, B)
    second = show(store, 1, one)
    opened.close()
    remount(disk, "rw")
    assert store.delete(REPO, [one.name, "0" * 40]) == {"0" * 40}
    assert read_blob(second, A) == A
    assert one.name in store.list_names(REPO)
    second.close()
    store.close()
    later = DiskPackStore(data)
    assert later.delete(REPO, [one.name]) == {one.name}
    assert later.list_names(REPO) == [two.name]
    later.close()


def test_a_disk_that_takes_writes_again_is_noticed(disk: LoopDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "_DIRECT_MAX_S", -1.0)
    data = disk.path / "data"
    (pack,) = store_and_close(data, A)
    remount(disk, "ro")
    store = DiskPackStore(data)
    direct = show(store, 1, pack)
    remount(disk, "rw")
    linked = show(store, 1, pack)
    assert linked.object_dir.is_relative_to(data / "views")
    assert store.delete(REPO, [pack.name]) == set()  # the first reader has no links of its own
    assert read_blob(direct, A) == A
    direct.close()
    assert store.delete(REPO, [pack.name]) == {pack.name}
    assert read_blob(linked, A) == A
    linked.close()
    store.close()


def test_packs_are_deleted_once_a_read_only_disk_takes_writes_again(disk: LoopDisk) -> None:
    data = disk.path / "data"
    (pack,) = store_and_close(data, A)
    remount(disk, "ro")
    reader = DiskPackStore(data)
    show(reader, 1, pack).close()  # and never again
    remount(disk, "rw")
    store = DiskPackStore(data)
    reader.sweep()
    assert store.delete(REPO, [pack.name]) == {pack.name}
    store.close()
    reader.close()


def test_on_a_full_disk_packs_are_read_in_the_store(disk: LoopDisk) -> None:
    store = DiskPackStore(disk.path / "data")
    pack = store_blobs(store, REPO, A)
    fill(disk.path)
    opened = show(store, 1, pack)
    assert opened.object_dir == store.repo_path(REPO) / "objects"
    assert read_blob(opened, A) == A
    opened.close()
    store.close()


def fill(folder: Path) -> None:
    """Take every byte and every place for a file that the disk has."""
    with (folder / "filling").open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    number = 0
    try:
        while True:
            (folder / f"file-{number}").touch()
            number += 1
    except OSError:
        return
