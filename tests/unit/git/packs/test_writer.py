"""Writing packs: complete, deduplicated, bounded, and repeatable after a change of mind."""

import hashlib
import os
import random
import struct
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from packhouse import limits
from packhouse.errors import Corrupt
from packhouse.git.oid import hash_object
from packhouse.git.packs.idx import PackIdx
from packhouse.git.packs.pack import Pack
from packhouse.git.packs.writer import (
    FinishedPack,
    PackEntry,
    PackWriter,
    encode_delta_header,
    encode_entry_header,
    encode_idx,
    write_idx,
)
from tests.support.builders.packs import BareRepo
from tests.support.builders.raw_packs import append_delta, entry, ofs_delta
from tests.support.clients.git import Git

pytestmark = pytest.mark.quick


@pytest.fixture(scope="module")
def git(tmp_path_factory: pytest.TempPathFactory) -> Git:
    return Git(tmp_path_factory.mktemp("home"))


class NewPack:
    """A pack being written to a file of the test's."""

    def __init__(self, folder: Path, git: Git) -> None:
        self.path = folder / "new.pack"
        self._git = git
        self.file = self.path.open("x+b")
        self.writer = PackWriter(lambda: self.file)

    def finish(self) -> FinishedPack:
        """Finish the pack and have git confirm it, its name, its objects and our idx of it."""
        info = self.writer.finish()
        assert info.pack.size_bytes == self.path.stat().st_size
        theirs = self.path.with_name("theirs.idx")
        assert self._git.run("index-pack", "--strict", "-o", theirs, self.path) == info.pack.name
        assert theirs.read_bytes() == encode_idx(info.entries, pack_name=info.pack.name)
        theirs.unlink()
        return info


@pytest.fixture
def new(tmp_path: Path, git: Git) -> Iterator[NewPack]:
    new = NewPack(tmp_path, git)
    yield new
    new.file.close()


def test_a_pack_without_objects_is_valid(new: NewPack) -> None:
    assert new.finish().pack.objects == 0


def test_every_kind_of_object_is_stored_under_the_id_that_git_gives_it(tmp_path: Path, git: Git) -> None:
    repo = BareRepo(git, tmp_path / "bare")
    tree = hash_object("tree", b"")
    person = b"Ada <a@b> 1 +0000"
    commit = b"tree %s\nauthor %s\ncommitter %s\n\nm\n" % (tree.encode(), person, person)
    tag = b"object %s\ntype commit\ntag v1\ntagger %s\n\nm\n" % (
        hash_object("commit", commit).encode(),
        person,
    )
    objects = [("blob", b"x"), ("tree", b""), ("commit", commit), ("tag", tag)]
    repo.add(objects)
    for kind, content in objects:
        done = git.try_run("cat-file", kind, hash_object(kind, content), cwd=repo.path)
        assert done.stdout == content


def test_an_object_added_twice_is_stored_once(new: NewPack) -> None:
    first = new.writer.add_object("blob", b"same")
    assert new.writer.add_object("blob", b"same") == first
    assert new.writer.add_blob_chunks(4, [b"sa", b"me"]) == first
    assert new.writer.add_object("tree", b"") != first
    assert first in new.writer
    assert new.finish().pack.objects == len(new.writer) == 2


@pytest.mark.parametrize("size", [0, 1, 15, 16, 2047, 2048, 65536, 300_000])
def test_a_blob_in_pieces_gets_the_id_of_the_whole(new: NewPack, size: int) -> None:
    content = random.Random(size).randbytes(size)
    pieces = [content[at : at + 1000] for at in range(0, size, 1000)]
    assert new.writer.add_blob_chunks(size, pieces) == hash_object("blob", content)
    new.finish()


def test_a_blob_of_another_length_than_announced_leaves_no_trace(new: NewPack) -> None:
    new.writer.add_object("blob", b"before")
    for pieces in ([b"abc"], [b"abcd", b"e"], []):
        with pytest.raises(Corrupt):
            new.writer.add_blob_chunks(4, pieces)
    new.writer.add_object("blob", b"after")
    assert new.finish().pack.objects == 2


def test_a_blob_whose_source_fails_leaves_no_trace(new: NewPack) -> None:
    def broken() -> Iterator[bytes]:
        yield os.urandom(limits.pack_buffer_max_bytes)
        yield os.urandom(limits.pack_buffer_max_bytes)
        raise ConnectionError("gone")

    new.writer.add_object("blob", b"before")
    with pytest.raises(ConnectionError):
        new.writer.add_blob_chunks(3 * limits.pack_buffer_max_bytes, broken())
    new.writer.add_object("blob", b"after")
    assert new.finish().pack.objects == 2


def test_git_accepts_a_pack_that_is_larger_than_the_buffer(new: NewPack) -> None:
    rng = random.Random(7)
    half = limits.pack_buffer_max_bytes // 2
    for _ in range(5):
        new.writer.add_object("blob", rng.randbytes(half))
        new.writer.add_object("blob", rng.randbytes(10))
    assert new.finish().pack.size_bytes > 2 * limits.pack_buffer_max_bytes


