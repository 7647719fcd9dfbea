"""What a pack's file tells of it, and what a data folder tells before anything is changed in it."""

from pathlib import Path

import pytest

from packhouse.git.packs.errors import NotAPack
from packhouse.storage.data_folder import is_data_folder, iter_settled_repo_ids
from packhouse.storage.pack_file import describe_pack, has_hash_for_name
from tests.support.builders.packs import write_pack

pytestmark = pytest.mark.quick


def test_a_pack_is_described_by_name_size_and_number_of_objects(tmp_path: Path) -> None:
    pack = write_pack(tmp_path, [("blob", b"one"), ("blob", b"two"), ("tree", b"")])
    facts = describe_pack(str(pack))
    assert facts.name == pack.stem.removeprefix("pack-")
    assert (facts.size_bytes, facts.objects) == (pack.stat().st_size, 3)


@pytest.mark.parametrize(
    "content", [b"", b"PACK", b"PACK\0\0\0\2\0\0\0", b"JUNK\0\0\0\2\0\0\0\1" + b"x" * 30]
)
def test_a_file_that_does_not_begin_like_a_pack_is_corrupt(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / f"pack-{'1' * 40}.pack"
    path.write_bytes(content)
    with pytest.raises(NotAPack):
        describe_pack(str(path))


def test_a_missing_pack_is_missing(tmp_path: Path) -> None:
    for look in (describe_pack, has_hash_for_name):
        with pytest.raises(FileNotFoundError):
            look(str(tmp_path / "pack-1.pack"))


def test_only_a_pack_of_git_is_named_by_the_hash_at_its_end(tmp_path: Path) -> None:
    pack = write_pack(tmp_path, [("blob", b"one")])
    assert has_hash_for_name(str(pack))
    renamed = pack.rename(tmp_path / f"pack-{'1' * 40}.pack")
    assert not has_hash_for_name(str(renamed))
    short = tmp_path / f"pack-{'2' * 40}.pack"
    short.write_bytes(b"x")
    assert not has_hash_for_name(str(short))


def make_folder(data: Path, name: str, *marks: str) -> None:
    folder = data / "repos" / "ab" / "cd" / name
    folder.mkdir(parents=True)
    for mark in marks:
        (folder / mark).touch()


def test_a_data_folder_is_recognised_by_its_folder_repos(tmp_path: Path) -> None:
    assert not is_data_folder(tmp_path / "missing")
    assert not is_data_folder(tmp_path)
    (tmp_path / "repos").mkdir()
    assert is_data_folder(tmp_path)
    assert list(iter_settled_repo_ids(tmp_path)) == []


def test_only_folders_that_had_a_row_are_listed(tmp_path: Path) -> None:
    make_folder(tmp_path, "repo_settled", "config")
    make_folder(tmp_path, "repo_unsettled", "unsettled", "config")
    make_folder(tmp_path, "repo_begun")
    assert list(iter_settled_repo_ids(tmp_path)) == ["repo_settled"]


def test_files_among_the_folders_are_skipped(tmp_path: Path) -> None:
    make_folder(tmp_path, "repo_a", "config")
    (tmp_path / "repos" / "notes.txt").touch()
    (tmp_path / "repos" / "ab" / "notes.txt").touch()
    (tmp_path / "repos" / "ab" / "cd" / "notes.txt").touch()
    assert list(iter_settled_repo_ids(tmp_path)) == ["repo_a"]


def test_a_folder_without_repositories_has_none(tmp_path: Path) -> None:
    assert list(iter_settled_repo_ids(tmp_path / "missing")) == []
