"""Commits, trees and tags: the bytes that git makes, and patience with what old histories hold."""

import functools
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packhouse.clock import TIMESTAMP_MAX
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
)
from packhouse.git.oid import EMPTY_TREE_OID, Oid, hash_object
from tests.support.clients.git import Git

pytestmark = pytest.mark.quick

ADA = Person("Ada Lovelace", "ada@example.test", 1767342600, "+0200")
PARENT = Oid("1" * 40)


def text_with(odd: str, *, without: str, max_size: int) -> st.SearchStrategy[str]:
    """Return text half of whose characters are `odd`; an alphabet of both would drown them in all others."""
    characters = st.sampled_from(odd) | st.characters(codec="utf-8", exclude_characters=without)
    return st.lists(characters, max_size=max_size).map("".join)


names = text_with(" .,:;\"'\\\t\r\ufffe\ufdd0", without="<>\n\0", max_size=30)
messages = text_with(
    " \t\r\n\ufffe\uffff\ufdd0\ufdef\U0001fffe\U0002ffff\U0010fffe", without="\0", max_size=60
)
zones = st.builds(
    lambda sign, hours, minutes: f"{sign}{hours:02d}{minutes:02d}",
    st.sampled_from("+-"),
    st.integers(0, 14),
    st.sampled_from([0, 30, 45]),
).filter(lambda zone: zone != "-0000")  # git writes that as +0000, and so does parse_date()


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Git, Path]:
    git = Git(tmp_path_factory.mktemp("home"))
    folder = git.init(tmp_path_factory.mktemp("repo"))
    git.run("hash-object", "-w", "-t", "tree", "--stdin", cwd=folder)
    return git, folder


def make_commit_with_git(
    repo: tuple[Git, Path], *, author: Person, committer: Person, message: bytes, parents: list[Oid]
) -> subprocess.CompletedProcess[bytes]:
    git, folder = repo
    environment = {}
    for role, person in (("AUTHOR", author), ("COMMITTER", committer)):
        environment[f"GIT_{role}_NAME"] = person.name
        environment[f"GIT_{role}_EMAIL"] = person.email
        environment[f"GIT_{role}_DATE"] = f"@{person.when} {person.tz}"
    options = [option for parent in parents for option in ("-p", parent)]
    return git.try_run("commit-tree", *options, EMPTY_TREE_OID, cwd=folder, env=environment, stdin=message)


@functools.cache
def keeps_full_stops(git: Git) -> bool:
    """Tell whether this git strips names differently from git 2.39, after which ours is made."""
    environment = {"GIT_AUTHOR_NAME": "A.", "GIT_AUTHOR_EMAIL": "a@b"}
    return git.run("var", "GIT_AUTHOR_IDENT", env=environment).startswith("A. <")


@settings(max_examples=150, deadline=None)
@given(
    name=names,
    email=names,
    message=messages,
    when=st.integers(0, 4102444800),
    zone=zones,
    has_parent=st.booleans(),
)
def test_a_commit_has_the_id_that_git_commit_tree_gives_it(
    repo: tuple[Git, Path], name: str, email: str, message: str, when: int, zone: str, has_parent: bool
) -> None:
    git, folder = repo
    if keeps_full_stops(git):
        name, email = name.replace(".", ","), email.replace(".", ",")
    try:
        author = make_person(name, email, when, zone)
        stored = clean_message(message)
    except Invalid:
        return
    parents = []
    if has_parent:
        first = encode_commit(tree=EMPTY_TREE_OID, parents=[], author=ADA, committer=ADA, message=b"first\n")
        parents = [Oid(git.run("hash-object", "-w", "-t", "commit", "--stdin", cwd=folder, stdin=first))]
    done = make_commit_with_git(
        repo, author=author, committer=ADA, message=message.strip().encode() + b"\n", parents=parents
    )
    content = encode_commit(
        tree=EMPTY_TREE_OID, parents=parents, author=author, committer=ADA, message=stored
    )
    assert hash_object("commit", content) == done.stdout.decode().strip(), done.stderr


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("  Ada  ", b"Ada"),
        ("Ada, ", b"Ada"),
        ('"Ada"', b"Ada"),
        ("A <d> a\n", b"A d a"),
        (".:;<>", b""),
        ("Ada\r", b"Ada"),
        ("J. R. \\o/", b"J. R. \\o/"),
        ("Ådå", "Ådå".encode()),
    ],
)
def test_an_identity_loses_what_git_strips(written: str, stored: bytes) -> None:
    assert clean_identity(written) == stored


