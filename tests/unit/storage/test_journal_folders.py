"""Folders that show packs of the journal to git: exactly the wanted packs, in few files, while somebody uses them."""

import os
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from packhouse.git.oid import hash_object
from packhouse.git.packs.memory_pack import MemoryPack
from packhouse.storage.journal_folders import JournalFolders, ShownPacks
from packhouse.storage.quarantine import Quarantine, sweep_quarantines
from tests.support.builders.small_packs import small_pack

pytestmark = pytest.mark.quick

REPO = "repo_abcd1234"


class Place:
    """A place for folders, which may be full."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.is_full = False

    def new_folder(self, fill: Callable[[Quarantine], None]) -> Quarantine:
        if self.is_full:
            raise OSError(28, "of the test")
        quarantine = Quarantine(self.root)
        fill(quarantine)
        return quarantine

    def folders(self) -> list[Path]:
        return sorted(self.root.iterdir())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "place")


@pytest.fixture
def folders(place: Place) -> JournalFolders:
    return JournalFolders(place.new_folder, count_max=3, size_max_bytes=1_000_000)


def packs(first: int, last: int) -> list[MemoryPack]:
    return [small_pack(f"{number:04x}", b"%d\n" % number) for number in range(first, last + 1)]


def shown(opened: ShownPacks) -> set[str]:
    """Return the ids that git sees in the folder."""
    environment = {"PATH": os.environ["PATH"], "GIT_OBJECT_DIRECTORY": str(opened.object_dir)}
    repository = opened.object_dir.parent
    (repository / "refs").mkdir(exist_ok=True)
    (repository / "HEAD").write_text("ref: refs/heads/main\n")
    listed = subprocess.run(
        ["git", "--git-dir", repository, "cat-file", "--batch-all-objects", "--batch-check=%(objectname)"],
        env=environment,
        capture_output=True,
        check=True,
    )
    return set(listed.stdout.decode().split())


def blobs(first: int, last: int) -> set[str]:
    return {hash_object("blob", b"%d\n" % number) for number in range(first, last + 1)}


def files(opened: ShownPacks) -> int:
    return len(list((opened.object_dir / "pack").glob("*.pack")))


@pytest.mark.parametrize("count", [1, 2, 3, 20])
def test_git_sees_the_objects_of_all_packs(folders: JournalFolders, count: int) -> None:
    with folders.show(REPO, packs(1, count)) as opened:
        assert shown(opened) == blobs(1, count)


def test_a_new_pack_is_added_to_the_folder_in_use(folders: JournalFolders) -> None:
    with folders.show(REPO, packs(1, 1)) as first, folders.show(REPO, packs(1, 2)) as second:
        assert first.object_dir == second.object_dir
        assert shown(first) == blobs(1, 2)


def test_the_same_packs_are_written_once(folders: JournalFolders) -> None:
    with folders.show(REPO, packs(1, 2)) as first:
        times = {path: path.stat().st_mtime_ns for path in (first.object_dir / "pack").iterdir()}
        with folders.show(REPO, packs(1, 2)) as second:
            assert {path: path.stat().st_mtime_ns for path in (second.object_dir / "pack").iterdir()} == times


def test_many_packs_become_few_files(folders: JournalFolders) -> None:
    for last in range(1, 40):
        with folders.show(REPO, packs(1, last)) as opened:
            assert files(opened) <= 8
            assert shown(opened) == blobs(1, last)


def test_a_pack_that_was_flushed_is_shown_no_more(folders: JournalFolders, place: Place) -> None:
    with folders.show(REPO, packs(1, 5)) as before, folders.show(REPO, packs(4, 6)) as after:
        assert shown(before) == blobs(1, 5)
        assert shown(after) == blobs(4, 6)
    assert len(place.folders()) == 1, "the replaced folder goes with its last user"


def test_a_folder_is_kept_for_the_next_use_and_removed_at_the_end(
    folders: JournalFolders, place: Place
) -> None:
    folders.show(REPO, packs(1, 1)).close()
    assert len(place.folders()) == 1
    folders.close()
    assert place.folders() == []


def test_closing_twice_is_harmless(folders: JournalFolders) -> None:
    opened = folders.show(REPO, packs(1, 1))
    with folders.show(REPO, packs(1, 1)) as other:
        opened.close()
        opened.close()
        folders.forget_repo(REPO)
        assert shown(other) == blobs(1, 1)


def test_the_least_recently_used_folders_go_when_they_are_many(folders: JournalFolders, place: Place) -> None:
    for number in range(5):
        folders.show(f"repo_{number:08}", packs(1, 1)).close()
    assert len(place.folders()) == 3
    kept = folders.show("repo_00000004", packs(1, 1))
    assert len(place.folders()) == 3, "the newest ones were kept"
    kept.close()


def test_the_least_recently_used_folders_go_when_they_are_large(place: Place) -> None:
    folders = JournalFolders(place.new_folder, count_max=100, size_max_bytes=250_000)
    for number in range(5):
        large = small_pack("a", random.Random(number).randbytes(100_000))
        folders.show(f"repo_{number:08}", [large]).close()
    assert len(place.folders()) == 2


def test_a_folder_that_somebody_deleted_is_made_again(folders: JournalFolders, place: Place) -> None:
    folders.show(REPO, packs(1, 3)).close()
    for folder in place.folders():
        shutil.rmtree(folder)
    with folders.show(REPO, packs(1, 3)) as opened:
        assert shown(opened) == blobs(1, 3)


def test_a_folder_that_takes_no_more_packs_is_replaced(folders: JournalFolders) -> None:
    first = folders.show(REPO, packs(1, 1))
    shutil.rmtree(first.object_dir / "pack")
    (first.object_dir / "pack").touch()
    with folders.show(REPO, packs(1, 2)) as opened:
        assert shown(opened) == blobs(1, 2)
    first.close()


def test_a_failure_to_make_a_folder_is_told(folders: JournalFolders, place: Place) -> None:
    place.is_full = True
    with pytest.raises(OSError, match="of the test"):
        folders.show(REPO, packs(1, 1))
    place.is_full = False
    with folders.show(REPO, packs(1, 1)) as opened:
        assert shown(opened) == blobs(1, 1)


def test_a_folder_that_a_git_child_holds_is_left_to_the_sweeper(
    folders: JournalFolders, place: Place
) -> None:
    opened = folders.show(REPO, packs(1, 1))
    child = subprocess.Popen(["sleep", "60"], pass_fds=opened.descriptors)
    try:
        opened.close()
        folders.close()
        assert len(place.folders()) == 1
        assert sweep_quarantines(place.root) == 0
    finally:
        child.kill()
        child.wait()
    assert sweep_quarantines(place.root) == 1
    assert place.folders() == []
