"""Archives hold their members under any names, and are made while they are sent."""

import bz2
import gzip
import io
import random
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse import limits
from packhouse.formats.archives import (
    Format,
    Member,
    MemberKind,
    iter_tar,
    iter_tar_bz2,
    iter_tar_gz,
    iter_zip,
)
from tests.support.clients.git import Git

pytestmark = pytest.mark.quick

WHEN = 1_767_225_600

NAMES = st.lists(
    st.binary(min_size=1, max_size=12).map(lambda name: name.replace(b"/", b"_").replace(b"\0", b"_")),
    min_size=1,
    max_size=4,
).map(b"/".join)
FILES = st.dictionaries(
    NAMES,
    st.tuples(st.sampled_from([MemberKind.FILE, MemberKind.EXECUTABLE]), st.binary(max_size=3000)),
    max_size=6,
)


def member(name: bytes, kind: MemberKind, content: bytes, *, step: int = 1000) -> Member:
    """Return a member whose content comes in pieces."""
    return Member(name, kind, len(content), [content[at : at + step] for at in range(0, len(content), step)])


def make(form: Format, *members: Member, when: int = WHEN) -> bytes:
    return b"".join(form(members, when))


def read_tar(content: bytes) -> dict[bytes, tuple[tarfile.TarInfo, bytes]]:
    """Return the members that tarfile finds."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(content), encoding="utf-8", errors="surrogateescape") as archive:
        for info in archive:
            file = archive.extractfile(info) if info.isreg() else None
            found[info.name.encode("utf-8", "surrogateescape")] = (info, b"" if file is None else file.read())
    return found


def read_zip(content: bytes) -> dict[bytes, tuple[zipfile.ZipInfo, bytes]]:
    """Return the members that zipfile finds. A name that is not UTF-8 comes as its stored bytes."""
    found = {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        for info in archive.infolist():
            is_utf8 = bool(info.flag_bits & 0x800)
            found[info.orig_filename.encode("utf-8" if is_utf8 else "cp437")] = (info, archive.read(info))
    return found


@given(FILES)
def test_a_tar_gives_back_names_modes_and_contents(files: dict[bytes, tuple[MemberKind, bytes]]) -> None:
    content = make(iter_tar, *(member(name, *value) for name, value in files.items()))
    assert len(content) % tarfile.RECORDSIZE == 0
    found = read_tar(content)
    assert {name: data for name, (_, data) in found.items()} == {
        name: data for name, (_, data) in files.items()
    }
    for name, (info, _) in found.items():
        assert info.mode == (0o755 if files[name][0] == MemberKind.EXECUTABLE else 0o644)
        assert info.mtime == WHEN


@given(FILES)
def test_a_zip_gives_back_names_modes_and_contents(files: dict[bytes, tuple[MemberKind, bytes]]) -> None:
    found = read_zip(make(iter_zip, *(member(name, *value) for name, value in files.items())))
    assert {name: data for name, (_, data) in found.items()} == {
        name: data for name, (_, data) in files.items()
    }
    for name, (info, _) in found.items():
        wanted = stat.S_IFREG | (0o755 if files[name][0] == MemberKind.EXECUTABLE else 0o644)
        assert info.external_attr >> 16 == wanted
        assert info.date_time == (2026, 1, 1, 0, 0, 0)


@pytest.mark.parametrize(
    ("form", "inflate"), [(iter_tar_gz, gzip.decompress), (iter_tar_bz2, bz2.decompress)]
)
def test_a_compressed_tar_is_the_plain_one_compressed(
    form: Format, inflate: Callable[[bytes], bytes]
) -> None:
    rng = random.Random(4)
    files = [member(b"%d" % number, MemberKind.FILE, rng.randbytes(number * 20_000)) for number in range(8)]
    assert inflate(make(form, *files)) == make(iter_tar, *files)


def test_two_names_that_are_not_utf8_stay_different() -> None:
    names = [b"caf\xe9", b"caf\xe8", "café".encode()]
    files = [member(name, MemberKind.FILE, name) for name in names]
    for read, form in ((read_tar, iter_tar), (read_zip, iter_zip)):
        found = read(make(form, *files))
        assert {name: data for name, (_, data) in found.items()} == {name: name for name in names}


def test_a_long_name_is_whole() -> None:
    name = b"/".join([b"d" * 120] * 5) + "/ä".encode()
    for read, form in ((read_tar, iter_tar), (read_zip, iter_zip)):
        assert read(make(form, member(name, MemberKind.FILE, b"x")))[name][1] == b"x"


def test_a_symlink_points_where_it_pointed() -> None:
    link = member(b"link", MemberKind.LINK, b"../else/where\xff")
    info, _ = read_tar(make(iter_tar, link, member(b"after", MemberKind.FILE, b"x")))[b"link"]
    assert info.issym()
    assert info.linkname.encode("utf-8", "surrogateescape") == b"../else/where\xff"
    zipped, target = read_zip(make(iter_zip, link))[b"link"]
    assert stat.S_ISLNK(zipped.external_attr >> 16)
    assert target == b"../else/where\xff"


def test_a_symlink_that_no_system_could_follow_is_a_file() -> None:
    content = b"x" * (limits.archive_link_max_bytes + 1)
    info, data = read_tar(make(iter_tar, member(b"link", MemberKind.LINK, content)))[b"link"]
    assert info.isreg()
    assert data == content
    zipped, _ = read_zip(make(iter_zip, member(b"link", MemberKind.LINK, content)))[b"link"]
    assert stat.S_ISREG(zipped.external_attr >> 16)


def test_a_folder_is_an_entry_of_its_own() -> None:
    files = (Member(b"sub", MemberKind.FOLDER, 0, []), member(b"x", MemberKind.FILE, b"x"))
    info, _ = read_tar(make(iter_tar, *files))[b"sub"]
    assert info.isdir()
    zipped, data = read_zip(make(iter_zip, *files))[b"sub/"]
    assert zipped.is_dir()
    assert data == b""


@pytest.mark.parametrize("form", [iter_tar, iter_tar_gz, iter_tar_bz2, iter_zip])
def test_an_archive_of_nothing_is_an_archive(form: Format) -> None:
    content = make(form)
    if form is iter_zip:
        assert read_zip(content) == {}
    else:
        assert read_tar(content) == {}


@pytest.mark.parametrize(
    ("when", "tarred", "zipped"),
    [
        (-5, 0, (1980, 1, 1, 0, 0, 0)),
        (10**15, 253402300799, (2107, 12, 31, 23, 59, 58)),
        (1_000_000_001, 1_000_000_001, (2001, 9, 9, 1, 46, 40)),
    ],
)
def test_a_date_outside_the_range_of_a_format_becomes_the_nearest_one(
    when: int, tarred: int, zipped: tuple[int, ...]
) -> None:
    file = member(b"f", MemberKind.FILE, b"x")
    assert read_tar(make(iter_tar, file, when=when))[b"f"][0].mtime == tarred
    assert read_zip(make(iter_zip, file, when=when))[b"f"][0].date_time == zipped


@pytest.mark.parametrize(
    ("form", "size_mib"),
    [
        (iter_tar, 8),
        (iter_tar_gz, 32),
        (iter_tar_bz2, 8),
        (iter_zip, 8),
    ],  # gzip's threads hold some MiB on their way
)
def test_an_archive_is_sent_while_it_is_made(form: Format, size_mib: int) -> None:
    rng = random.Random(5)
    asked = 0

    def pieces() -> Iterator[bytes]:
        nonlocal asked
        for _ in range(8 * size_mib):
            asked += 1
            yield rng.randbytes(limits.MIB // 8)

    stream = form([Member(b"large", MemberKind.FILE, size_mib * limits.MIB, pieces())], WHEN)
    next(stream)
    assert asked < 8 * size_mib
    largest = max(map(len, stream))
    assert largest < size_mib * limits.MIB // 2


@pytest.mark.parametrize("form", [iter_tar, iter_tar_gz, iter_tar_bz2, iter_zip])
def test_a_failure_of_the_source_ends_the_archive(form: Format) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"x"
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        make(form, Member(b"f", MemberKind.FILE, 2, pieces()))


def test_git_archive_makes_the_same_archive(git: Git, tmp_path: Path) -> None:
    work = git.init(tmp_path / "work")
    files: dict[str, bytes | None] = {
        "a.txt": b"a\n",
        "d/e/ä.bin": bytes(range(256)) * 30,
        "run": b"#!/bin/sh\n",
    }
    git.commit(work, files)
    (work / "run").chmod(0o755)
    (work / "link").symlink_to("d/e")
    git.commit(work, {})
    theirs = git.try_run("archive", "--format=tar", "HEAD", cwd=work).stdout
    ours = make(
        iter_tar,
        *(
            member(name.encode(), MemberKind.FILE, content)
            for name, content in list(files.items())[:2]
            if content
        ),
        member(b"link", MemberKind.LINK, b"d/e"),
        member(b"run", MemberKind.EXECUTABLE, b"#!/bin/sh\n"),
    )
    said = {
        name: (info.type, info.linkname, data, bool(info.mode & 0o100))
        for name, (info, data) in read_tar(theirs).items()
        if not info.isdir()
    }
    assert said == {
        name: (info.type, info.linkname, data, bool(info.mode & 0o100))
        for name, (info, data) in read_tar(ours).items()
    }
