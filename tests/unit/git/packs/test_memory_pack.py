"""Packs in memory: what is read is what was stored, and nothing that is wrong is taken."""

import random
import sys
import tracemalloc
import zlib
from pathlib import Path

import pytest

from packhouse import limits
from packhouse.errors import Corrupt, LimitExceeded
from packhouse.git.oid import Oid, hash_object
from packhouse.git.packs.errors import (
    NotAPack,
    PackBaseMissing,
    PackDeltaWrong,
    PackEndsElsewhere,
    PackEntryUnreadable,
    PackHashWrong,
    PackHoldsTwice,
    PackInflatesTooMuch,
)
from packhouse.git.packs.memory_pack import MemoryPack
from packhouse.git.packs.pack import Pack
from packhouse.git.packs.writer import PackWriter
from tests.support.builders.raw_packs import (
    BLOB,
    OFS_DELTA,
    append_delta,
    copy,
    delta,
    entry,
    header,
    index_pack,
    insert,
    ofs_delta,
    pack_of,
    ref_delta,
    seal,
    varint,
)
from tests.support.clients.git import Git, GitError

pytestmark = pytest.mark.quick

ONE = entry(BLOB, b"one")
ABSENT = Oid("0" * 39 + "1")


@pytest.fixture(scope="module")
def git(tmp_path_factory: pytest.TempPathFactory) -> Git:
    return Git(tmp_path_factory.mktemp("home"))


def parse(data: bytes, *, inflated_max_bytes: int = limits.MIB) -> MemoryPack:
    return MemoryPack.parse("name", data, inflated_max_bytes=inflated_max_bytes)


def blob_oid(content: bytes) -> Oid:
    return hash_object("blob", content)


def contents(pack: MemoryPack) -> list[bytes]:
    """Return the contents of all blobs in the order of the entries."""
    found = [pack.read(oid) for oid in pack.iter_oids()]
    assert all(read is not None and read[0] == "blob" for read in found)
    return [read[1] for read in found if read is not None]


def write(folder: Path, *objects: tuple[str, bytes]) -> MemoryPack:
    """Return a pack that our writer made."""
    with (folder / "written.pack").open("w+b") as file:
        writer = PackWriter(lambda: file)
        for kind, content in objects:
            writer.add_object(kind, content)
        info = writer.finish()
    return MemoryPack.of(info.pack.name, (folder / "written.pack").read_bytes(), info.entries)


OBJECTS = [("blob", b"x" * 300), ("tree", b""), ("commit", b"c"), ("tag", b"t"), ("blob", b"")]


def test_a_written_pack_and_the_same_bytes_parsed_hold_the_same(tmp_path: Path, git: Git) -> None:
    written = write(tmp_path, *OBJECTS)
    parsed = parse(written.data)
    for pack in (written, parsed):
        assert list(pack.iter_oids()) == [hash_object(*one) for one in OBJECTS]
        assert len(pack) == len(OBJECTS)
        for kind, content in OBJECTS:
            oid = hash_object(kind, content)
            assert oid in pack
            assert pack.read(oid) == (kind, content)
            assert pack.kind_and_size(oid) == (kind, len(content))
        assert pack.idx() == index_pack(git, pack.data, tmp_path)[1]
    assert written.pack == Pack(written.data[-20:].hex(), len(written.data), len(OBJECTS))
    assert parsed.pack == Pack("name", len(written.data), len(OBJECTS))


def test_an_absent_object_is_none(tmp_path: Path) -> None:
    for pack in (write(tmp_path), write(tmp_path, *OBJECTS)):
        assert ABSENT not in pack
        assert pack.read(ABSENT) is None
        assert pack.kind_and_size(ABSENT) is None


