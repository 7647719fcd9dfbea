"""Packs in place: what a crash left half-way is told from what is being published."""

from pathlib import Path

import pytest

from packhouse.storage.pack_store import PackStore

pytestmark = pytest.mark.quick

REPO = "repo_abcd1234"


@pytest.fixture
def pack_dir(tmp_path: Path) -> Path:
    """The pack folder of a repository with one whole pack and one without its idx."""
    folder = PackStore(tmp_path).ensure_repo(REPO) / "objects" / "pack"
    for name in ("pack-aa.pack", "pack-aa.idx", "pack-bb.pack", "pack-bb.rev"):
        (folder / name).write_bytes(b"x")
    return folder


def now_at(folder: Path) -> int:
    return int(folder.stat().st_ctime)


def test_a_pack_that_is_just_being_published_stays(tmp_path: Path, pack_dir: Path) -> None:
    assert PackStore(tmp_path).remove_halves(REPO, listed=(), now=now_at(pack_dir)) == []
    assert (pack_dir / "pack-bb.pack").exists()


def test_a_pack_that_never_got_its_idx_goes_after_an_hour(tmp_path: Path, pack_dir: Path) -> None:
    assert PackStore(tmp_path).remove_halves(REPO, listed=(), now=now_at(pack_dir) + 3700) == ["bb"]
    assert sorted(path.name for path in pack_dir.iterdir()) == ["pack-aa.idx", "pack-aa.pack"]


def test_a_listed_pack_without_its_idx_stays_however_old(tmp_path: Path, pack_dir: Path) -> None:
    assert PackStore(tmp_path).remove_halves(REPO, listed={"bb"}, now=now_at(pack_dir) + 3700) == []
    assert (pack_dir / "pack-bb.pack").exists()


def test_a_repository_without_a_folder_has_no_halves(tmp_path: Path) -> None:
    assert PackStore(tmp_path).remove_halves(REPO, listed=(), now=0) == []


def test_folders_of_repositories_are_closed_to_other_users(tmp_path: Path) -> None:
    data = tmp_path / "data"
    PackStore(data)
    folders = [data, *data.iterdir()]
    assert len(folders) == 4
    assert {folder.stat().st_mode & 0o777 for folder in folders} == {0o700}
