"""Blobs in pieces, many in a row, and objects through a git of their own."""

import random

import pytest

from packhouse.git.commands.cat_file import (
    BlobBatch,
    BlobEndsEarly,
    BlobUnreadable,
    FreshReader,
    iter_blob,
    open_blobs,
)
from packhouse.git.commands.run import GitFailed
from packhouse.git.objects.reader import ObjectMissing, ObjectOfOtherKind, ObjectUnreadable
from packhouse.git.oid import Oid, hash_object
from tests.support.builders.seeds import seed_of
from tests.support.clients.git_runner import WorkTree

pytestmark = pytest.mark.quick

UNKNOWN = Oid("1" * 40)
LARGE = b"0123456789abcdef" * 300_000


def test_a_large_blob_comes_in_pieces(work: WorkTree) -> None:
    oid = work.write("blob", LARGE)
    pieces = list(iter_blob(work, oid))
    assert len(pieces) > 1
    assert b"".join(pieces) == LARGE


@pytest.mark.parametrize("kind", ["tree", "missing"])
def test_an_object_that_is_not_a_blob_is_a_failure(work: WorkTree, kind: str) -> None:
    oid = work.write("tree", b"") if kind == "tree" else UNKNOWN
    with pytest.raises(GitFailed):
        list(iter_blob(work, oid))


def test_blobs_of_any_content_come_in_the_requested_order(
    work: WorkTree, request: pytest.FixtureRequest
) -> None:
    rng = random.Random(seed_of(request))
    contents = [b"", b"\n", b"1 blob 2\n", LARGE, b"x" * 199, b"\0" * 70_000]
    for content in contents:
        work.write("blob", content)
    wanted = [rng.choice(contents) for _ in range(30)]
    with open_blobs(work, [hash_object("blob", content) for content in wanted]) as batch:
        for content in wanted:
            assert batch.next_size() == len(content)
            assert b"".join(batch.iter_pieces()) == content


def test_a_blob_may_be_skipped_or_read_in_part(work: WorkTree) -> None:
    contents = [LARGE, b"small", LARGE + b"!", b"last"]
    oids = [work.write("blob", content) for content in contents]
    with BlobBatch(work, oids) as batch:
        assert batch.next_size() == len(LARGE)
        assert next(batch.iter_pieces())
        assert batch.next_size() == len(b"small")
        assert batch.next_size() == len(LARGE) + 1
        assert batch.next_size() == len(b"last")
        assert b"".join(batch.iter_pieces()) == b"last"
        assert list(batch.iter_pieces()) == []


def test_thousands_of_blobs_are_requested_while_they_are_read(work: WorkTree) -> None:
    oids = [work.write("blob", b"one"), work.write("blob", b"two!")] * 20_000
    with BlobBatch(work, oids) as batch:
        sizes = [batch.next_size() for _ in oids]
    assert sizes == [3, 4] * 20_000


def test_a_blob_that_is_missing_is_named(work: WorkTree) -> None:
    oid = work.write("blob", b"there")
    with BlobBatch(work, [oid, UNKNOWN, oid]) as batch:
        batch.next_size()
        with pytest.raises(BlobUnreadable) as missing:
            batch.next_size()
    assert missing.value.oid == UNKNOWN
    assert missing.value.answer == f"{UNKNOWN} missing"


def test_an_object_of_another_kind_is_refused_as_a_blob(work: WorkTree) -> None:
    tree = work.write("tree", b"")
    with BlobBatch(work, [tree]) as batch, pytest.raises(BlobUnreadable) as found:
        batch.next_size()
    assert found.value.answer == f"{tree} tree 0"


def test_an_unreadable_blob_is_reported_as_unreadable(work: WorkTree) -> None:
    sound, damaged = work.write("blob", b"sound"), work.write("blob", LARGE)
    path = work.folder / ".git" / "objects" / damaged[:2] / damaged[2:]
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1000])
    with BlobBatch(work, [sound, damaged]) as batch:
        assert batch.next_size() == 5
        with pytest.raises((BlobEndsEarly, BlobUnreadable)) as told:
            _read_next(batch)
    assert told.value.oid == damaged


def _read_next(batch: BlobBatch) -> bytes:
    batch.next_size()
    return b"".join(batch.iter_pieces())


def test_leaving_a_batch_ends_git(work: WorkTree) -> None:
    with BlobBatch(work, [work.write("blob", LARGE)] * 100) as batch:
        batch.next_size()
        next(batch.iter_pieces())
        git = batch._git
        assert git.poll() is None
    assert git.poll() is not None


def test_a_fresh_reader_reads_every_kind(work: WorkTree) -> None:
    commit = work.commit({"a": b"content\nof two lines"})
    reader = FreshReader(work.place())
    assert reader.kind_and_size(commit) == ("commit", len(reader.read(commit)[1]))
    assert reader.read(work.oid("HEAD:a"), kind="blob") == ("blob", b"content\nof two lines")
    tree = work.oid("HEAD^{tree}")
    assert hash_object("tree", reader.read(tree, kind="tree")[1]) == tree
    assert reader.peel(commit) == ("commit", commit)


def test_a_fresh_reader_sees_objects_that_were_added_later(work: WorkTree) -> None:
    reader = FreshReader(work.place())
    oid = hash_object("blob", b"later")
    assert reader.kind_and_size(oid) is None
    work.write("blob", b"later")
    assert reader.kind_and_size(oid) == ("blob", 5)


def test_an_object_that_is_absent_is_missing(work: WorkTree) -> None:
    reader = FreshReader(work.place())
    assert reader.kind_and_size(UNKNOWN) is None
    with pytest.raises(ObjectMissing):
        reader.read(UNKNOWN)


def test_an_object_of_another_kind_is_refused(work: WorkTree) -> None:
    oid = work.write("blob", b"x")
    with pytest.raises(ObjectOfOtherKind) as found:
        FreshReader(work.place()).read(oid, kind="commit")
    assert (found.value.kind, found.value.expected) == ("blob", "commit")


def test_an_object_that_is_damaged_is_unreadable_and_not_missing(work: WorkTree) -> None:
    oid = work.write("blob", b"x")
    work.corrupt(oid)
    reader = FreshReader(work.place())
    with pytest.raises(ObjectUnreadable):
        reader.kind_and_size(oid)
    with pytest.raises(ObjectUnreadable) as damaged:
        reader.read(oid)
    assert damaged.value.oid == oid