def test_deltas_against_both_kinds_of_base_are_resolved(tmp_path: Path, git: Git) -> None:
    base, second, third = b"base" * 9, b"base" * 9 + b"2", b"base" * 9 + b"23"
    whole = entry(BLOB, base)
    by_distance = ofs_delta(len(whole), append_delta(base, b"2"))
    by_id = ref_delta(blob_oid(second), append_delta(second, b"3"))
    pack = parse(pack_of([whole, by_distance, by_id]))
    assert contents(pack) == [base, second, third]
    assert pack.kind_and_size(blob_oid(third)) == ("blob", len(third))
    assert pack.idx() == index_pack(git, pack.data, tmp_path, "--strict")[1]


def test_a_delta_may_stand_before_the_base_that_it_names_by_id(tmp_path: Path, git: Git) -> None:
    base, second, third = b"base", b"base2", b"base23"
    pack = parse(
        pack_of(
            [
                ref_delta(blob_oid(second), append_delta(second, b"3")),
                ref_delta(blob_oid(base), append_delta(base, b"2")),
                entry(BLOB, base),
            ]
        )
    )
    assert contents(pack) == [third, second, base]
    assert pack.idx() == index_pack(git, pack.data, tmp_path, "--strict")[1]


def test_many_deltas_may_share_a_base() -> None:
    base = b"base"
    pack = parse(
        pack_of(
            [entry(BLOB, base), *(ref_delta(blob_oid(base), append_delta(base, b"%d" % n)) for n in range(9))]
        )
    )
    assert contents(pack) == [base, *(base + b"%d" % n for n in range(9))]


def chain(length: int) -> tuple[bytes, bytes]:
    """Return a pack of deltas upon deltas, and the last content."""
    content = b"base"
    entries = [entry(BLOB, content)]
    for number in range(length):
        grown = b"%08d" % number
        entries.append(
            ofs_delta(len(entries[-1]), delta(len(content), insert(grown), result_size=len(grown)))
        )
        content = grown
    return pack_of(entries), content


def test_a_long_chain_of_deltas_is_read_without_recursion() -> None:
    data, last = chain(2 * sys.getrecursionlimit())
    pack = parse(data, inflated_max_bytes=200 * limits.MIB)
    assert pack.read(blob_oid(last)) == ("blob", last)
    assert pack.kind_and_size(blob_oid(last)) == ("blob", len(last))


def test_deltas_that_take_long_to_be_read_are_refused() -> None:
    """Each object of a chain costs the chain under it, and each delta on a large base costs the base."""
    base = random.Random(3).randbytes(500_000)
    large = pack_of([entry(BLOB, base), *(small_delta(base, number) for number in range(200))])
    steps = delta(len(base), *[b"\x90\x01"] * 400_000, result_size=400_000)
    slow = pack_of([entry(BLOB, base), ref_delta(blob_oid(base), steps)])
    for data in (chain(1000)[0], large, slow):
        with pytest.raises(PackInflatesTooMuch):
            parse(data, inflated_max_bytes=2 * limits.MIB - 500_000)
        assert parse(data, inflated_max_bytes=50 * limits.MIB)


def small_delta(base: bytes, number: int) -> bytes:
    small = b"%d" % number
    return ref_delta(blob_oid(base), delta(len(base), insert(small), result_size=len(small)))


@pytest.mark.parametrize("strategy", [zlib.Z_DEFAULT_STRATEGY, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED])
@pytest.mark.parametrize("window", [9, 12, 15])
@pytest.mark.parametrize("level", [0, 1, 6, 9])
def test_data_deflated_by_any_client_is_read(level: int, window: int, strategy: int) -> None:
    content = random.Random(level).randbytes(3000).hex().encode() * 3
    deflater = zlib.compressobj(level, zlib.DEFLATED, window, zlib.DEF_MEM_LEVEL, strategy)
    pieces = [
        deflater.compress(content[:5000]),
        deflater.flush(zlib.Z_FULL_FLUSH),
        deflater.compress(content[5000:]),
    ]
    data = header(BLOB, len(content)) + b"".join(pieces) + deflater.flush()
    assert contents(parse(pack_of([data, ONE]))) == [content, b"one"]


@pytest.mark.parametrize(
    "data", [b"", b"PACK", b"PACK" + bytes(27), pack_of([], version=3), seal(b"KCAP" + bytes(8))]
)
def test_bytes_that_do_not_begin_like_a_pack_are_refused(data: bytes) -> None:
    with pytest.raises(NotAPack):
        parse(data)


