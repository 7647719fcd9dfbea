"""Files that are written whole or not at all, on a real file system."""

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from packhouse.whole_files import fsync_path, replace_file, write_private_file

pytestmark = pytest.mark.quick


def fail_with(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def test_a_file_is_made_and_then_replaced(tmp_path: Path) -> None:
    path = tmp_path / "config"
    replace_file(path, b"one")
    assert path.read_bytes() == b"one"
    replace_file(path, b"two, which is longer")
    assert path.read_bytes() == b"two, which is longer"
    assert os.listdir(tmp_path) == ["config"]


def test_a_reader_of_the_old_file_keeps_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "config"
    replace_file(path, b"old")
    with path.open("rb") as file:
        replace_file(path, b"new")
        assert file.read() == b"old"


@pytest.mark.parametrize("method", ["write_bytes", "rename"])
def test_a_disk_that_fails_keeps_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    path = tmp_path / "config"
    replace_file(path, b"old")

    def fail(self: Path, *_args: object) -> None:
        raise fail_with(errno.ENOSPC)

    with monkeypatch.context() as patched:
        patched.setattr(Path, method, fail)
        with pytest.raises(OSError, match="No space left"):
            replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["config"]


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        replace_file(tmp_path / "missing" / "config", b"x")


def test_concurrent_readers_see_only_whole_files(tmp_path: Path) -> None:
    path = tmp_path / "config"
    contents = [bytes([letter]) * 100_000 for letter in b"abcd"]
    replace_file(path, contents[0])
    torn: list[bytes] = []
    ended = threading.Event()

    def read() -> None:
        while not ended.is_set():
            seen = path.read_bytes()
            if seen not in contents:
                torn.append(seen[:10])

    def write(content: bytes) -> None:
        for _ in range(30):
            replace_file(path, content)

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=write, args=(content,)) for content in contents]
    reader.start()
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    ended.set()
    reader.join(60)
    assert torn == []
    assert os.listdir(tmp_path) == ["config"]


def test_a_private_file_is_written_beside_its_place_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        temporary = write_private_file(tmp_path / "key", b"secret")
    finally:
        os.umask(previous)
    assert temporary.parent == tmp_path
    assert temporary.read_bytes() == b"secret"
    assert stat.S_IMODE(temporary.stat().st_mode) == 0o600
    assert not (tmp_path / "key").exists()


def test_two_writers_of_one_private_file_use_different_temporary_files(tmp_path: Path) -> None:
    first = write_private_file(tmp_path / "key", b"first")
    second = write_private_file(tmp_path / "key", b"second")
    assert (first.read_bytes(), second.read_bytes()) == (b"first", b"second")


def test_a_private_file_that_the_disk_does_not_take_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_descriptor: int) -> None:
        raise fail_with(errno.EIO)

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output error"):
        write_private_file(tmp_path / "key", b"secret")
    assert os.listdir(tmp_path) == []


def test_files_and_folders_are_forced_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    real = os.fsync

    def note(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    file = tmp_path / "file"
    file.write_bytes(b"x")
    fsync_path(file)
    fsync_path(tmp_path)
    assert synced == [file.stat().st_ino, tmp_path.stat().st_ino]
    with pytest.raises(FileNotFoundError):
        fsync_path(tmp_path / "missing")