def test_data_that_does_not_compress_hardly_grows(new: NewPack) -> None:
    size = 3 * limits.MIB
    new.writer.add_blob_chunks(size, [os.urandom(size)])
    new.writer.add_object("blob", os.urandom(size))
    assert new.finish().pack.size_bytes < 2 * size * 1.001


def test_memory_stays_bounded_while_a_large_blob_is_written(tmp_path: Path) -> None:
    piece = os.urandom(limits.MIB)
    count = 40
    with (tmp_path / "pack").open("x+b") as file:
        writer = PackWriter(lambda: file)
        tracemalloc.start()
        try:
            writer.add_blob_chunks(count * len(piece), (piece for _ in range(count)))
            writer.finish()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 3 * limits.pack_buffer_max_bytes


@pytest.mark.parametrize("large", [False, True])
def test_a_finished_pack_may_be_finished_again_and_continued(new: NewPack, large: bool) -> None:
    size = limits.pack_buffer_max_bytes + 1 if large else 100
    first = new.writer.add_object("blob", random.Random(1).randbytes(size))
    once = new.finish()
    assert new.finish() == once
    second = new.writer.add_object("blob", b"2")
    continued = new.finish()
    assert [entry.oid for entry in continued.entries] == [first, second]
    assert continued.pack.name != once.pack.name


@pytest.mark.parametrize(
    ("size", "header"),
    [
        (0, b"\x30"),
        (15, b"\x3f"),
        (16, b"\xb0\x01"),
        (2**32, b"\xb0\x80\x80\x80\x80\x01"),
        (2047, b"\xbf\x7f"),
    ],
)
def test_entry_headers_hold_lengths_of_any_size(size: int, header: bytes) -> None:
    assert encode_entry_header("blob", size) == header


@pytest.mark.parametrize(
    ("distance", "encoded"),
    [
        (1, b"\x01"),
        (127, b"\x7f"),
        (128, b"\x80\x00"),
        (16511, b"\xff\x7f"),
        (16512, b"\x80\x80\x00"),
        (2**40, b"\x9e\xfe\xfe\xfe\xff\x00"),
    ],
)
def test_headers_of_deltas_hold_distances_of_any_size(distance: int, encoded: bytes) -> None:
    assert encode_delta_header(15, distance=distance) == b"\x6f" + encoded
    assert ofs_delta(distance, b"")[1:].startswith(encoded)


@pytest.mark.parametrize("between", [0, 100, 20_000, 3_000_000])
def test_a_copied_delta_names_its_base_by_the_distance(new: NewPack, between: int) -> None:
    base = b"base" * 9
    stored = entry(3, base)
    change = append_delta(base, b"2")
    oids = [hash_object("blob", content) for content in (base, base + b"2")]
    for _ in range(2):
        new.writer.copy_whole(oids[0], stored)
        new.writer.add_object("blob", random.Random(between).randbytes(between))
        new.writer.copy_delta(oids[1], base=oids[0], size_bytes=len(change), deflated=zlib.compress(change))
    assert {entry.oid for entry in new.finish().entries} >= set(oids)
    assert len(new.writer) == 3


def test_an_idx_holds_offsets_beyond_two_gigabytes(tmp_path: Path, git: Git) -> None:
    offsets = [12, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0x1_0000_0000, 2**40]
    entries = tuple(
        PackEntry(hash_object("blob", b"%d" % offset), offset & 0xFFFF, offset) for offset in offsets
    )
    path = tmp_path / "pack-x.idx"
    write_idx(path, FinishedPack(Pack("ab" * 20, 0, 0), entries))
    lines = (
        git.try_run("show-index", "--object-format=sha1", stdin=path.read_bytes())
        .stdout.decode()
        .splitlines()
    )
    shown = {line.split()[1]: (int(line.split()[0]), line.split()[2]) for line in lines}
    assert shown == {entry.oid: (entry.offset, f"({entry.crc32:08x})") for entry in entries}
    with PackIdx(path) as idx:
        assert sorted(idx) == sorted(entries)


def test_an_idx_is_read_only_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "pack-x.idx"
    write_idx(path, FinishedPack(Pack("00" * 20, 0, 0), ()))
    assert path.stat().st_mode & 0o777 == 0o444
    with pytest.raises(FileExistsError):
        write_idx(path, FinishedPack(Pack("11" * 20, 0, 0), ()))


def test_the_name_is_the_hash_of_all_bytes_before_the_trailer(new: NewPack) -> None:
    new.writer.add_object("blob", b"a")
    info = new.finish()
    written = new.path.read_bytes()
    assert written[:12] == b"PACK" + struct.pack(">II", 2, 1)
    assert (
        hashlib.sha1(written[:-20], usedforsecurity=False).hexdigest()
        == info.pack.name
        == written[-20:].hex()
    )