def test_a_changed_byte_is_noticed(tmp_path: Path) -> None:
    data = write(tmp_path, *OBJECTS).data
    for at in range(len(data)):
        with pytest.raises(Corrupt):
            parse(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    with pytest.raises(PackHashWrong):
        parse(data[:-1] + bytes([data[-1] ^ 1]))


@pytest.mark.parametrize(
    "data",
    [
        pack_of([ONE], count=0),
        pack_of([ONE, b"\0"], count=1),
        pack_of([ONE, entry(BLOB, b"two")], count=1),
    ],
)
def test_bytes_behind_the_last_entry_are_refused(data: bytes) -> None:
    with pytest.raises(PackEndsElsewhere):
        parse(data)


@pytest.mark.parametrize(
    "wrong",
    [
        entry(BLOB, b"abc", announced=2),
        entry(BLOB, b"abc", announced=4),
        entry(BLOB, b"", announced=1),
        entry(BLOB, b"a" * 100_000, announced=99_999),
        entry(BLOB, random.Random(1).randbytes(5000))[:-1],
        entry(BLOB, b"abc")[:-5] + b"\0\0\0\0\0",
        header(BLOB, 3),
        header(BLOB, 3) + zlib.compress(b"abc")[:2],
        header(BLOB, 3) + zlib.compress(b"abc", wbits=-15),
        header(BLOB, 3) + zlib.compress(b"abc", wbits=31),
        header(BLOB, 3)
        + b"\x88\x1c"
        + zlib.compress(b"abc")[2:],  # a window larger than there is; isal takes it
        header(0, 3) + zlib.compress(b"abc"),
        header(5, 3) + zlib.compress(b"abc"),
        header(7, 3) + bytes(19),
        b"\xb0",
        b"\xb0" + b"\x80" * 5000 + b"\x01",
        header(OFS_DELTA, 4) + b"\x80" * 5000,
        header(OFS_DELTA, 4) + b"\x00" + zlib.compress(b"\1\1\1a"),
        ofs_delta(len(ONE) + 12, append_delta(b"one", b"2")),
        ofs_delta(2**40, append_delta(b"one", b"2")),
    ],
)
def test_a_malformed_entry_is_refused(tmp_path: Path, git: Git, wrong: bytes) -> None:
    data = pack_of([ONE, wrong])
    with pytest.raises(PackEntryUnreadable) as caught:
        parse(data)
    assert (caught.value.file, caught.value.offset) == ("name", 12 + len(ONE))
    with pytest.raises(GitError):
        index_pack(git, data, tmp_path)


def test_fewer_entries_than_announced_are_refused() -> None:
    for count in (2, 2**32 - 1):
        with pytest.raises(PackEntryUnreadable):
            parse(pack_of([ONE], count=count))


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"\x03",
        b"\x83",
        varint(3) + b"\x80" * 100 + b"\x01",
        delta(4, copy(0, 3), result_size=3),
        delta(3, copy(0, 3), result_size=4),
        delta(3, copy(0, 3), insert(b"a"), result_size=3),
        delta(3, copy(1, 3), result_size=3),
        delta(3, copy(2**32 - 1, 1), result_size=1),
        delta(3, b"\x80", result_size=0x10000),
        delta(3, b"\0", insert(b"a"), result_size=1),
        delta(3, insert(b"ab")[:2], result_size=2),
        delta(3, copy(0, 3)[:5], result_size=3),
    ],
)
def test_a_delta_that_does_not_fit_is_refused(tmp_path: Path, git: Git, wrong: bytes) -> None:
    data = pack_of([ONE, ofs_delta(len(ONE), wrong)])
    with pytest.raises(PackDeltaWrong):
        parse(data)
    with pytest.raises(GitError):
        index_pack(git, data, tmp_path)


