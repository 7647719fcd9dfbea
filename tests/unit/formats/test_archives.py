"""Archives give back their members to readers of other programs, and stream in pieces."""

import io
import stat
import tarfile
import time
import zipfile
from collections.abc import Iterator

import pytest

from packhouse import limits
from packhouse.formats.archives import FORMATS, ArchivePrefixInvalid, Member, MemberKind, archive_prefix

pytestmark = pytest.mark.quick

NOON = 1_700_000_000
LARGE = b"0123456789abcdef" * 100_000


def member(name: bytes, content: bytes, kind: MemberKind = MemberKind.FILE) -> Member:
    """Return an entry whose content comes in two pieces."""
    half = len(content) // 2
    return Member(name, kind, len(content), [content[:half], content[half:]])


MEMBERS = {
    b"a.txt": (b"hello\n", MemberKind.FILE),
    b"bin/run": (b"#!/bin/sh\n", MemberKind.EXECUTABLE),
    b"link": (b"a.txt", MemberKind.LINK),
    b"module": (b"", MemberKind.FOLDER),
    b"empty": (b"", MemberKind.FILE),
    b"large": (LARGE, MemberKind.FILE),
    "Größe".encode(): (b"1", MemberKind.FILE),
    b"deep/" * 40 + b"file": (b"2", MemberKind.FILE),
}


def members() -> Iterator[Member]:
    return (member(name, content, kind) for name, (content, kind) in MEMBERS.items())


def make(format: str, wanted: Iterator[Member] | list[Member], modified_at: int = NOON) -> bytes:
    return b"".join(FORMATS[format][0](wanted, modified_at))


@pytest.mark.parametrize("format", ["tar", "tar.gz", "tar.bz2"])
def test_a_tar_reads_back(format: str) -> None:
    with tarfile.open(fileobj=io.BytesIO(make(format, members())), errors="surrogateescape") as archive:
        entries = archive.getmembers()
        assert [entry.name.encode("utf-8", "surrogateescape") for entry in entries] == list(MEMBERS)
        for entry, (content, kind) in zip(entries, MEMBERS.values(), strict=True):
            assert (entry.isdir(), entry.issym()) == (kind is MemberKind.FOLDER, kind is MemberKind.LINK)
            if kind is MemberKind.LINK:
                assert entry.linkname.encode() == content
            elif kind is not MemberKind.FOLDER:
                file = archive.extractfile(entry)
                assert file is not None
                assert file.read() == content
            assert bool(entry.mode & stat.S_IXUSR) == (kind is not MemberKind.FILE)
            assert (entry.mtime, entry.uid, entry.gid) == (NOON, 0, 0)


def test_a_tar_consists_of_whole_records() -> None:
    assert len(make("tar", members())) % tarfile.RECORDSIZE == 0
    assert len(make("tar", [])) == tarfile.RECORDSIZE


def test_a_zip_reads_back() -> None:
    with zipfile.ZipFile(io.BytesIO(make("zip", members()))) as archive:
        assert archive.testzip() is None
        for entry, (name, (content, kind)) in zip(archive.infolist(), MEMBERS.items(), strict=True):
            assert entry.filename.removesuffix("/").encode() == name
            mode = entry.external_attr >> 16
            assert entry.is_dir() == stat.S_ISDIR(mode) == (kind is MemberKind.FOLDER)
            assert stat.S_ISLNK(mode) == (kind is MemberKind.LINK)
            assert bool(mode & stat.S_IXUSR) == (kind is not MemberKind.FILE)
            assert archive.read(entry) == content
            assert entry.date_time == (*time.gmtime(NOON)[:5], NOON % 60 // 2 * 2)


@pytest.mark.parametrize("format", FORMATS)
def test_an_archive_comes_in_pieces_while_its_members_are_read(format: str) -> None:
    taken = 0

    def source() -> Iterator[Member]:
        nonlocal taken
        for number in range(40):
            taken = number
            # Text that hardly compresses, so that compressors give something back on the way.
            noise = b"".join((number * 7919 + at * at).to_bytes(8) for at in range(40_000))
            yield member(b"%d" % number, noise)

    pieces = FORMATS[format][0](source(), NOON)
    next(pieces)
    assert taken < 39


@pytest.mark.parametrize("format", ["tar", "zip"])
def test_a_link_of_megabytes_stays_a_file(format: str) -> None:
    target = b"x" * (limits.archive_link_max_bytes + 1)
    archive = make(format, [member(b"l", target, MemberKind.LINK)])
    if format == "tar":
        with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
            (entry,) = opened.getmembers()
            assert entry.isreg()
            assert entry.size == len(target)
    else:
        with zipfile.ZipFile(io.BytesIO(archive)) as zipped:
            assert stat.S_ISREG(zipped.infolist()[0].external_attr >> 16)
            assert zipped.read("l") == target


@pytest.mark.parametrize("format", ["tar", "zip"])
def test_names_that_are_not_text_keep_their_bytes(format: str) -> None:
    name = b"\xff\xfe-\xe9"
    archive = make(format, [member(name, b"")])
    assert name in archive


@pytest.mark.parametrize("modified_at", [-(10**12), 0, 10**13])
@pytest.mark.parametrize("format", ["tar", "zip"])
def test_any_date_makes_a_readable_archive(format: str, modified_at: int) -> None:
    archive = make(format, [member(b"a", b"content")], modified_at)
    if format == "tar":
        with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
            assert opened.getnames() == ["a"]
    else:
        with zipfile.ZipFile(io.BytesIO(archive)) as zipped:
            assert zipped.read("a") == b"content"


@pytest.mark.parametrize(
    ("text", "prefix"),
    [("", b""), ("top", b"top/"), ("top/", b"top/"), ("a/b-1.0", b"a/b-1.0/"), ("ü ä", "ü ä/".encode())],
)
def test_a_prefix_is_a_folder_within_the_archive(text: str, prefix: bytes) -> None:
    assert archive_prefix(text) == prefix


@pytest.mark.parametrize(
    "text",
    [
        "/",
        "/top",
        "..",
        "a/../b",
        "./a",
        "a//b",
        "a//",
        "a\\b",
        "a\nb",
        "x" * (limits.archive_prefix_max_chars + 1),
    ],
)
def test_a_prefix_that_leaves_the_archive_is_refused(text: str) -> None:
    with pytest.raises(ArchivePrefixInvalid) as refused:
        archive_prefix(text)
    assert refused.value.prefix == text[:200]
