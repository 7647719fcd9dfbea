"""Parsers of stored and sent bytes raise Invalid or Corrupt on garbage, and nothing else.

The examples of `@example` are the corpus: each once showed something, or guards a branch that random bytes
hardly reach.
"""

import itertools
from pathlib import Path
from typing import cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from packhouse.errors import Corrupt, Invalid
from packhouse.git.objects.codec import (
    TreeEntry,
    clean_identity,
    clean_message,
    encode_commit,
    encode_tree,
    make_person,
    parse_commit,
    parse_date,
    parse_person,
    parse_tag,
    parse_tree,
    split_signature,
)
from packhouse.git.objects.fsck import check_upsert, needs_git_fsck
from packhouse.git.objects.tree_edit import TreeEditor
from packhouse.git.objects.tree_path import TreePath, check_tree_path
from packhouse.git.oid import EMPTY_TREE_OID, Oid, hash_object
from packhouse.git.packs import MemoryPack, PackCorrupt, PackInflatesTooMuch
from packhouse.git.packs.concat import concatenate_packs
from packhouse.git.packs.idx import PackIdx
from packhouse.git.packs.writer import PackWriter
from tests.support.builders.packs import write_pack
from tests.support.builders.raw_packs import BLOB, append_delta, entry, ofs_delta, pack_of, ref_delta, seal

pytestmark = pytest.mark.quick

OID = hash_object("blob", b"")
COMMIT = encode_commit(
    tree=EMPTY_TREE_OID,
    parents=[OID],
    author=make_person("Ada", "a@b", 1, "+0100"),
    committer=make_person("Ada", "a@b", 1, "+0100"),
    message=b"m\n",
).replace(b"\n\nm", b"\nencoding UTF-16\ngpgsig a\n b\n\nm")
TAG = b"object %s\ntype commit\ntag v1\ntagger Ada <a@b> 1 +0000\n\nm\n" % OID.encode()
TREE = encode_tree(
    [TreeEntry(0o100644, b"a", OID), TreeEntry(0o040000, b"b", OID), TreeEntry(0o160000, b"c", OID)]
)

damages = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "insert", "swap"]), st.integers(0, 1 << 16), st.binary(max_size=9)
    ),
    min_size=1,
    max_size=4,
)


def damage(content: bytes, damages: list[tuple[str, int, bytes]]) -> bytes:
    """Return `content` after random accidents."""
    for kind, number, noise in damages:
        at = number % (len(content) + 1)
        if kind == "cut":
            content = content[:at]
        elif kind == "insert":
            content = content[:at] + noise + content[at:]
        elif kind == "swap":
            content = content[:at] + noise + content[at + len(noise) :]
        elif at < len(content):
            content = content[:at] + bytes([content[at] ^ 1 << number % 8]) + content[at + 1 :]
    return content


def objects_near(content: bytes) -> st.SearchStrategy[bytes]:
    return st.binary(max_size=100) | st.builds(damage, st.just(content), damages)


@settings(max_examples=300)
@given(objects_near(COMMIT))
@example(b"tree %s\nauthor a <b> 1 +\nencoding utf-7\n\n+" % OID.encode())
@example(b"tree %s\nencoding idna\n\n\xff" % OID.encode())
@example(b"tree %s\nencoding \0\n\n\xff" % OID.encode())
@example(b"tree %s\n leading\n\n" % OID.encode())
def test_commits(content: bytes) -> None:
    split_signature(content)
    try:
        commit = parse_commit(content)
    except Corrupt:
        return
    assert commit.subject is not None


@pytest.mark.parametrize(
    "encoding", ["utf-7", "utf-16", "utf-32", "hz", "iso-2022-jp", "gb18030", "euc-kr", "big5"]
)
@given(body=st.binary(max_size=60))
def test_commits_in_every_kind_of_encoding(encoding: str, body: bytes) -> None:
    commit = parse_commit(b"tree %s\nencoding %s\n\n" % (OID.encode(), encoding.encode()) + body)
    assert commit.encoding == encoding


@settings(max_examples=200)
@given(objects_near(TAG))
def test_tags(content: bytes) -> None:
    try:
        parse_tag(content)
    except Corrupt:
        return


@given(st.binary(max_size=60) | st.builds(damage, st.just(b"Ada <a@b> 1767342600 +0200"), damages))
@example(b"<" * 10)
@example(b"a <b> 999999999999999999999999999 +0000")
@example(b"a <b> 1 +00000000000000000000000000")
def test_persons(line: bytes) -> None:
    person = parse_person(line)
    assert person.when >= 0
    assert len(person.tz) == 5


@settings(max_examples=300)
@given(objects_near(TREE), st.binary(min_size=1, max_size=3).filter(lambda name: not {0, 47} & set(name)))
@example(b"100644 a\0" + b"100644 b\0" + b"x" * 11, b"b")
@example(b"40000 a\0" + b"x" * 20 + b"40000 a\0" + b"y" * 20, b"a")
def test_trees(content: bytes, name: bytes) -> None:
    emitted: list[bytes] = []

    def emit(tree: bytes) -> Oid:
        emitted.append(tree)
        return hash_object("tree", tree)

    try:
        before = parse_tree(content)
    except Corrupt:
        before = None
    editor = TreeEditor(lambda _: content, OID)
    try:
        editor.upsert(cast(TreePath, name), 0o100644, OID)
        editor.write(emit)
    except (Corrupt, Invalid):
        return
    assert before is not None, "edited what cannot be parsed"
    assert all(parse_tree(tree) for tree in emitted)