def test_a_copy_without_a_size_copies_64_kibibytes(tmp_path: Path, git: Git) -> None:
    base = random.Random(2).randbytes(0x10001)
    whole = entry(BLOB, base)
    pack = parse(pack_of([whole, ofs_delta(len(whole), delta(len(base), b"\x80", result_size=0x10000))]))
    assert contents(pack) == [base, base[:0x10000]]
    assert pack.idx() == index_pack(git, pack.data, tmp_path)[1]


def test_a_delta_without_its_base_is_refused(tmp_path: Path, git: Git) -> None:
    wrong = append_delta(b"one", b"2")
    first, second = b"first", b"second"
    cycle = [
        ref_delta(blob_oid(second), delta(len(second), insert(first), result_size=len(first))),
        ref_delta(blob_oid(first), delta(len(first), insert(second), result_size=len(second))),
    ]
    for entries in (
        [ref_delta(ABSENT, wrong), ONE],
        [ref_delta(blob_oid(b"one2"), wrong)],  # would make its own base
        [ONE, ofs_delta(len(ONE) - 1, wrong)],  # into the middle of an entry
        cycle,
    ):
        with pytest.raises(PackBaseMissing):
            parse(pack_of(entries))
        with pytest.raises(GitError):
            index_pack(git, pack_of(entries), tmp_path)


def test_an_object_that_is_held_twice_is_refused_as_git_does_when_it_is_strict(
    tmp_path: Path, git: Git
) -> None:
    for twice in (entry(BLOB, b"one2", level=0), ref_delta(blob_oid(b"one"), append_delta(b"one", b"2"))):
        data = pack_of([ONE, entry(BLOB, b"one2"), twice])
        with pytest.raises(PackHoldsTwice) as caught:
            parse(data)
        assert caught.value.oid == blob_oid(b"one2")
        with pytest.raises(GitError):
            index_pack(git, data, tmp_path, "--strict")


def test_the_bound_of_inflated_bytes_is_exact() -> None:
    base = b"b" * 1000
    whole = entry(BLOB, base)
    data = pack_of([whole, ofs_delta(len(whole), append_delta(base, b"2"))])
    assert len(parse(data, inflated_max_bytes=2001)) == 2
    with pytest.raises(PackInflatesTooMuch) as caught:
        parse(data, inflated_max_bytes=2000)
    assert isinstance(caught.value, LimitExceeded)
    assert (caught.value.file, caught.value.max_bytes) == ("name", 2000)


def bomb(size: int) -> bytes:
    """Return zeros, deflated."""
    return zlib.compress(bytes(size), 9)


BOMB = bomb(100 * limits.MIB)


@pytest.mark.parametrize(
    "entries",
    [
        [header(BLOB, 100 * limits.MIB) + BOMB],
        [header(BLOB, 10) + BOMB],
        [header(OFS_DELTA, 100 * limits.MIB) + b"\x05" + BOMB],
        [header(BLOB, limits.MIB) + bomb(limits.MIB)] * 100,
        [entry(BLOB, bytes([n]) + bytes(limits.MIB - 1)) for n in range(100)],
        [
            entry(BLOB, bytes(1000)),
            *(
                ref_delta(
                    blob_oid(bytes(1000)),
                    delta(
                        1000, *[copy(0, 1000)] * 1000, insert(b"%d" % n), result_size=1_000_000 + len(str(n))
                    ),
                )
                for n in range(100)
            ),
        ],
    ],
    ids=["announced", "hidden", "delta", "repeated", "different", "deltas"],
)
def test_a_bomb_is_refused_without_being_inflated(entries: list[bytes]) -> None:
    data = pack_of(entries)
    tracemalloc.start()
    try:
        with pytest.raises((PackInflatesTooMuch, PackEntryUnreadable, PackHoldsTwice)):
            parse(data, inflated_max_bytes=4 * limits.MIB)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * limits.MIB


def test_the_weight_is_about_the_memory_that_is_taken() -> None:
    data = pack_of(entry(BLOB, b"%d" % number) for number in range(3000))
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        pack = parse(bytes(bytearray(data)))
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert 0.7 * taken < pack.weight_bytes < 1.5 * taken
