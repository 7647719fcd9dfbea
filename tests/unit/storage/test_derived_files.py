"""The files beside a pack: which damage is noticed, what is made anew, and what stays wrong."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from packhouse.errors import Unavailable
from packhouse.git.oid import hash_object
from packhouse.git.packs.pack import Pack
from packhouse.storage import derived_files as derived_files_module
from packhouse.storage.derived_files import (
    SoundFiles,
    ends_with_its_hash,
    find_content_fault,
    find_file_fault,
    has_object,
    looks_unchanged,
    mend_pack,
)
from packhouse.storage.pack_file import describe_pack
from packhouse.storage.store import MISSING, Mended
from tests.support.builders.packs import write_pack

pytestmark = pytest.mark.quick

CONTENTS = [b"one", b"two", b"three" * 1000]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder of packs."""
    (tmp_path / "pack").mkdir()
    return tmp_path / "pack"


@pytest.fixture
def pack(folder: Path) -> Pack:
    """A pack of three blobs in the folder, with its idx."""
    return describe_pack(str(write_pack(folder, [("blob", content) for content in CONTENTS])))


def file_of(folder: Path, pack: Pack, suffix: str) -> Path:
    return folder / f"pack-{pack.name}{suffix}"


def flip(path: Path, at: int) -> None:
    """Change one bit of a file and nothing else, not even its times: as a disk does."""
    path.chmod(0o644)
    status = path.stat()
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def mend(folder: Path, pack: Pack, sound: SoundFiles | None = None) -> tuple[bool, Mended]:
    mended = Mended([], [])
    can_be_used = mend_pack(folder, pack, sound or SoundFiles(), mended, scratch=lambda: folder.parent)
    return can_be_used, mended


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.parent.iterdir() if path != folder]


# What is noticed


def test_a_file_that_ends_with_its_hash_is_sound(tmp_path: Path) -> None:
    path = tmp_path / "file"
    content = b"x" * 3_000_000
    path.write_bytes(content + hashlib.sha1(content).digest())
    assert ends_with_its_hash(path)
    for at in (0, 1_500_000, 3_000_000, 3_000_019):
        flip(path, at)
        assert not ends_with_its_hash(path)
        flip(path, at)
    assert ends_with_its_hash(path)


@pytest.mark.parametrize("size", [0, 1, 19])
def test_a_file_too_short_for_a_hash_is_not_sound(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * size)
    assert not ends_with_its_hash(path)