@settings(max_examples=300)
@given(
    st.text(max_size=40)
    | st.builds(damage, st.just(b"2026-01-02T08:30:00.5+02:00"), damages).map(
        lambda raw: raw.decode("latin-1")
    )
)
@example("9999-12-31T23:59:59-23:59")
@example("2026-01-02T08:30:00+99:99")
def test_dates(text: str) -> None:
    try:
        when, zone = parse_date(text)
    except Invalid:
        return
    assert when >= 0
    assert len(zone) == 5


@settings(max_examples=300)
@given(st.text(max_size=30) | st.text("/.git~1\\: \u200c\ud800\0", max_size=12), st.binary(max_size=40))
def test_names_messages_and_paths(text: str, raw: bytes) -> None:
    for parse in (
        clean_message,
        clean_identity,
        check_tree_path,
        lambda name: make_person(name, name, 0, "+0000"),
    ):
        try:
            parse(text)
        except Invalid:
            continue
    try:
        path = check_tree_path(raw)
        check_upsert(path, 0o120000)
        needs_git_fsck([(path, 0o100644)])
    except Invalid:
        return


@pytest.mark.parametrize(
    "content",
    [
        b"tree %s\ngpgsig" % OID.encode() + b" \n" * 500_000,
        b"tree %s\nauthor " % OID.encode() + b"<" * 1_000_000,
        b"tree %s\n\n" % OID.encode() + b"\n \n" * 300_000,
        b"1 " * 500_000,
        b"1 a\0" * 300_000,
    ],
    ids=["continuation lines", "persons", "blank lines", "modes", "names"],
)
def test_a_megabyte_of_nonsense_takes_no_more_than_a_moment(content: bytes) -> None:
    for parse in (parse_commit, parse_tag, parse_tree, split_signature):
        try:
            parse(content)
        except Corrupt:
            continue
    if content.startswith(b"tree"):
        assert len(parse_commit(content).subject) <= 1


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    objects = [("blob", b"%d" % number * 20) for number in range(5)]
    return write_pack(tmp_path_factory.mktemp("packs"), objects)


counter = itertools.count()


@settings(max_examples=200, deadline=None)
@given(idx_damages=damages | st.just([]), pack_damages=damages | st.just([]))
@example(idx_damages=[("cut", 0, b"")], pack_damages=[])
@example(idx_damages=[], pack_damages=[("cut", 0, b"")])
@example(idx_damages=[("swap", 8, b"\xff\xff\xff\xff")], pack_damages=[])
def test_packs(
    tmp_path_factory: pytest.TempPathFactory,
    pack: Path,
    idx_damages: list[tuple[str, int, bytes]],
    pack_damages: list[tuple[str, int, bytes]],
) -> None:
    damaged = tmp_path_factory.getbasetemp() / f"damaged{next(counter)}.pack"
    damaged.write_bytes(damage(pack.read_bytes(), pack_damages))
    damaged.with_suffix(".idx").write_bytes(damage(pack.with_suffix(".idx").read_bytes(), idx_damages))
    unharmed = damaged.read_bytes() == pack.read_bytes()
    try:
        with PackIdx(damaged.with_suffix(".idx")) as idx:
            assert OID not in idx
            list(idx)
            list(idx.iter_oids())
            idx.verify()
        with damaged.with_suffix(".joined").open("x+b") as file:
            concatenate_packs([damaged], PackWriter(lambda: file))
        assert unharmed, "damage went unnoticed"
    except (Corrupt, Invalid):
        return
    finally:
        for suffix in (".pack", ".idx", ".joined"):
            damaged.with_suffix(suffix).unlink(missing_ok=True)


WHOLE = entry(BLOB, b"base" * 9)
PACK = pack_of(
    [
        WHOLE,
        ofs_delta(len(WHOLE), append_delta(b"base" * 9, b"2")),
        ref_delta(hash_object("blob", b"base" * 9 + b"4"), append_delta(b"base" * 9 + b"4", b"3")),
        ref_delta(hash_object("blob", b"base" * 9), append_delta(b"base" * 9, b"4")),
        entry(1, b"commit", level=0),
        entry(BLOB, bytes(200)),
    ]
)


def parse_any_pack(data: bytes) -> MemoryPack | None:
    """Return the pack if it can be parsed. Whatever is parsed can be read as well."""
    try:
        pack = MemoryPack.parse("name", data, inflated_max_bytes=1000)
    except (PackCorrupt, PackInflatesTooMuch):
        return None
    for oid in pack.iter_oids():
        found = pack.read(oid)
        assert found is not None
        assert hash_object(*found) == oid
        assert pack.kind_and_size(oid) == (found[0], len(found[1]))
    assert sum(len(entry.stored) for entry in pack.iter_entries()) == len(data) - 32
    assert len(pack.idx()) == 1032 + 28 * len(pack) + 40
    return pack


@settings(max_examples=300, deadline=None)
@given(damages=damages)
def test_packs_in_memory(damages: list[tuple[str, int, bytes]]) -> None:
    damaged = damage(PACK, damages)
    pack = parse_any_pack(damaged)
    assert (pack is not None) == (damaged == PACK), "damage went unnoticed"


@settings(max_examples=1500, deadline=None)
@given(damages=damages)
@example(damages=[])
def test_packs_in_memory_that_are_damaged_and_then_sealed(damages: list[tuple[str, int, bytes]]) -> None:
    parse_any_pack(seal(damage(PACK[:-20], damages)))


@settings(max_examples=300, deadline=None)
@given(body=st.binary(max_size=100), count=st.integers(0, 3) | st.integers(0, 2**32 - 1))
def test_packs_in_memory_of_random_bytes(body: bytes, count: int) -> None:
    parse_any_pack(body)
    parse_any_pack(pack_of([body], count=count))
