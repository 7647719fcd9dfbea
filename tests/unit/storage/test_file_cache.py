"""The cache of rebuildable files: whatever is damaged or in the way counts as absent, and the bound holds."""

import os
import threading
from pathlib import Path

import pytest

from packhouse.storage import file_cache as file_cache_module
from packhouse.storage.file_cache import FileCache
from packhouse.storage.files import lock_file

pytestmark = pytest.mark.quick

BOUND = 16_000


@pytest.fixture
def cache(tmp_path: Path) -> FileCache:
    return FileCache(tmp_path / "cache", max_bytes=BOUND)


def stored(tmp_path: Path) -> dict[str, int]:
    """Return the size of each file by `folder/name`, locks left out."""
    root = tmp_path / "cache"
    return {
        f"{path.parent.name}/{path.name}": path.stat().st_size for path in root.glob("*/*") if path.is_file()
    }


def age(tmp_path: Path, name: str, seconds: int) -> None:
    path = tmp_path / "cache" / name
    at = path.stat().st_mtime - seconds
    os.utime(path, (at, at))


def test_a_written_file_is_read_back_also_by_another_process(cache: FileCache, tmp_path: Path) -> None:
    assert cache.read("repo_a", "one") is None
    assert not cache.has("repo_a", "one")
    cache.write("repo_a", "one", b"content")
    assert cache.has("repo_a", "one")
    other = FileCache(tmp_path / "cache", max_bytes=BOUND)
    assert cache.read("repo_a", "one") == other.read("repo_a", "one") == b"content"


def test_a_file_is_replaced_and_may_be_empty(cache: FileCache) -> None:
    cache.write("repo_a", "one", b"first")
    cache.write("repo_a", "one", b"")
    assert cache.read("repo_a", "one") == b""


def test_each_folder_has_its_own_files(cache: FileCache) -> None:
    cache.write("repo_a", "one", b"a")
    cache.write("repo_b", "one", b"b")
    assert (cache.read("repo_a", "one"), cache.read("repo_b", "one")) == (b"a", b"b")


@pytest.mark.parametrize("cut", [0, 1, 19, 20, 26])
def test_a_file_that_a_power_cut_left_short_counts_as_absent(
    cache: FileCache, tmp_path: Path, cut: int
) -> None:
    cache.write("repo_a", "one", b"content")
    path = tmp_path / "cache" / "repo_a" / "one"
    assert path.stat().st_size == 27
    os.truncate(path, cut)
    assert cache.read("repo_a", "one") is None
    assert cache.has("repo_a", "one"), "that it is damaged is known to the reader only"


@pytest.mark.parametrize("at", [0, 19, 20, 26])
def test_a_file_with_a_flipped_bit_counts_as_absent(cache: FileCache, tmp_path: Path, at: int) -> None:
    cache.write("repo_a", "one", b"content")
    path = tmp_path / "cache" / "repo_a" / "one"
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    assert cache.read("repo_a", "one") is None


def test_a_file_may_be_deleted_at_any_time(cache: FileCache, tmp_path: Path) -> None:
    cache.write("repo_a", "one", b"content")
    (tmp_path / "cache" / "repo_a" / "one").unlink()
    assert cache.read("repo_a", "one") is None
    (tmp_path / "cache" / "repo_a").rmdir()
    cache.write("repo_a", "one", b"again")
    assert cache.read("repo_a", "one") == b"again"


def test_on_a_disk_that_takes_no_writes_nothing_is_kept_and_nothing_fails(
    cache: FileCache, tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    cache.write("repo_a", "one", b"content")
    assert cache.read("repo_a", "one") is None
    with cache.lock("repo_a", "one"):
        pass


def test_the_bound_holds_and_the_least_recently_used_files_are_dropped_first(
    cache: FileCache, tmp_path: Path
) -> None:
    for number in range(10):
        cache.write("repo_a", f"f{number}", b"x" * 1500)
        age(tmp_path, f"repo_a/f{number}", 1000 - number)
    assert cache.read("repo_a", "f0") is not None  # used just now
    for number in range(10, 14):
        cache.write("repo_a", f"f{number}", b"x" * 1500)
    left = stored(tmp_path)
    assert sum(left.values()) <= BOUND + BOUND // 16 + 1520
    assert "repo_a/f0" in left
    assert "repo_a/f1" not in left
    assert "repo_a/f13" in left


def test_the_first_write_counts_files_of_earlier_processes(tmp_path: Path) -> None:
    """Else each restart would let the cache grow by another bound."""
    FileCache(tmp_path / "cache", max_bytes=10 * BOUND).write("repo_a", "large", b"x" * 3 * BOUND)
    age(tmp_path, "repo_a/large", 10)
    FileCache(tmp_path / "cache", max_bytes=BOUND).write("repo_a", "small", b"x")
    assert set(stored(tmp_path)) == {"repo_a/small"}


def test_leftovers_of_crashes_are_dropped_like_other_files(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "repo_a"
    folder.mkdir(parents=True)
    (folder / ".one.1234").write_bytes(b"x" * 2 * BOUND)
    age(tmp_path, "repo_a/.one.1234", 10)
    FileCache(tmp_path / "cache", max_bytes=BOUND).write("repo_a", "small", b"x")
    assert set(stored(tmp_path)) == {"repo_a/small"}


def test_only_one_process_at_a_time_makes_a_file(cache: FileCache, tmp_path: Path) -> None:
    other = FileCache(tmp_path / "cache", max_bytes=BOUND)
    order: list[str] = []
    inside, asked = threading.Event(), threading.Event()

    def second() -> None:
        assert inside.wait(60)
        asked.set()
        with other.lock("repo_a", "one"):
            order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with cache.lock("repo_a", "one"):
        inside.set()
        assert asked.wait(60)
        order.append("first")
    thread.join(60)
    assert order == ["first", "second"]


def test_after_too_long_a_wait_the_work_goes_on_without_the_lock(
    cache: FileCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that make the same file waste work; one that waits for ever answers nobody."""
    monkeypatch.setattr(file_cache_module, "_LOCK_WAIT_MAX_S", 0.05)
    with cache.lock("repo_a", "one"):
        (path,) = (tmp_path / "cache").glob(".lock-*")
        with lock_file(path, exclusive=True, wait=False) as held:
            assert held is None
        reached = False
        with FileCache(tmp_path / "cache", max_bytes=BOUND).lock("repo_a", "one"):
            reached = True
        assert reached
