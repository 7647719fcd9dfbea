"""Files that git would refuse in a tree are refused before there is a tree."""

import pytest

from packhouse.errors import Invalid
from packhouse.git.objects.codec import TreeEntry, encode_tree
from packhouse.git.objects.fsck import check_upsert, needs_git_fsck
from packhouse.git.oid import ZERO_OID, Oid, hash_object
from tests.support.builders.packs import BareRepo
from tests.support.clients.git import Git

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


@pytest.mark.parametrize(
    ("path", "content"),
    [
        (b".gitmodules", b'[submodule "../x"]\n\tpath = x\n\turl = https://host.example/x\n'),
        (b"a/.GITMODULES", b'[submodule "x"]\n\tpath = x\n\turl = -u./x\n'),
        (b"gitmod~1", b'[submodule "x"]\n\tpath = -x\n\turl = https://host.example/x\n'),
        (b".gitattributes", b"x" * 2048),
        (b"GITATT~1", b"a text\n" + b"x" * 3000),
    ],
)
def test_a_file_whose_content_git_may_refuse_is_left_to_git(
    repo: BareRepo, path: bytes, content: bytes
) -> None:
    name = path.rpartition(b"/")[2]
    repo.clear()
    repo.add(
        [("blob", content), ("tree", encode_tree([TreeEntry(0o100644, name, hash_object("blob", content))]))]
    )
    assert repo.refused_by_fsck()
    assert needs_git_fsck([(b"a", 0o100644), (path, 0o100644)])
    assert needs_git_fsck([(path, 0o100755)])


def test_other_files_need_no_git() -> None:
    files = [
        (b"a", 0o100644),
        (b"gitattributes", 0o100644),
        (b".gitattributes", 0o120000),
        (b"sub", 0o160000),
    ]
    assert not needs_git_fsck(files)
