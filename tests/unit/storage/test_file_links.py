"""Packs taken over from another place: linked where that is possible, copied where it is not."""

import errno
import os
from pathlib import Path

import pytest

from packhouse.git.packs.pack import Pack
from packhouse.storage.disk.store import DiskPackStore
from packhouse.storage.files import link_or_copy
from packhouse.storage.store import PackSet

pytestmark = pytest.mark.quick

NAME = "1" * 40


def test_a_file_is_linked(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"content")
    link_or_copy(tmp_path / "source", tmp_path / "target")
    assert (tmp_path / "target").samefile(tmp_path / "source")


@pytest.mark.parametrize("number", [errno.EMLINK, errno.EXDEV, errno.EPERM])
def test_a_file_that_cannot_be_linked_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise OSError(number, os.strerror(number))

    (tmp_path / "source").write_bytes(b"content")
    monkeypatch.setattr(os, "link", refuse)
    link_or_copy(tmp_path / "source", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == b"content"
    assert (tmp_path / "target").stat().st_nlink == 1
    assert len(list(tmp_path.iterdir())) == 2
    with pytest.raises(FileExistsError):
        link_or_copy(tmp_path / "source", tmp_path / "target")


def test_linking_a_missing_pack_of_another_repository_leaves_no_file(tmp_path: Path) -> None:
    store = DiskPackStore(tmp_path / "data")
    with pytest.raises(FileNotFoundError):
        store.link("repo_source", NAME, "repo_target", NAME)
    assert store.list_names("repo_target") == []
    opened = store.open("repo_target", PackSet(1, [Pack(NAME, 1, 1)]))
    assert [fault.pack for fault in opened.mended.faults] == [NAME]
    opened.close()
    store.close()
