"""Joining packs in memory: the union of their objects, as deltas where a delta can stay."""

import random
from pathlib import Path

import pytest

from packhouse import limits
from packhouse.git.oid import Oid, hash_object
from packhouse.git.packs.join import join_packs
from packhouse.git.packs.memory_pack import MemoryPack
from packhouse.git.packs.writer import PackWriter
from tests.support.builders.raw_packs import (
    BLOB,
    append_delta,
    delta,
    entry,
    index_pack,
    insert,
    ofs_delta,
    pack_of,
    ref_delta,
)
from tests.support.clients.git import Git

pytestmark = pytest.mark.quick

BASE = random.Random(1).randbytes(1000)
GROWN = BASE + b"grown"
LAST = GROWN + b"last"


@pytest.fixture(scope="module")
def git(tmp_path_factory: pytest.TempPathFactory) -> Git:
    return Git(tmp_path_factory.mktemp("home"))


def parse(*entries: bytes) -> MemoryPack:
    return MemoryPack.parse("name", pack_of(entries), inflated_max_bytes=limits.MIB)


def blob_oid(content: bytes) -> Oid:
    return hash_object("blob", content)


def by_distance(base: bytes, added: bytes, *between: bytes) -> bytes:
    """Return the delta that appends to a whole base that stands before `between`."""
    return ofs_delta(sum(map(len, between)) + len(entry(BLOB, base)), append_delta(base, added))


def by_id(base: bytes, added: bytes) -> bytes:
    return ref_delta(blob_oid(base), append_delta(base, added))


class Joiner:
    """Joins packs, and has git judge the result."""

    def __init__(self, git: Git, folder: Path) -> None:
        self._git = git
        self._folder = folder

    def join(self, *packs: MemoryPack) -> MemoryPack:
        path = self._folder / "joined.pack"
        with path.open("w+b") as file:
            writer = PackWriter(lambda: file)
            join_packs(packs, writer)
            info = writer.finish()
        data = path.read_bytes()
        name, idx = index_pack(self._git, data, self._folder, "--strict")
        joined = MemoryPack.of(name, data, info.entries)
        assert joined.idx() == idx
        assert info.pack == joined.pack
        parsed = MemoryPack.parse(name, data, inflated_max_bytes=limits.MIB)
        expected = {oid: pack.read(oid) for pack in packs for oid in pack.iter_oids()}
        assert {oid: joined.read(oid) for oid in joined.iter_oids()} == expected
        assert {oid: parsed.read(oid) for oid in parsed.iter_oids()} == expected
        return joined


@pytest.fixture
def joiner(git: Git, tmp_path: Path) -> Joiner:
    return Joiner(git, tmp_path)


def count_deltas(pack: MemoryPack) -> int:
    return sum(entry.base is not None for entry in pack.iter_entries())


def test_no_packs_give_an_empty_pack(joiner: Joiner) -> None:
    assert len(joiner.join()) == 0


def test_one_pack_is_copied_byte_for_byte(joiner: Joiner) -> None:
    pack = parse(entry(BLOB, BASE), by_distance(BASE, b"2"), entry(BLOB, b"x"))
    assert joiner.join(pack).data == pack.data
    assert joiner.join(pack, pack).data == pack.data


def test_a_delta_by_distance_gets_the_distance_in_the_joined_pack(joiner: Joiner) -> None:
    shared = entry(BLOB, random.Random(2).randbytes(20_000))
    first = parse(shared)
    second = parse(entry(BLOB, BASE), shared, by_distance(BASE, b"2", shared))
    joined = joiner.join(first, second)
    assert count_deltas(joined) == 1
    assert len(joined.data) < len(second.data)


def test_a_delta_by_id_becomes_one_by_distance(joiner: Joiner) -> None:
    joined = joiner.join(
        parse(entry(BLOB, b"x")), parse(entry(BLOB, BASE), by_id(BASE, b"grown"), by_id(GROWN, b"last"))
    )
    assert count_deltas(joined) == 2
    assert list(joined.iter_oids()) == [blob_oid(content) for content in (b"x", BASE, GROWN, LAST)]


def test_a_base_behind_its_delta_is_added_before_it(joiner: Joiner) -> None:
    """Git completes a thin pack by appending the bases."""
    joined = joiner.join(
        parse(by_id(GROWN, b"last"), by_id(BASE, b"grown"), entry(BLOB, b"x"), entry(BLOB, BASE))
    )
    assert count_deltas(joined) == 2
    assert list(joined.iter_oids()) == [blob_oid(content) for content in (BASE, GROWN, LAST, b"x")]


def test_a_delta_stays_when_an_earlier_pack_brought_the_base(joiner: Joiner) -> None:
    joined = joiner.join(parse(entry(BLOB, BASE)), parse(by_id(BASE, b"grown"), entry(BLOB, BASE)))
    assert count_deltas(joined) == 1


def test_two_packs_with_each_others_bases_give_no_cycle(joiner: Joiner) -> None:
    shrinking = delta(len(GROWN), b"\xb0" + len(BASE).to_bytes(2, "little"), result_size=len(BASE))
    first = parse(entry(BLOB, BASE), by_distance(BASE, b"grown"))
    second = parse(entry(BLOB, GROWN), ref_delta(blob_oid(GROWN), shrinking))
    for packs in ((first, second), (second, first)):
        joined = joiner.join(*packs)
        assert len(joined) == 2
        assert count_deltas(joined) == 1


def test_chains_do_not_grow_longer_than_those_of_git(joiner: Joiner) -> None:
    packs, content = [parse(entry(BLOB, b"0"))], b"0"
    for number in range(1, 120):
        changed = b"%d" % number
        change = delta(len(content), insert(changed), result_size=len(changed))
        packs.append(parse(ref_delta(blob_oid(content), change), entry(BLOB, content)))
        content = changed
    joined = joiner.join(*packs)
    assert [at for at, entry in enumerate(joined.iter_entries()) if entry.base is None] == [0, 51, 102]


def test_what_the_writer_has_already_is_not_added_again(git: Git, tmp_path: Path) -> None:
    with (tmp_path / "pack").open("w+b") as file:
        writer = PackWriter(lambda: file)
        writer.add_object("blob", GROWN)
        join_packs([parse(entry(BLOB, BASE), by_distance(BASE, b"grown"))], writer)
        writer.finish()
    name, _ = index_pack(git, (tmp_path / "pack").read_bytes(), tmp_path, "--strict")
    assert (
        MemoryPack.parse(name, (tmp_path / "pack").read_bytes(), inflated_max_bytes=limits.MIB).pack.objects
        == 2
    )
