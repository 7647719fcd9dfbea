"""The map of all files of a commit: edits, and the form in which it is kept on the disk."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.git.objects.codec import MODE_EXECUTABLE, MODE_FILE, MODE_GITLINK, MODE_SYMLINK
from packhouse.git.oid import Oid, hash_object
from packhouse.node.file_map import (
    FileMap,
    FileRecord,
    decode_stored,
    edit_map,
    encode_edits,
    make_map,
    make_record,
)

pytestmark = pytest.mark.quick

COMMITS = [hash_object("commit", b"%d" % number) for number in range(4)]
PATHS = st.sampled_from([b"a", b"a/b", b"a.b", b"b", b"\xff", "ä".encode(), b"z" * 300])
MODES = st.sampled_from([MODE_FILE, MODE_EXECUTABLE, MODE_SYMLINK, MODE_GITLINK])
VALUES = st.tuples(MODES, st.integers(0, 2**40), st.sampled_from(COMMITS))
TABLES = st.dictionaries(PATHS, VALUES, max_size=7)
EDITS = st.dictionaries(PATHS, st.none() | VALUES, max_size=7)

Value = tuple[int, int, Oid]


def record(path: bytes, value: Value) -> FileRecord:
    return make_record(path, *value)


def build(table: dict[bytes, Value]) -> FileMap:
    """Return the map of a table, in git's order."""
    paths = sorted(table)
    return FileMap(paths, [record(path, table[path]) for path in paths])


def as_edits(edits: dict[bytes, Value | None]) -> dict[bytes, FileRecord | None]:
    return {path: None if value is None else record(path, value) for path, value in edits.items()}


@given(TABLES, EDITS)
def test_edits_do_to_a_map_what_they_do_to_a_dict(
    table: dict[bytes, Value], edits: dict[bytes, Value | None]
) -> None:
    base = build(table)
    edited = edit_map(base, as_edits(edits))
    for path, value in edits.items():
        if value is None:
            table.pop(path, None)
        else:
            table[path] = value
    assert edited == build(table)
    assert base.paths == sorted(base.paths)


def test_many_edits_give_the_same_map_as_few() -> None:
    base = build({b"%05d" % number: (MODE_FILE, number, COMMITS[0]) for number in range(1500)})
    edits = {
        b"%05d" % number: None if number % 3 else record(b"%05d" % number, (MODE_FILE, 7, COMMITS[1]))
        for number in range(0, 3000, 2)
    }
    at_once = edit_map(base, edits)
    by_one = base
    for path, value in edits.items():
        by_one = edit_map(by_one, {path: value})
    assert at_once == by_one
    assert len(base.paths) == 1500


@given(TABLES)
def test_a_record_is_found_by_its_path(table: dict[bytes, Value]) -> None:
    files = build(table)
    for path, value in table.items():
        assert files.find(path) == record(path, value)
    for path in (b"", b"a/", b"~", b"\xff\xff"):
        assert files.find(path) is None


@given(TABLES)
def test_a_whole_map_is_decoded_as_it_was_encoded(table: dict[bytes, Value]) -> None:
    files = build(table)
    content = encode_edits(dict(zip(files.paths, files.records, strict=True)), base=None, chain=1)
    stored = decode_stored(content)
    assert stored is not None
    assert (stored.base, stored.chain) == (None, 1)
    assert stored.whole() == files
    assert stored.whole().chain == 1


@given(EDITS, st.integers(2, 9))
def test_differences_are_decoded_as_they_were_encoded(edits: dict[bytes, Value | None], chain: int) -> None:
    stored = decode_stored(encode_edits(as_edits(edits), base=COMMITS[0], chain=chain))
    assert stored is not None
    assert (stored.base, stored.chain) == (COMMITS[0], chain)
    assert stored.edits() == as_edits(edits)


def test_each_commit_is_stored_once() -> None:
    edits = {
        b"%d" % number: record(b"%d" % number, (MODE_FILE, 1, COMMITS[number % 2])) for number in range(50)
    }
    stored = decode_stored(encode_edits(edits, base=None, chain=1))
    assert stored is not None
    assert stored.commits == COMMITS[:2]


def spoiled() -> list[bytes]:
    """Return contents that encode_edits() never writes."""
    row = (b"a", "100644", "blob", 1, 0)
    return [
        b"",
        b"\x00",
        b"not msgpack at all",
        encode_edits({}, base=None, chain=1)[:-1],
        encode_edits({}, base=None, chain=1) + b"x",
        msgspec.msgpack.encode([None, 1, [], [row], []]),  # a commit outside the table
        msgspec.msgpack.encode([None, 1, [COMMITS[0]], [(*row[:4], -1)], []]),
        msgspec.msgpack.encode([None, 1, ["../../etc"], [], []]),
        msgspec.msgpack.encode(["main", 1, [], [], []]),
        msgspec.msgpack.encode([None, "1", [], [], []]),
    ]


@pytest.mark.parametrize("content", spoiled())
def test_a_damaged_file_is_recognised(content: bytes) -> None:
    assert decode_stored(content) is None


@given(st.binary(max_size=60))
def test_any_bytes_decode_to_a_map_or_none(content: bytes) -> None:
    stored = decode_stored(content)
    assert stored is None or len(stored.edits()) <= len(stored.rows) + len(stored.removed)


@pytest.mark.parametrize(
    ("mode", "octal", "kind"),
    [
        (MODE_FILE, "100644", "blob"),
        (MODE_EXECUTABLE, "100755", "blob"),
        (MODE_SYMLINK, "120000", "symlink"),
        (MODE_GITLINK, "160000", "submodule"),
    ],
)
def test_a_listing_by_git_and_a_tree_entry_give_the_same_record(mode: int, octal: str, kind: str) -> None:
    size = 0 if mode == MODE_GITLINK else 12
    made = make_record(b"caf\xe9", mode, size, COMMITS[0])
    assert made == FileRecord("caf\N{REPLACEMENT CHARACTER}", octal, kind, size, COMMITS[0])
    printed = b"-" if mode == MODE_GITLINK else b"12"
    listed = [(octal.encode(), printed, b"caf\xe9")]
    assert make_map(listed, {b"caf\xe9": COMMITS[0]}) == FileMap([b"caf\xe9"], [made])
