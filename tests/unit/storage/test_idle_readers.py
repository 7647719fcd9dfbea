"""Readers that are kept open between reads, and one use of the folder they read."""

import threading
from pathlib import Path

import pytest

from packhouse.git.objects.reader import ObjectReader
from packhouse.git.oid import hash_object
from packhouse.storage.idle_readers import IdleReaders
from packhouse.storage.opened_folder import OpenedFolder
from packhouse.storage.store import Mended
from tests.support.builders.packs import write_pack

pytestmark = pytest.mark.quick


@pytest.fixture
def object_dir(tmp_path: Path) -> Path:
    """A folder of objects with one blob."""
    (tmp_path / "objects" / "pack").mkdir(parents=True)
    write_pack(tmp_path / "objects" / "pack", [("blob", b"one")])
    return tmp_path / "objects"


def test_a_reader_is_used_again_by_the_next_read(object_dir: Path) -> None:
    readers = IdleReaders()
    with readers.use(object_dir) as first:
        assert first.read(hash_object("blob", b"one")) == ("blob", b"one")
    with readers.use(object_dir) as second:
        assert second is first


def test_concurrent_reads_have_separate_readers(object_dir: Path) -> None:
    readers = IdleReaders()
    with readers.use(object_dir) as first, readers.use(object_dir) as second:
        assert first is not second
    with readers.use(object_dir) as third, readers.use(object_dir) as fourth:
        assert {id(third), id(fourth)} == {id(first), id(second)}


def test_a_reader_that_failed_is_not_used_again(object_dir: Path) -> None:
    readers = IdleReaders()
    with pytest.raises(KeyError), readers.use(object_dir) as first:
        raise KeyError
    with readers.use(object_dir) as second:
        assert second is not first


def test_after_forget_idle_readers_are_not_used_and_those_in_use_are_not_kept(object_dir: Path) -> None:
    readers = IdleReaders()
    with readers.use(object_dir) as idle:
        pass
    with readers.use(object_dir) as in_use:
        assert in_use is idle
        readers.forget()
    with readers.use(object_dir) as fresh:
        assert fresh is not idle


def test_a_new_reader_sees_packs_that_were_added_since(object_dir: Path) -> None:
    readers = IdleReaders()
    with readers.use(object_dir):
        pass
    write_pack(object_dir / "pack", [("blob", b"two")])
    readers.forget()
    with readers.use(object_dir) as reader:
        assert reader.read(hash_object("blob", b"two")) == ("blob", b"two")


def test_the_number_of_idle_readers_has_a_bound(object_dir: Path) -> None:
    """Each has the packs of its folder open."""
    readers = IdleReaders()
    barrier = threading.Barrier(40)
    used: list[ObjectReader] = []

    def read() -> None:
        with readers.use(object_dir) as reader:
            used.append(reader)
            barrier.wait(60)

    threads = [threading.Thread(target=read) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len({id(reader) for reader in used}) == 40
    assert len(readers._idle) == 16


def test_a_use_of_a_folder_ends_once(object_dir: Path) -> None:
    ended: list[str] = []
    opened = OpenedFolder(
        object_dir, IdleReaders(), Mended([], []), descriptors=(7,), give_back=lambda: ended.append("once")
    )
    assert (opened.object_dir, opened.descriptors) == (object_dir, (7,))
    with opened.reader() as reader:
        assert reader.read(hash_object("blob", b"one")) == ("blob", b"one")
    assert ended == []
    opened.close()
    opened.close()
    assert ended == ["once"]


def test_a_use_that_has_ended_gives_no_reader(object_dir: Path) -> None:
    opened = OpenedFolder(object_dir, IdleReaders(), Mended([], []), give_back=lambda: None)
    opened.close()
    with pytest.raises(AssertionError):
        opened.reader()
