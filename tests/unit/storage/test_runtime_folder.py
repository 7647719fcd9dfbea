"""Runtime files: made where they may be, shared, bounded, and gone with the last process that used them."""

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from packhouse.limits import Limits
from packhouse.storage.runtime_folder import RuntimeFolder

pytestmark = pytest.mark.quick


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    folder = tmp_path / "memory"
    folder.mkdir()
    return folder


@pytest.fixture
def runtime(data: Path, memory: Path) -> Iterator[RuntimeFolder]:
    folder = RuntimeFolder(data, memory)
    yield folder
    folder.close()


def open_refs(runtime: RuntimeFolder, repo_id: str, content: bytes = b"") -> Path:
    with runtime.refs(repo_id, Path("/objects"), lambda folder: write(folder, content)) as (folder, _lock):
        return folder


def write(folder: Path, content: bytes) -> None:
    temporary = folder / f"new-{threading.get_ident()}"
    temporary.write_bytes(content)
    temporary.rename(folder / "packed-refs")


def test_nothing_is_made_before_it_is_needed(runtime: RuntimeFolder, memory: Path) -> None:
    assert runtime.sweep() == 0
    assert list(memory.iterdir()) == []


def test_a_folder_of_refs_is_a_repository_that_only_its_owner_may_read(
    runtime: RuntimeFolder, memory: Path
) -> None:
    folder = open_refs(runtime, "repo_a")
    assert {path.name for path in folder.iterdir()} >= {"config", "objects", "packed-refs", "refs"}
    assert os.readlink(folder / "objects") == "/objects"
    (place,) = memory.iterdir()
    assert place.stat().st_mode & 0o777 == 0o700


def test_processes_of_one_data_folder_share_the_folder_and_the_last_removes_it(
    data: Path, memory: Path
) -> None:
    first, second = RuntimeFolder(data, memory), RuntimeFolder(data, memory)
    assert open_refs(first, "repo_a") == open_refs(second, "repo_a")
    first.close()
    assert open_refs(second, "repo_a").exists()
    second.close()
    assert list(memory.iterdir()) == []


def test_two_data_folders_have_separate_folders(data: Path, memory: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    one, two = RuntimeFolder(data, memory), RuntimeFolder(tmp_path / "other", memory)
    assert open_refs(one, "repo_a") != open_refs(two, "repo_a")
    one.close()
    two.close()


def test_the_next_server_removes_the_leftovers_of_a_dead_one(data: Path, memory: Path) -> None:
    left = memory / f"packhouse-{os.geteuid()}-0123456789abcdef"
    left.mkdir(mode=0o700)
    (left / "lock").touch()
    runtime = RuntimeFolder(data, memory)
    open_refs(runtime, "repo_a")
    assert not left.exists()
    runtime.close()


@pytest.mark.parametrize("mode", [0o777, 0o755])
def test_a_folder_that_others_may_enter_is_not_used(
    runtime: RuntimeFolder, data: Path, memory: Path, mode: int
) -> None:
    place = open_refs(runtime, "repo_a").parent.parent
    runtime.close()
    place.mkdir()
    place.chmod(mode)
    again = RuntimeFolder(data, memory)
    assert open_refs(again, "repo_a").is_relative_to(data / "cache")
    again.close()


def test_a_link_in_place_of_the_folder_is_not_followed(data: Path, memory: Path, tmp_path: Path) -> None:
    runtime = RuntimeFolder(data, memory)
    place = open_refs(runtime, "repo_a").parent.parent
    runtime.close()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    place.symlink_to(tmp_path / "elsewhere")
    again = RuntimeFolder(data, memory)
    open_refs(again, "repo_a")
    assert list((tmp_path / "elsewhere").iterdir()) == []
    again.close()


def test_refs_go_to_another_place_when_the_first_is_full(
    runtime: RuntimeFolder, data: Path, memory: Path
) -> None:
    def write_in_cache_only(folder: Path) -> None:
        if folder.is_relative_to(memory):
            raise OSError(28, "No space left on device")

    with runtime.refs("repo_a", Path("/objects"), write_in_cache_only) as (folder, _lock):
        assert folder.is_relative_to(data / "cache")


def test_a_folder_that_somebody_deleted_is_made_again(runtime: RuntimeFolder, memory: Path) -> None:
    open_refs(runtime, "repo_a")
    (place,) = memory.iterdir()
    shutil.rmtree(place)
    assert open_refs(runtime, "repo_a").exists()
    runtime.new_scratch().discard()


def test_a_folder_that_was_replaced_by_another_is_not_used(
    runtime: RuntimeFolder, data: Path, memory: Path
) -> None:
    open_refs(runtime, "repo_a")
    (place,) = memory.iterdir()
    shutil.rmtree(place)
    (place / "refs").mkdir(parents=True)
    place.chmod(0o777)
    assert open_refs(runtime, "repo_b").is_relative_to(data / "cache")
    assert list((place / "refs").iterdir()) == []


def test_a_file_in_place_of_the_folder_is_not_used(runtime: RuntimeFolder, data: Path, memory: Path) -> None:
    open_refs(runtime, "repo_a")
    (place,) = memory.iterdir()
    shutil.rmtree(place)
    place.touch()
    assert open_refs(runtime, "repo_b").is_relative_to(data / "cache")


def test_other_failures_are_raised(runtime: RuntimeFolder) -> None:
    def fail(_folder: Path) -> None:
        raise OSError(5, "Input/output error")

    with (
        pytest.raises(OSError, match="Input/output"),
        runtime.refs("repo_a", Path("/objects"), fail),
    ):
        pass


def test_beyond_the_bound_the_oldest_unused_folders_are_removed(data: Path, memory: Path) -> None:
    runtime = RuntimeFolder(data, memory, limits=Limits(ref_folders_max=10))
    with runtime.refs("repo_held", Path("/objects"), lambda folder: write(folder, b"")) as (held, _lock):
        folders = [open_refs(runtime, f"repo_{number:03}") for number in range(127)]
        left = [folder for folder in folders if folder.exists()]
        assert len(left) == 9
        assert left == folders[-9:]
        assert held.exists()
    runtime.close()


def test_beyond_the_bound_of_bytes_folders_with_large_refs_are_removed(data: Path, memory: Path) -> None:
    runtime = RuntimeFolder(data, memory, limits=Limits(ref_folders_max_bytes=10_000))
    folders = [open_refs(runtime, f"repo_{number:03}", b"x" * 4000) for number in range(64)]
    assert sum(folder.exists() for folder in folders) == 2
    runtime.close()


def test_a_folder_that_is_opened_while_others_are_removed_is_complete(data: Path, memory: Path) -> None:
    failures: list[str] = []

    def use(runtime: RuntimeFolder, start: int) -> None:
        for number in range(start, start + 300):
            name = f"repo_{number % 7}"
            with runtime.refs(name, Path("/objects"), lambda f: write(f, b"refs")) as (folder, _):
                if (folder / "packed-refs").read_bytes() != b"refs" or not (folder / "config").exists():
                    failures.append(name)

    runtimes = [RuntimeFolder(data, memory, limits=Limits(ref_folders_max=1)) for _ in range(4)]
    threads = [threading.Thread(target=use, args=(runtime, place)) for place, runtime in enumerate(runtimes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for runtime in runtimes:
        runtime.close()
    assert failures == []
    assert list(memory.iterdir()) == []
