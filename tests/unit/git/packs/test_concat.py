"""Joining packs: every object once, byte for byte as stored, and no pack that needs more than copying."""

import os
import random
import tracemalloc
from pathlib import Path

import pytest

from packhouse import limits
from packhouse.errors import Corrupt, Invalid
from packhouse.git.oid import hash_object
from packhouse.git.packs.concat import concatenate_packs
from packhouse.git.packs.writer import FinishedPack, PackEntry, PackWriter, encode_idx
from tests.support.builders.packs import write_pack
from tests.support.clients.git import Git

pytestmark = pytest.mark.quick


@pytest.fixture(scope="module")
def git(tmp_path_factory: pytest.TempPathFactory) -> Git:
    return Git(tmp_path_factory.mktemp("home"))


def blobs(*contents: bytes) -> list[tuple[str, bytes]]:
    return [("blob", content) for content in contents]


def join(packs: list[Path], target: Path) -> FinishedPack:
    with target.open("x+b") as file:
        writer = PackWriter(lambda: file)
        concatenate_packs(packs, writer)
        return writer.finish()


def test_the_joined_pack_holds_every_object_once(tmp_path: Path, git: Git) -> None:
    packs = [write_pack(tmp_path, blobs(b"shared", b"only %d" % number)) for number in range(5)]
    target = tmp_path / "joined"
    info = join(packs, target)
    expected = {
        hash_object("blob", content) for content in [b"shared", *(b"only %d" % at for at in range(5))]
    }
    assert {entry.oid for entry in info.entries} == expected
    theirs = tmp_path / "theirs.idx"
    assert git.run("index-pack", "--strict", "-o", theirs, target) == info.pack.name
    assert theirs.read_bytes() == encode_idx(info.entries, pack_name=info.pack.name)


def test_joining_one_pack_copies_it(tmp_path: Path) -> None:
    (pack,) = [write_pack(tmp_path, blobs(b"a", b"b"))]
    join([pack], tmp_path / "joined")
    assert (tmp_path / "joined").read_bytes() == pack.read_bytes()


def make_pack_with_deltas(git: Git, folder: Path) -> Path:
    work = git.init(folder)
    text = random.Random(3).randbytes(5000).hex().encode()
    for number in range(5):
        git.commit(work, {"file": text + b"%d" % number})
    git.run("repack", "-adfq", cwd=work)
    (pack,) = (work / ".git/objects/pack").glob("*.pack")
    return pack


def test_a_pack_with_deltas_is_refused_before_anything_is_copied(tmp_path: Path, git: Git) -> None:
    deltas = make_pack_with_deltas(git, tmp_path / "work")
    whole = write_pack(tmp_path, blobs(b"a"))
    with (tmp_path / "joined").open("x+b") as file:
        writer = PackWriter(lambda: file)
        with pytest.raises(Invalid):
            concatenate_packs([deltas, whole], writer)
        assert len(writer) == 0


def test_a_pack_that_git_wrote_without_deltas_is_taken(tmp_path: Path, git: Git) -> None:
    work = git.init(tmp_path / "work")
    git.commit(work, {"a": os.urandom(100), "b": os.urandom(100)})
    git.run("repack", "-adq", "--depth=0", cwd=work)
    (pack,) = (work / ".git/objects/pack").glob("*.pack")
    assert join([pack], tmp_path / "joined").pack.objects == 4


def test_a_flipped_bit_in_any_entry_is_noticed(tmp_path: Path) -> None:
    pack = write_pack(tmp_path, blobs(b"a" * 100, b"b" * 100))
    content = bytearray(pack.read_bytes())
    content[30] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(content)
    with pytest.raises(Corrupt):
        join([pack], tmp_path / "joined")


def test_a_pack_beside_the_idx_of_another_is_noticed(tmp_path: Path) -> None:
    first, second = (write_pack(tmp_path, blobs(content)) for content in (b"a", b"b"))
    second.with_suffix(".idx").rename(first.with_suffix(".idx"))
    with pytest.raises(Corrupt):
        join([first], tmp_path / "joined")


@pytest.mark.parametrize("offset", [0, 11, 13, 10**6, 2**40])
def test_an_idx_that_points_elsewhere_is_noticed(tmp_path: Path, offset: int) -> None:
    pack = write_pack(tmp_path, blobs(b"a"))
    idx = pack.with_suffix(".idx")
    idx.unlink()
    entry = PackEntry(hash_object("blob", b"a"), 0, offset)
    idx.write_bytes(encode_idx([entry], pack_name=pack.stem.removeprefix("pack-")))
    with pytest.raises(Corrupt):
        join([pack], tmp_path / "joined")


def test_joining_packs_without_objects_gives_an_empty_pack(tmp_path: Path) -> None:
    assert join([write_pack(tmp_path, [])], tmp_path / "joined").pack.objects == 0


def test_memory_stays_bounded_when_large_blobs_are_copied(tmp_path: Path) -> None:
    pack = write_pack(tmp_path, blobs(os.urandom(30 * limits.MIB)))
    tracemalloc.start()
    try:
        join([pack], tmp_path / "joined")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * limits.pack_buffer_max_bytes
