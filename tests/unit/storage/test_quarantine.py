"""Quarantines: what a crash leaves goes, what is in use stays."""

import os
from pathlib import Path

import pytest

from packhouse.storage.quarantine import LOCK_NAME, Quarantine, sweep_quarantines

pytestmark = pytest.mark.quick


def test_a_quarantine_removes_itself_with_everything_in_it(tmp_path: Path) -> None:
    with Quarantine(tmp_path) as quarantine:
        (quarantine.pack_dir / "tmp_pack_x").write_bytes(b"PACK")
    assert list(tmp_path.iterdir()) == []


def test_a_quarantine_in_use_is_not_swept(tmp_path: Path) -> None:
    with Quarantine(tmp_path) as quarantine:
        assert sweep_quarantines(tmp_path) == 0
        assert quarantine.pack_dir.is_dir()


def test_the_quarantine_of_a_dead_process_is_swept(tmp_path: Path) -> None:
    left = tmp_path / "left"
    (left / "objects" / "pack").mkdir(parents=True)
    (left / LOCK_NAME).touch()
    assert sweep_quarantines(tmp_path) == 1
    assert not left.exists()


def test_a_quarantine_whose_removal_was_cut_short_is_swept(tmp_path: Path) -> None:
    left = tmp_path / "left"
    (left / "refs").mkdir(parents=True)
    assert sweep_quarantines(tmp_path) == 1
    assert not left.exists()


def test_an_empty_folder_is_kept_for_an_hour_for_the_process_that_made_it(tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    assert sweep_quarantines(tmp_path) == 0
    hours_ago = made.stat().st_mtime - 7200
    os.utime(made, (hours_ago, hours_ago))
    assert sweep_quarantines(tmp_path) == 1