@pytest.mark.parametrize(
    ("name", "email"),
    [
        ("", "a@b"),
        (" \t", "a@b"),
        ("Ada", " "),
        ("A<da", "a@b"),
        ("Ada", "a>b"),
        ("A\nda", "a@b"),
        ("A\0da", "a@b"),
        ("...", "a@b"),
        ("\ud800", "a@b"),
        ("Ada", "\udfff"),
    ],
)
def test_a_person_that_git_could_not_store_is_refused(name: str, email: str) -> None:
    with pytest.raises(Invalid):
        make_person(name, email, 0, "+0000")


@pytest.mark.parametrize(
    "person",
    [
        Person("Ada", "a@b", -1, "+0000"),
        Person("Ada", "a@b", 0, "UTC"),
        Person("Ada", "a@b", 0, "+00:00"),
        Person("A\0da", "a@b", 0, "+0000"),
    ],
)
def test_a_person_that_would_not_read_back_is_not_written(person: Person) -> None:
    with pytest.raises(Invalid):
        encode_person(person)


@pytest.mark.parametrize("message", ["", " \n\t ", "a\0b", "\ud800"])
def test_a_message_that_git_could_not_store_is_refused(message: str) -> None:
    with pytest.raises(Invalid):
        clean_message(message)


def test_a_message_is_trimmed_and_ends_in_one_newline() -> None:
    assert clean_message("\n  one\r\n\r\ntwo  \n\n") == b"one\r\n\r\ntwo\n"


@pytest.mark.parametrize(
    ("text", "when", "zone"),
    [
        ("2026-01-02T08:30:00Z", 1767342600, "+0000"),
        ("2026-01-02T10:30:00+02:00", 1767342600, "+0200"),
        ("2026-01-02T03:00:00-0530", 1767342600, "-0530"),
        ("2026-01-02T10:30:00+02", 1767342600, "+0200"),
        ("2026-01-02t08:30:00z", 1767342600, "+0000"),
        ("2026-01-02 08:30", 1767342600, "+0000"),
        ("20260102T083000Z", 1767342600, "+0000"),
        ("2026-01-02T08:30:00.999999999Z", 1767342600, "+0000"),
        ("9999-12-31T23:59:59Z", 253402300799, "+0000"),
        ("9999-12-31T23:59:59+14:00", 253402250399, "+1400"),
        (" 2026-01-02T08:30:00,5 ", 1767342600, "+0000"),
        ("2026-01-02", 1767312000, "+0000"),
        ("2026-01-02T08:30:00-00:00", 1767342600, "+0000"),
        ("1970-01-01T00:00:00Z", 0, "+0000"),
        ("1969-12-31T23:00:00-01:00", 0, "-0100"),
    ],
)
def test_an_iso_date_keeps_its_own_offset(text: str, when: int, zone: str) -> None:
    assert parse_date(text) == (when, zone)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-13-01T00:00:00Z",
        "2026-02-30",
        "2026-01-02T25:00:00Z",
        "2026-01-02T08:60:00Z",
        "2026-01-02T08:30:61Z",
        "2026-01-02T08:30:00+24:00",
        "2026-01-02T08:30:00+02:60",
        "2026-01-02T08:30:00+02:00:30",
        "2026-01-02T08:30:00 Europe/Berlin",
        "1969-12-31T23:59:59Z",
        "0000-01-01",
        "9999-12-31T23:00:00-14:00",
        "1767342600",
        "2026-W01-1",
        "２０２６-01-02",
        "2026-01-02T08:30:00Z\0",
    ],
)
def test_text_that_is_not_a_date_and_dates_that_git_cannot_store_are_invalid(text: str) -> None:
    with pytest.raises(Invalid):
        parse_date(text)


