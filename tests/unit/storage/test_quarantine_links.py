"""Packs taken over from another folder: linked where that is possible, copied where it is not."""

import errno
import os
from pathlib import Path

import pytest

from packhouse.storage.disk.store import DiskPackStore

pytestmark = pytest.mark.quick

NAME = "1" * 40


@pytest.fixture
def pack_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "packs"
    folder.mkdir()
    for suffix in (".pack", ".idx"):
        (folder / f"pack-{NAME}{suffix}").write_bytes(suffix.encode())
    return folder


def test_a_pack_is_linked(tmp_path: Path, pack_dir: Path) -> None:
    store = DiskPackStore(tmp_path / "data")
    with store.new_quarantine() as quarantine:
        quarantine.add_pack(pack_dir, NAME)
        assert (quarantine.pack_dir / f"pack-{NAME}.pack").samefile(pack_dir / f"pack-{NAME}.pack")
        assert not (quarantine.pack_dir / f"pack-{NAME}.rev").exists()


@pytest.mark.parametrize("number", [errno.EMLINK, errno.EXDEV, errno.EPERM])
def test_a_pack_that_cannot_be_linked_is_copied(
    tmp_path: Path, pack_dir: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise OSError(number, os.strerror(number))

    store = DiskPackStore(tmp_path / "data")
    with store.new_quarantine() as quarantine:
        monkeypatch.setattr(os, "link", refuse)
        quarantine.add_pack(pack_dir, NAME)
        copied = quarantine.pack_dir / f"pack-{NAME}.pack"
        assert copied.read_bytes() == b".pack"
        assert copied.stat().st_nlink == 1


def test_a_pack_that_goes_meanwhile_is_taken_whole_or_not_at_all(tmp_path: Path, pack_dir: Path) -> None:
    (pack_dir / f"pack-{NAME}.idx").unlink()  # what goes first
    store = DiskPackStore(tmp_path / "data")
    with store.new_quarantine() as quarantine:
        with pytest.raises(FileNotFoundError):
            quarantine.add_pack(pack_dir, NAME)
        assert list(quarantine.pack_dir.iterdir()) == []
