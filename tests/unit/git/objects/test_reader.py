"""Objects are read the same by libgit2 and by a git of its own. An unreadable object is not an absent one."""

import random
import shutil
from pathlib import Path

import pytest

from packhouse.errors import Corrupt, NotFound
from packhouse.git.commands.cat_file import FreshReader
from packhouse.git.commands.environment import GitPlace
from packhouse.git.objects.reader import (
    ObjectMissing,
    ObjectOfOtherKind,
    ObjectReader,
    Objects,
    ObjectUnreadable,
    tag_target,
)
from packhouse.git.oid import Oid, hash_object
from tests.support.builders.packs import BareRepo
from tests.support.builders.raw_objects import RawObjects
from tests.support.clients.git import Git

pytestmark = pytest.mark.quick

ABSENT = Oid("12" * 20)
PERSON = b"Ada <a@b> 1 +0000"
TREE = b"100644 f\0" + bytes.fromhex(hash_object("blob", b"content"))
COMMIT = b"tree %s\nauthor %s\ncommitter %s\n\nm\n" % (hash_object("tree", TREE).encode(), PERSON, PERSON)
TAG = b"object %s\ntype commit\ntag v1\ntagger %s\n\nm\n" % (hash_object("commit", COMMIT).encode(), PERSON)
TAG_OF_TAG = b"object %s\ntype tag\ntag v2\ntagger %s\n\nm\n" % (hash_object("tag", TAG).encode(), PERSON)
OBJECTS = [
    ("blob", b"content"),
    ("blob", b""),
    ("blob", b"\0\n\xff" * 1000),
    ("tree", TREE),
    ("commit", COMMIT),
    ("tag", TAG),
    ("tag", TAG_OF_TAG),
]


@pytest.fixture
def repo(git: Git, tmp_path: Path) -> BareRepo:
    repo = BareRepo(git, tmp_path / "bare.git")
    repo.add(OBJECTS)
    return repo


@pytest.fixture(params=["libgit2", "git"])
def reader(request: pytest.FixtureRequest, repo: BareRepo) -> Objects:
    return open_reader(request.param, repo.path)


def open_reader(kind: str, folder: Path) -> Objects:
    return ObjectReader(folder / "objects") if kind == "libgit2" else FreshReader(GitPlace(folder))


@pytest.mark.parametrize(("kind", "content"), OBJECTS)
def test_every_object_is_read_as_it_was_written(reader: Objects, kind: str, content: bytes) -> None:
    oid = hash_object(kind, content)
    assert reader.kind_and_size(oid) == reader.read_header(oid) == (kind, len(content))
    assert reader.read(oid) == reader.read(oid, kind=kind) == (kind, content)


def test_an_absent_object_is_reported_by_its_id(reader: Objects) -> None:
    assert reader.kind_and_size(ABSENT) is None
    for ask in (reader.read, reader.read_header, reader.peel):
        with pytest.raises(ObjectMissing) as caught:
            ask(ABSENT)
        assert caught.value.fields == {"oid": ABSENT}


def test_an_object_of_another_kind_is_not_found(reader: Objects) -> None:
    with pytest.raises(ObjectOfOtherKind) as caught:
        reader.read(hash_object("tree", TREE), kind="commit")
    assert not isinstance(caught.value, ObjectMissing)
    assert caught.value.kind == "tree"


def test_tags_are_followed_to_what_they_name(reader: Objects) -> None:
    commit = ("commit", hash_object("commit", COMMIT))
    assert reader.peel(hash_object("tag", TAG_OF_TAG)) == reader.peel(hash_object("tag", TAG)) == commit
    assert reader.peel(commit[1]) == commit
    blob = hash_object("blob", b"content")
    assert reader.peel(blob) == ("blob", blob)


def test_a_chain_of_tags_has_a_bound(git: Git, tmp_path: Path) -> None:
    raw = RawObjects(git, tmp_path / "work")
    chain = [raw.tag(raw.blob(), "blob")]
    for _ in range(32):
        chain.append(raw.tag(chain[-1], "tag"))
    reader = ObjectReader(raw.work / ".git/objects")
    assert reader.peel(Oid(chain[30]))[0] == "blob"
    with pytest.raises(NotFound, match="too many tags"):
        reader.peel(Oid(chain[31]))


@pytest.mark.parametrize("kind", ["libgit2", "git"])
def test_a_damaged_object_is_corrupt_and_not_absent(git: Git, tmp_path: Path, kind: str) -> None:
    repo = BareRepo(git, tmp_path / "spoiled.git")
    content = random.Random(1).randbytes(1000)
    pack = repo.add([("blob", content)])
    raw = bytearray(pack.read_bytes())
    raw[200:210] = bytes(10)
    pack.write_bytes(raw)
    oid = hash_object("blob", content)
    reader = open_reader(kind, repo.path)
    with pytest.raises(ObjectUnreadable) as caught:
        reader.read(oid)
    assert caught.value.oid == oid


def test_a_folder_beneath_is_searched_as_well(repo: BareRepo, git: Git, tmp_path: Path) -> None:
    above = BareRepo(git, tmp_path / "above.git")
    above.add([("blob", b"new")])
    reader = ObjectReader(above.path / "objects", repo.path / "objects")
    assert reader.read(hash_object("blob", b"new"))[1] == b"new"
    assert reader.read(hash_object("blob", b"content"))[1] == b"content"
    assert ObjectReader(above.path / "objects").kind_and_size(hash_object("blob", b"content")) is None


def test_a_fresh_reader_sees_objects_that_were_added_after_it_was_opened(repo: BareRepo) -> None:
    reader = FreshReader(GitPlace(repo.path))
    late = hash_object("blob", b"late")
    assert reader.kind_and_size(late) is None
    repo.add([("blob", b"late")])
    assert reader.read(late) == ("blob", b"late")


def test_a_repository_that_is_gone_is_corrupt(repo: BareRepo) -> None:
    shutil.rmtree(repo.path)
    with pytest.raises(Corrupt):
        FreshReader(GitPlace(repo.path)).read(hash_object("blob", b"content"))


def test_the_target_of_a_tag_is_on_its_first_line() -> None:
    assert tag_target(TAG) == hash_object("commit", COMMIT)
    for content in (b"", b"type commit\n", b"object abc\n", b"tag " + TAG, TAG[7:]):
        with pytest.raises(Corrupt):
            tag_target(content)