@given(st.datetimes(min_value=datetime(1970, 1, 2)), st.integers(-14 * 60, 14 * 60))
def test_a_date_written_by_python_reads_as_the_same_moment(moment: datetime, offset_min: int) -> None:
    when = int(moment.replace(tzinfo=UTC, microsecond=0).timestamp())
    assert parse_date(moment.isoformat() + "Z") == (when, "+0000")
    sign = "-" if offset_min < 0 else "+"
    zone = f"{sign}{abs(offset_min) // 60:02d}:{abs(offset_min) % 60:02d}"
    if when - offset_min * 60 >= 0:
        assert parse_date(moment.isoformat() + zone) == (when - offset_min * 60, zone.replace(":", ""))


def test_a_commit_reads_back_as_it_was_written() -> None:
    content = encode_commit(
        tree=EMPTY_TREE_OID, parents=[PARENT], author=ADA, committer=ADA, message=clean_message("a\n\nb\nc")
    )
    commit = parse_commit(content)
    assert (commit.tree, commit.parents, commit.author, commit.committer) == (
        EMPTY_TREE_OID,
        (PARENT,),
        ADA,
        ADA,
    )
    assert (commit.message, commit.subject, commit.encoding) == ("a\n\nb\nc", "a", None)


def test_the_encoding_header_is_honoured() -> None:
    content = (
        f"tree {EMPTY_TREE_OID}\nauthor Åda <a@b> 1 +0000\ncommitter Åda <a@b> 1 +0000\n"
        "encoding ISO-8859-1\n\nSmörgås\n"
    ).encode("latin-1")
    commit = parse_commit(content)
    assert (commit.author.name, commit.message, commit.encoding) == ("Åda", "Smörgås", "ISO-8859-1")


@pytest.mark.parametrize(
    "encoding", ["nonsense", "hex", "idna", "unicode_escape", "undefined", "", "x" * 999]
)
def test_an_unknown_encoding_reads_as_utf8(encoding: str) -> None:
    head = f"tree {EMPTY_TREE_OID}\nencoding {encoding}\n\n".encode()
    assert parse_commit(head + "Smörgås \\x".encode() + b"\xff").message == "Smörgås \\x\ufffd"


@pytest.mark.parametrize(
    ("line", "person"),
    [
        (b"Ada <a@b> 12 +0100", Person("Ada", "a@b", 12, "+0100")),
        (b"Ada <a@b> 12 -0130", Person("Ada", "a@b", 12, "-0130")),
        (b"Ada <a@b> -12 -0100", Person("Ada", "a@b", 0, "+0000")),
        (b"Ada <a@b>", Person("Ada", "a@b", 0, "+0000")),
        (b"Ada <a@b> 12", Person("Ada", "a@b", 12, "+0000")),
        (b"Ada <a@b> 12 +051800", Person("Ada", "a@b", 12, "+0000")),
        (b"Ada <a@b> 12 +9999", Person("Ada", "a@b", 12, "+0000")),
        (b"Ada <a@b> Mon Jan 5", Person("Ada", "a@b", 0, "+0000")),
        (b"Ada <a@b>> 12 +0000", Person("Ada", "a@b", 12, "+0000")),
        (b"Ada<a@b>12 +0000", Person("Ada", "a@b", 12, "+0000")),
        (b"<> 12 +0000", Person("", "", 12, "+0000")),
        (b"Ada", Person("Ada", "", 0, "+0000")),
        (b"Ada <a@b> 253402300800 +0100", Person("Ada", "a@b", TIMESTAMP_MAX, "+0100")),
        (b"Ada <a@b> 9223372036854775807 +0000", Person("Ada", "a@b", TIMESTAMP_MAX, "+0000")),
        (b"Ada <a@b> 99999999999999999999 +0000", Person("Ada", "a@b", TIMESTAMP_MAX, "+0000")),
        (b"Ada <a@b> " + b"9" * 5000, Person("Ada", "a@b", TIMESTAMP_MAX, "+0000")),
        (b"Ada <a@b> 00000000000000000012 +0000", Person("Ada", "a@b", 12, "+0000")),
        (b"", Person("", "", 0, "+0000")),
        (b"\xff <a@b> 1 +0000", Person("\ufffd", "a@b", 1, "+0000")),
    ],
)
def test_odd_persons_of_old_histories_are_read(line: bytes, person: Person) -> None:
    assert parse_person(line) == person


