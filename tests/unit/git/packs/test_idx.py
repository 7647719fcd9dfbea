"""Reading idx files: what git wrote and what we wrote, and nothing that is broken."""

import hashlib
import os
from pathlib import Path

import pytest

from packhouse.errors import Corrupt
from packhouse.git.oid import Oid, hash_object
from packhouse.git.packs.idx import PackIdx
from packhouse.git.packs.writer import PackEntry, encode_idx
from tests.support.clients.git import Git

pytestmark = pytest.mark.quick

OIDS = [hash_object("blob", b"%d" % number) for number in range(1000)]


def make_idx(*entries: PackEntry) -> bytes:
    return encode_idx(entries, pack_name="ab" * 20)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "pack-x.idx"
    path.write_bytes(make_idx(*(PackEntry(oid, at, 12 + at) for at, oid in enumerate(OIDS))))
    return path


def test_every_object_is_found_and_no_other(path: Path) -> None:
    with PackIdx(path) as idx:
        idx.verify()
        assert len(idx) == len(OIDS)
        assert idx.pack_name == "ab" * 20
        for at, oid in enumerate(OIDS):
            assert oid in idx
            assert idx.find(oid) == PackEntry(oid, at, 12 + at)
        for number in range(1000, 2000):
            assert hash_object("blob", b"%d" % number) not in idx
        assert idx.find(Oid("0" * 40)) is None
        assert idx.find(Oid("f" * 40)) is None


def test_ids_are_yielded_in_order(path: Path) -> None:
    with PackIdx(path) as idx:
        assert list(idx.iter_oids()) == [entry.oid for entry in idx] == sorted(OIDS)


def test_an_idx_of_no_objects_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.idx"
    path.write_bytes(make_idx())
    with PackIdx(path) as idx:
        idx.verify()
        assert (len(idx), list(idx)) == (0, [])


def test_an_idx_that_git_wrote_is_read(tmp_path: Path) -> None:
    git = Git(tmp_path / "home")
    work = git.init(tmp_path / "work")
    for number in range(5):
        git.commit(work, {f"file{number}": os.urandom(100)})
    git.run("repack", "-adq", cwd=work)
    (path,) = (work / ".git/objects/pack").glob("*.idx")
    lines = (
        git.try_run("show-index", "--object-format=sha1", stdin=path.read_bytes())
        .stdout.decode()
        .splitlines()
    )
    with PackIdx(path) as idx:
        idx.verify()
        assert [f"{entry.offset} {entry.oid} ({entry.crc32:08x})" for entry in idx] == lines


def checksummed(content: bytes) -> bytes:
    return content + hashlib.sha1(content, usedforsecurity=False).digest()


GOOD = make_idx(PackEntry(OIDS[0], 1, 12), PackEntry(OIDS[1], 2, 2**33))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xfftOc",
        GOOD[:-1],
        GOOD + b"\0",
        b"PACK" + GOOD[4:],
        GOOD[:7] + b"\x01" + GOOD[8:],
        GOOD[:1028] + b"\xff\xff\xff\xff" + GOOD[1032:],
        GOOD[:8] + b"\x00\x00\x00\x09" + GOOD[12:],
    ],
)
def test_a_file_of_another_form_is_corrupt(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(Corrupt):
        PackIdx(path)


def test_an_offset_outside_the_table_of_large_ones_is_corrupt(path: Path) -> None:
    large = 8 + 1024 + 2 * 24 + 4 * sorted(OIDS[:2]).index(OIDS[1])
    path.write_bytes(GOOD[:large] + b"\x80\x00\x00\x01" + GOOD[large + 4 :])
    with PackIdx(path) as idx, pytest.raises(Corrupt):
        idx.find(OIDS[1])


def test_a_flipped_bit_or_ids_out_of_order_do_not_verify(path: Path) -> None:
    flipped = bytearray(GOOD)
    flipped[1040] ^= 1
    swapped = GOOD[:1032] + GOOD[1052:1072] + GOOD[1032:1052] + GOOD[1072:-20]
    for content in (bytes(flipped), checksummed(swapped)):
        path.write_bytes(content)
        with PackIdx(path) as idx, pytest.raises(Corrupt):
            idx.verify()