def test_a_sound_file_is_hashed_once_while_it_does_not_change(
    folder: Path, pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    real = ends_with_its_hash

    def note(path: str) -> bool:
        hashed.append(path)
        return real(path)

    monkeypatch.setattr(derived_files_module, "ends_with_its_hash", note)
    idx = str(file_of(folder, pack, ".idx"))
    sound = SoundFiles()
    assert sound.is_sound(idx)
    assert sound.is_sound(idx)
    link = folder / "link"
    link.hardlink_to(idx)
    assert sound.is_sound(str(link)), "all links of a file are one file"
    assert hashed == [idx]
    os.utime(idx, ns=(1, 1))
    assert sound.is_sound(idx)
    assert hashed == [idx, idx]


def test_a_file_that_was_not_sound_is_hashed_again(folder: Path, pack: Pack) -> None:
    idx = file_of(folder, pack, ".idx")
    sound = SoundFiles()
    flip(idx, 50)
    assert not sound.is_sound(str(idx))
    flip(idx, 50)
    assert sound.is_sound(str(idx))


def test_a_folder_is_forgotten_at_most_once_in_a_while(folder: Path, pack: Pack) -> None:
    """A read that met damage has the files hashed anew; a thousand such reads must not hash them a thousand times."""
    idx = file_of(folder, pack, ".idx")
    sound = SoundFiles()
    assert sound.is_sound(str(idx))
    flip(idx, 50)
    assert sound.is_sound(str(idx)), "nothing tells of the change"
    sound.forget(str(folder))
    assert not sound.is_sound(str(idx))
    flip(idx, 50)
    assert sound.is_sound(str(idx))
    flip(idx, 50)
    sound.forget(str(folder))
    assert sound.is_sound(str(idx))


def test_forgetting_a_missing_folder_is_harmless(tmp_path: Path) -> None:
    SoundFiles().forget(str(tmp_path / "missing"))


def test_a_folder_of_sound_files_looks_unchanged(folder: Path, pack: Pack) -> None:
    assert looks_unchanged(folder, [pack.name], SoundFiles())
    assert looks_unchanged(folder, [], SoundFiles())


@pytest.mark.parametrize("suffix", [".pack", ".idx"])
def test_a_folder_that_lacks_a_file_looks_changed(folder: Path, pack: Pack, suffix: str) -> None:
    file_of(folder, pack, suffix).unlink()
    assert not looks_unchanged(folder, [pack.name], SoundFiles())


def test_a_folder_with_a_damaged_file_or_a_bad_reverse_index_looks_changed(folder: Path, pack: Pack) -> None:
    file_of(folder, pack, ".rev").write_bytes(b"x" * 100)
    assert not looks_unchanged(folder, [pack.name], SoundFiles())
    file_of(folder, pack, ".rev").unlink()
    flip(file_of(folder, pack, ".idx"), 50)
    assert not looks_unchanged(folder, [pack.name], SoundFiles())


def test_a_missing_folder_looks_changed(tmp_path: Path) -> None:
    assert not looks_unchanged(tmp_path / "missing", ["1" * 40], SoundFiles())


# What is made anew


def test_mending_does_not_touch_a_sound_pack(folder: Path, pack: Pack) -> None:
    before = {path.name: path.stat().st_ino for path in folder.iterdir()}
    assert mend(folder, pack) == (True, Mended([], []))
    assert {path.name: path.stat().st_ino for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    "spoil",
    [
        lambda idx: idx.unlink(),
        lambda idx: flip(idx, 20),
        lambda idx: flip(idx, idx.stat().st_size - 1),
        lambda idx: os.truncate(idx, 100),
        lambda idx: os.truncate(idx, 0),
    ],
    ids=["missing", "flipped", "flipped hash", "short", "empty"],
)
def test_a_lost_or_damaged_idx_is_made_anew(folder: Path, pack: Pack, spoil: Callable[[Path], None]) -> None:
    idx = file_of(folder, pack, ".idx")
    good = idx.read_bytes()
    idx.chmod(0o644)
    spoil(idx)
    can_be_used, mended = mend(folder, pack)
    assert can_be_used
    assert (mended.rebuilt, mended.faults) == ([idx.name], [])
    assert idx.read_bytes() == good, "git makes the same idx as we do"
    assert leftovers(folder) == []


def test_the_idx_of_another_pack_is_made_anew(folder: Path, pack: Pack, tmp_path: Path) -> None:
    """It is sound in itself: a power cut in the middle of a rename, or a backup that was put back in parts."""
    (tmp_path / "other").mkdir()
    other = write_pack(tmp_path / "other", [("blob", b"another")])
    idx = file_of(folder, pack, ".idx")
    good = idx.read_bytes()
    other.with_suffix(".idx").replace(idx)
    can_be_used, mended = mend(folder, pack)
    assert (can_be_used, mended.rebuilt) == (True, [idx.name])
    assert idx.read_bytes() == good


def test_a_damaged_reverse_index_is_removed(folder: Path, pack: Pack) -> None:
    rev = file_of(folder, pack, ".rev")
    rev.write_bytes(b"junk that has no hash at its end")
    can_be_used, mended = mend(folder, pack)
    assert (can_be_used, mended.rebuilt) == (True, [rev.name])
    assert not rev.exists()


def test_a_reverse_index_is_removed_with_its_idx(folder: Path, pack: Pack) -> None:
    rev = file_of(folder, pack, ".rev")
    content = b"RIDX of an idx that never was right"
    rev.write_bytes(content + hashlib.sha1(content).digest())
    file_of(folder, pack, ".idx").unlink()
    _, mended = mend(folder, pack)
    assert mended.rebuilt == [f"pack-{pack.name}.idx"]
    assert not rev.exists()


# What stays wrong


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda path: path.unlink(), MISSING),
        (lambda path: os.truncate(path, 50), "pack has another size than listed"),
        (lambda path: os.truncate(path, 0), "pack has another size than listed"),
        (lambda path: flip(path, 0), "pack has another header than it was written with"),
        (lambda path: flip(path, 11), "pack has another header than it was written with"),
        (lambda path: (path.unlink(), path.mkdir()), "pack cannot be opened"),
    ],
    ids=["missing", "short", "empty", "magic", "count", "folder"],
)
def test_a_changed_pack_cannot_be_used(
    folder: Path, pack: Pack, spoil: Callable[[Path], object], fault: str
) -> None:
    path = file_of(folder, pack, ".pack")
    path.chmod(0o644)
    spoil(path)
    can_be_used, mended = mend(folder, pack)
    assert not can_be_used
    assert [(each.pack, each.reason) for each in mended.faults] == [(pack.name, fault)]
    assert find_file_fault(folder, pack) == fault
    assert find_content_fault(folder, pack) == fault


def test_reading_all_of_a_pack_finds_damage_in_its_middle(folder: Path, pack: Pack) -> None:
    flip(file_of(folder, pack, ".pack"), 30)
    assert find_file_fault(folder, pack) is None
    assert find_content_fault(folder, pack) == "pack has another hash than it was written with"


def test_a_damaged_pack_without_an_idx_cannot_be_used(folder: Path, pack: Pack) -> None:
    flip(file_of(folder, pack, ".pack"), 30)
    file_of(folder, pack, ".idx").unlink()
    can_be_used, mended = mend(folder, pack)
    assert not can_be_used
    assert [each.pack for each in mended.faults] == [pack.name]
    assert not file_of(folder, pack, ".idx").exists()
    assert leftovers(folder) == []


def test_a_sound_pack_has_no_fault(folder: Path, pack: Pack) -> None:
    assert find_file_fault(folder, pack) is None
    assert find_content_fault(folder, pack) is None


def test_an_idx_that_cannot_be_made_now_is_not_a_fault_of_the_pack(
    folder: Path, pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk must not have a sound pack noted as damaged."""
    file_of(folder, pack, ".idx").unlink()
    mended = Mended([], [])
    with pytest.raises(Unavailable, match="pack idx cannot be rebuilt"):
        mend_pack(folder, pack, SoundFiles(), mended, scratch=lambda: folder / "missing")
    assert mended == Mended([], [])


# What an idx is asked


def test_an_idx_names_the_objects_of_its_pack(folder: Path, pack: Pack) -> None:
    assert has_object(folder, pack.name, hash_object("blob", b"two"))
    assert not has_object(folder, pack.name, hash_object("blob", b"four"))


def test_a_missing_or_damaged_idx_has_no_object(folder: Path, pack: Pack) -> None:
    idx = file_of(folder, pack, ".idx")
    idx.chmod(0o644)
    idx.write_bytes(b"junk")
    assert not has_object(folder, pack.name, hash_object("blob", b"two"))
    idx.unlink()
    assert not has_object(folder, pack.name, hash_object("blob", b"two"))