def test_a_commit_without_persons_or_message_is_read() -> None:
    commit = parse_commit(f"tree {EMPTY_TREE_OID}\n".encode())
    assert commit.author == Person("", "", 0, "+0000")
    assert commit.message == ""


@pytest.mark.parametrize(
    "content", [b"", b"\n\nx", b"tree 123\n\n", b"tree " + b"1" * 40 + b"\nparent x\n\n"]
)
def test_bytes_that_are_not_a_commit_are_corrupt(content: bytes) -> None:
    with pytest.raises(Corrupt):
        parse_commit(content)


def test_a_signature_is_unfolded_and_the_payload_is_the_signed_text() -> None:
    unsigned = encode_commit(
        tree=EMPTY_TREE_OID, parents=[], author=ADA, committer=ADA, message=b"m\n\ngpgsig x\n"
    )
    head, body = unsigned.split(b"\n\n", 1)
    signed = head + b"\ngpgsig -----BEGIN-----\n \n abc\n -----END-----\ngpgsig-sha256 x\n y\n\n" + body
    assert split_signature(unsigned) is None
    assert split_signature(signed) == (b"-----BEGIN-----\n\nabc\n-----END-----\n", unsigned)
    assert parse_commit(signed).headers[0] == (b"gpgsig", b"-----BEGIN-----\n\nabc\n-----END-----")


def test_a_tag_has_the_id_that_git_gives_it_and_reads_back(repo: tuple[Git, Path]) -> None:
    git, folder = repo
    content = encode_tag(
        target=EMPTY_TREE_OID, target_kind="tree", name="v1", tagger=ADA, message=clean_message("one\n\ntwo")
    )
    oid = git.run("mktag", cwd=folder, stdin=content)
    assert hash_object("tag", content) == oid
    tag = parse_tag(content)
    assert (tag.target, tag.target_kind, tag.name, tag.tagger, tag.message) == (
        EMPTY_TREE_OID,
        "tree",
        "v1",
        ADA,
        "one\n\ntwo",
    )


def test_a_tag_of_before_2005_has_no_tagger() -> None:
    assert parse_tag(b"object %s\ntype commit\ntag v0\n\nold\n" % PARENT.encode()).tagger is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0o100644, 0o100755, 0o120000, 0o160000, 0o040000]),
            st.binary(min_size=1, max_size=5).filter(lambda name: not set(name) & set(b"\0/")),
        ),
        unique_by=lambda row: row[1],
        max_size=12,
    )
)
@settings(max_examples=60, deadline=None)
def test_a_tree_has_the_id_that_git_mktree_gives_it(
    repo: tuple[Git, Path], rows: list[tuple[int, bytes]]
) -> None:
    git, folder = repo
    entries = [TreeEntry(mode, name, hash_object("blob", name)) for mode, name in rows]
    kinds = {0o160000: b"commit", 0o040000: b"tree"}
    lines = b"".join(
        b"%06o %s %s\t%s\0" % (mode, kinds.get(mode, b"blob"), oid.encode(), name)
        for mode, name, oid in entries
    )
    content = encode_tree(entries)
    assert hash_object("tree", content) == git.run("mktree", "-z", "--missing", cwd=folder, stdin=lines)
    assert sorted(parse_tree(content)) == sorted(entries)


def test_modes_of_old_trees_are_read_as_git_compares_them() -> None:
    stored = (b"100664", b"100775", b"0100644", b"120777", b"040000", b"40755", b"10644", b"0")
    padded = (b"00100644", b"000040000", b"10000000000040000", b"37777777777777740000")
    entries = parse_tree(b"".join(b"%s a\0%s" % (mode, bytes.fromhex(PARENT)) for mode in (*stored, *padded)))
    assert [f"{entry.mode:06o}" for entry in entries] == [
        *("100644", "100755", "100644", "120000", "040000", "040000", "160000", "160000"),
        *("100644", "040000", "040000", "160000"),
    ]


@pytest.mark.parametrize("content", [b"x", b"100644 a\0123", b"100644 \0" + b"1" * 20, b"8 a\0" + b"1" * 20])
def test_bytes_that_are_not_a_tree_are_corrupt(content: bytes) -> None:
    with pytest.raises(Corrupt):
        parse_tree(content)
