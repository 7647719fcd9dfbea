"""What is written reads back, and git takes each object that is written."""

import random
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from packhouse.errors import Corrupt, Invalid
from packhouse.git.objects.codec import (
    Person,
    TreeEntry,
    clean_identity,
    clean_message,
    encode_commit,
    encode_person,
    encode_tag,
    encode_tree,
    make_person,
    parse_commit,
    parse_date,
    parse_person,
    parse_tag,
    parse_tree,
    split_signature,
    tree_sort_key,
)
from packhouse.git.oid import EMPTY_TREE_OID, Oid, hash_object
from tests.support.clients.git import Git

pytestmark = pytest.mark.quick

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
ZONES = st.tuples(st.sampled_from("+-"), st.integers(0, 23), st.integers(0, 59)).map(
    lambda zone: f"{zone[0]}{zone[1]:02d}{zone[2]:02d}"
)
WHEN = st.integers(0, 2**40)
OIDS = st.integers(0, 30).map(lambda number: hash_object("blob", b"%d" % number))


@st.composite
def persons(draw: st.DrawFn) -> Person:
    """Draw a person whom git would accept."""
    try:
        return make_person(draw(TEXT), draw(TEXT), draw(WHEN), draw(ZONES))
    except Invalid:
        return make_person("Ada", "a@b", draw(WHEN), draw(ZONES))


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Draw a message that git would accept."""
    try:
        return clean_message(draw(TEXT))
    except Invalid:
        return b"m\n"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> tuple[Git, Path]:
    git = Git(tmp_path_factory.mktemp("home"))
    work = git.init(tmp_path_factory.mktemp("work"))
    git.run("mktree", cwd=work)  # the empty tree, which commits name
    return git, work


@given(persons())
def test_a_person_reads_back_as_git_stores_it(person: Person) -> None:
    read = parse_person(encode_person(person))
    assert (read.when, read.tz) == (min(person.when, 253402300799), person.tz)
    assert read.name == clean_identity(person.name).decode().strip()
    assert read.email == clean_identity(person.email).decode().strip()


@settings(max_examples=40)
@given(persons(), persons(), messages(), st.lists(OIDS, max_size=3, unique=True))
def test_a_commit_reads_back_and_git_accepts_it(
    store: tuple[Git, Path], author: Person, committer: Person, message: bytes, parents: list[Oid]
) -> None:
    content = encode_commit(
        tree=EMPTY_TREE_OID, parents=parents, author=author, committer=committer, message=message
    )
    commit = parse_commit(content)
    assert (commit.tree, list(commit.parents)) == (EMPTY_TREE_OID, parents)
    assert commit.author == parse_person(encode_person(author))
    assert commit.committer == parse_person(encode_person(committer))
    assert commit.message.encode() == message.rstrip(b"\n")
    git, work = store
    hashed = git.try_run("hash-object", "-t", "commit", "--stdin", cwd=work, stdin=content)
    assert hashed.stdout.decode().strip() == hash_object("commit", content), hashed.stderr


@settings(max_examples=40)
@given(persons(), messages(), OIDS, st.sampled_from(["commit", "tree", "blob", "tag"]))
def test_a_tag_reads_back_and_git_accepts_it(
    store: tuple[Git, Path], tagger: Person, message: bytes, target: Oid, kind: str
) -> None:
    content = encode_tag(target=target, target_kind=kind, name="v1", tagger=tagger, message=message)
    tag = parse_tag(content)
    assert (tag.target, tag.target_kind, tag.name) == (target, kind, "v1")
    assert tag.tagger == parse_person(encode_person(tagger))
    assert tag.message.encode() == message.rstrip(b"\n")
    git, work = store
    hashed = git.try_run("hash-object", "-t", "tag", "--stdin", cwd=work, stdin=content)
    assert hashed.stdout.decode().strip() == hash_object("tag", content), hashed.stderr


NAMES = st.binary(min_size=1, max_size=8).map(lambda name: name.replace(b"/", b"_").replace(b"\0", b"_"))
MODES = st.sampled_from([0o100644, 0o100755, 0o120000, 0o160000, 0o40000])


@given(st.dictionaries(NAMES, st.tuples(MODES, OIDS), max_size=12), st.randoms(use_true_random=False))
def test_a_tree_reads_back_in_gits_order_whatever_the_order_of_its_entries(
    entries: dict[bytes, tuple[int, Oid]], rng: random.Random
) -> None:
    rows = [TreeEntry(mode, name, oid) for name, (mode, oid) in entries.items()]
    rng.shuffle(rows)
    content = encode_tree(rows)
    read = parse_tree(content)
    assert sorted(read) == sorted(rows)
    keys = [tree_sort_key(entry.mode, entry.name) for entry in read]
    assert keys == sorted(keys)
    assert encode_tree(read) == content


@given(st.dictionaries(NAMES, st.tuples(MODES, OIDS), min_size=1, max_size=5), st.integers(1, 40))
def test_a_tree_that_is_cut_short_is_corrupt(entries: dict[bytes, tuple[int, Oid]], cut: int) -> None:
    content = encode_tree(TreeEntry(mode, name, oid) for name, (mode, oid) in entries.items())
    last = parse_tree(content)[-1]
    assume(cut < len(b"%o %s\0" % (last.mode, last.name)) + 20)
    with pytest.raises(Corrupt):
        parse_tree(content[:-cut])


@given(st.binary(max_size=200))
def test_any_bytes_parse_as_a_commit_or_are_corrupt(content: bytes) -> None:
    try:
        commit = parse_commit(content)
    except Corrupt:
        return
    assert f"tree {commit.tree}".encode() in content


@given(WHEN.filter(lambda when: when < 253402300799), ZONES)
def test_a_date_in_iso_form_is_its_own_moment(when: int, zone: str) -> None:
    offset = (-1 if zone[0] == "-" else 1) * (int(zone[1:3]) * 3600 + int(zone[3:]) * 60)
    assume(0 <= when + offset < 253402300799)
    seconds = when + offset
    days, rest = divmod(seconds, 86400)
    date = git_date(days)
    text = f"{date}T{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}{zone[:3]}:{zone[3:]}"
    read, tz = parse_date(text)
    assert read == when
    assert tz == ("+0000" if zone == "-0000" else zone)


def git_date(days: int) -> str:
    """Return the date so many days after 1970-01-01, by the rules of the calendar (ISO 8601)."""
    year = 1970
    while days >= (length := 366 if year % 4 == 0 and (year % 100 or year % 400 == 0) else 365):
        days -= length
        year += 1
    february = 29 if length == 366 else 28
    for month, size in enumerate((31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), 1):
        if days < size:
            return f"{year:04d}-{month:02d}-{days + 1:02d}"
        days -= size
    raise AssertionError(days)


SIGNATURE = b"-----BEGIN SSH SIGNATURE-----\nAAAA\n\nBBBB\n-----END SSH SIGNATURE-----"


@given(messages(), persons(), st.booleans())
def test_the_signed_payload_is_the_commit_without_its_signature(
    message: bytes, person: Person, other_format: bool
) -> None:
    unsigned = encode_commit(
        tree=EMPTY_TREE_OID, parents=[], author=person, committer=person, message=message
    )
    assert split_signature(unsigned) is None
    head, _, body = unsigned.partition(b"\n\n")
    folded = SIGNATURE.replace(b"\n", b"\n ")
    extra = b"\ngpgsig-sha256 " + folded if other_format else b""
    signed = head + b"\ngpgsig " + folded + extra + b"\n\n" + body
    assert split_signature(signed) == (SIGNATURE + b"\n", unsigned)
