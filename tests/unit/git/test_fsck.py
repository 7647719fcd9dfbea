"""Files that git would refuse in a tree are refused before there is a tree."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packhouse import limits
from packhouse.errors import Invalid
from packhouse.git.fsck import check_attributes, check_upsert, is_attributes_path, needs_git_fsck
from packhouse.git.objects import TreeEntry, encode_tree
from packhouse.git.oid import ZERO_OID, Oid, hash_object
from tests.support.git import Git
from tests.support.packs import BareRepo

pytestmark = pytest.mark.quick

BLOB = hash_object("blob", b"")
COMMIT = Oid("c" * 40)


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> BareRepo:
    git = Git(tmp_path_factory.mktemp("home"))
    return BareRepo(git, tmp_path_factory.mktemp("bare"))


def git_refuses(repo: BareRepo, path: bytes, mode: int, oid: Oid) -> bool:
    """Tell what `git fsck --strict` thinks of this one file in its folders."""
    *folders, name = path.split(b"/")
    content = encode_tree([TreeEntry(mode, name, oid)])
    objects = [("blob", b""), ("tree", content)]
    for folder in reversed(folders):
        content = encode_tree([TreeEntry(0o040000, folder, hash_object("tree", content))])
        objects.append(("tree", content))
    repo.clear()
    repo.add(objects)
    return bool(repo.refused_by_fsck())


@pytest.mark.parametrize(
    ("path", "mode", "oid"),
    [
        (b"sub", 0o160000, ZERO_OID),
        (b".gitmodules", 0o120000, None),
        (b"a/.GITMODULES ", 0o120000, None),
        (b"x\\.gitmodules", 0o120000, None),
        (b".gitmodules", 0o160000, COMMIT),
        (b".gitattributes", 0o160000, COMMIT),
        (b".gitmodules/a", 0o100644, None),
        (b"a/.gitattributes/b/c", 0o100644, None),
    ],
)
def test_an_upsert_that_git_would_never_accept_is_refused(
    repo: BareRepo, path: bytes, mode: int, oid: Oid | None
) -> None:
    assert git_refuses(repo, path, mode, oid or BLOB)
    with pytest.raises(Invalid):
        check_upsert(path, mode, oid)


@pytest.mark.parametrize(
    ("path", "mode", "oid"),
    [
        (b"sub", 0o160000, COMMIT),
        (b".gitmodules", 0o100644, None),
        (b".gitattributes", 0o120000, None),
        (b".gitignore", 0o120000, None),
        (b"a/gitmodules/b", 0o100644, None),
    ],
)
def test_an_upsert_that_git_accepts_passes(repo: BareRepo, path: bytes, mode: int, oid: Oid | None) -> None:
    assert not git_refuses(repo, path, mode, oid or BLOB)
    check_upsert(path, mode, oid)


def test_only_the_content_of_gitmodules_needs_git() -> None:
    assert needs_git_fsck([(b"a", 0o100644), (b"x/.GITMODULES", 0o100755)])
    assert needs_git_fsck([(b"gitmod~1", 0o100644)])
    assert not needs_git_fsck([(b"a", 0o100644), (b".gitattributes", 0o100644), (b".gitmodules/a", 0o100644)])


def test_attributes_are_known_by_every_spelling_and_not_as_symlinks() -> None:
    assert is_attributes_path(b"a/.gitattributes", 0o100644)
    assert is_attributes_path(b"GITATT~1", 0o100755)
    assert not is_attributes_path(b".gitattributes", 0o120000)
    assert not is_attributes_path(b".gitattributes/a", 0o100644)


lines = st.sampled_from([b"", b"a", b"x" * 2046, b"x" * 2047, b"x" * 2048, b"\0", b"y\0" + b"x" * 3000])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(lines, max_size=4).map(b"\n".join), min_size=1, max_size=20), st.data())
def test_git_refuses_the_same_attributes(repo: BareRepo, contents: list[bytes], data: st.DataObject) -> None:
    oids = {hash_object("blob", content): content for content in contents}
    repo.clear()
    repo.add(
        [
            *(("blob", content) for content in oids.values()),
            *(("tree", encode_tree([TreeEntry(0o100644, b".gitattributes", oid)])) for oid in oids),
        ]
    )
    refused = set()
    for oid, content in oids.items():
        cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=3)))
        edges = [0, *cuts, len(content)]
        try:
            check_attributes(content[start:end] for start, end in pairwise(edges))
        except Invalid:
            refused.add(oid)
    assert refused == repo.refused_by_fsck()


def test_attributes_that_git_would_not_read_are_refused() -> None:
    with pytest.raises(Invalid):
        check_attributes(b"#\n" * (limits.MIB // 2) for _ in range(101))
