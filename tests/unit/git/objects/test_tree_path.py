"""Paths into trees: everything that some file system takes for `.git` is refused, nothing else is."""

import itertools
import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packhouse.errors import Invalid
from packhouse.git.objects.codec import TreeEntry, encode_tree
from packhouse.git.objects.tree_path import (
    TreePath,
    check_path_prefix,
    check_tree_path,
    is_dotgit_name,
    is_gitattributes_name,
    is_gitmodules_name,
    is_plain_path,
)
from packhouse.git.oid import Oid, hash_object
from tests.support.builders.packs import BareRepo
from tests.support.clients.git import Git

pytestmark = pytest.mark.quick

BLOB = hash_object("blob", b"")

SPELLINGS_OF_DOTGIT = [
    ".git",
    ".GIT",
    ".gIt",
    "git~1",
    "GIT~1",
    ".git.",
    ".git ",
    ".git. . ",
    "git~1.",
    ".git::$INDEX_ALLOCATION",
    ".git:stream",
    "git~1::$INDEX_ALLOCATION",
    ".git \\x",
    ".git\\x",
    "a\\.git",
    "a\\git~1",
    "a\\b\\.GIT ",
    "\\.git",
    ".g\u200cit",
    "\u200e.git",
    ".git\u200f",
    ".\ufeffgit",
    "\u202a.\u202bg\u202ci\u202dt\u202e",
    "\u206a.G\u206bi\u206cT\u206d\u206e\u206f",
    ".git\uffff",
]
NAMES_LIKE_DOTGIT = [
    "git",
    ".gi",
    ".gitt",
    ".git~1",
    "git~2",
    "git~11",
    "..git",
    "x.git",
    ".git-",
    ".gitignore",
    ".github",
    ".gít",
    ".g\u200bit",
    ".ġit",
    "git.",
    " .git",
    "a\\b",
    "a b",
    "\\",
    "...",
    ".git\x01",
    "a:b",
    "~",
]

tricky_names = st.lists(
    st.sampled_from(
        [
            *(".", "g", "i", "t", "G", "I", "T", "~", "1", "2", "7", "9", "0", " ", ":", "\\", "x"),
            *("modules", "MODULES", "attributes", "gitmod", "gitatt", "gi7eba", "gi7d29", "e", "b", "a", "d"),
            *("\u200c", "\u206f", "\ufeff", "\u202e", "\u200b", "\uffff", "é", "😀"),
            *(".git", "git~1", ".gitmodules", ".gitattributes", "::$INDEX_ALLOCATION"),
        ]
    ),
    min_size=1,
    max_size=9,
).map("".join)


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> BareRepo:
    git = Git(tmp_path_factory.mktemp("home"))
    return BareRepo(git, tmp_path_factory.mktemp("bare"))


@pytest.mark.parametrize("name", SPELLINGS_OF_DOTGIT)
def test_a_spelling_of_dotgit_is_refused_anywhere_in_a_path(name: str) -> None:
    for path in (name, f"{name}/config", f"a/{name}/config", f"a/{name}"):
        with pytest.raises(Invalid):
            check_tree_path(path)


@pytest.mark.parametrize("name", NAMES_LIKE_DOTGIT)
def test_a_name_that_only_looks_like_dotgit_is_fine(name: str) -> None:
    assert check_tree_path(f"a/{name}/b") == f"a/{name}/b".encode()


def refused_names(repo: BareRepo, names: list[bytes], *, mode: int = 0o100644) -> set[bytes]:
    """Return those names with which `git fsck --strict` refuses a tree of one entry."""
    trees = {hash_object("tree", encode_tree([TreeEntry(mode, name, BLOB)])): name for name in names}
    repo.clear()
    repo.add(
        [("blob", b""), *(("tree", encode_tree([TreeEntry(mode, name, BLOB)])) for name in trees.values())]
    )
    return {trees[Oid(oid)] for oid in repo.refused_by_fsck()}


def test_the_listed_spellings_are_those_that_git_refuses(repo: BareRepo) -> None:
    names = [name.encode() for name in SPELLINGS_OF_DOTGIT + NAMES_LIKE_DOTGIT]
    assert refused_names(repo, names) == {name.encode() for name in SPELLINGS_OF_DOTGIT}


@settings(max_examples=40, deadline=None)
@given(names=st.lists(tricky_names.map(str.encode) | st.binary(min_size=1, max_size=9), max_size=200))
def test_git_refuses_the_same_names(repo: BareRepo, names: list[bytes]) -> None:
    names = [name for name in names if not {0, ord("/")} & set(name) and name not in {b".", b".."}]
    assert refused_names(repo, names) == {name for name in names if is_dotgit_name(name)}


@settings(max_examples=40, deadline=None)
@given(names=st.lists(tricky_names.map(str.encode), max_size=200))
def test_git_refuses_the_same_names_as_symlinked_gitmodules(repo: BareRepo, names: list[bytes]) -> None:
    names = [name for name in names if name not in {b".", b".."} and not is_dotgit_name(name)]
    refused = refused_names(repo, names, mode=0o120000)
    assert refused == {name for name in names if is_gitmodules_name(name)}


@settings(max_examples=30, deadline=None)
@given(names=st.lists(tricky_names.map(str.encode), max_size=60))
def test_git_reads_the_same_names_as_attributes(repo: BareRepo, names: list[bytes]) -> None:
    # A line that is too long makes a blob an error, but only where a tree calls it `.gitattributes`.
    names = [
        name for name in {*names, b".gitattributes"} if name not in {b".", b".."} and not is_dotgit_name(name)
    ]
    blobs = {name: b"x" * 3000 + name for name in names}
    oids = {hash_object("blob", content): name for name, content in blobs.items()}
    repo.clear()
    repo.add(
        itertools.chain(
            (("blob", content) for content in blobs.values()),
            (("tree", encode_tree([TreeEntry(0o100644, name, oid)])) for oid, name in oids.items()),
        )
    )
    refused = {oids[Oid(oid)] for oid in repo.refused_by_fsck()}
    assert refused == {name for name in names if is_gitattributes_name(name)}


@pytest.mark.parametrize(
    "name",
    [
        ".gitmodules",
        ".GITMODULES ",
        "gitmod~1",
        "GITMOD~4",
        "gi7eba~1",
        "gi7e~123",
        "~1234567",
        ".gitmodules::$DATA",
    ],
)
def test_short_names_of_gitmodules_are_known(name: str) -> None:
    assert is_gitmodules_name(name.encode())


@pytest.mark.parametrize("name", ["gitmodules", "gitmod~5", "gi7eba~0", "gi7d29~1", ".gitmodule", "gi7e~12"])
def test_names_that_only_look_like_gitmodules_are_not_taken_for_it(name: str) -> None:
    assert not is_gitmodules_name(name.encode())


@pytest.mark.parametrize(
    "path",
    ["", "/", "//", ".", "..", "a/../b", "a/./b", "a//b", "a/", "./a", "a/..", "a\0b", "a" * 4097, "\ud800"],
)
def test_a_path_that_a_checkout_must_not_write_is_refused(path: str) -> None:
    with pytest.raises(Invalid):
        check_tree_path(path)


@pytest.mark.parametrize(
    "path",
    [
        b"",
        b"/",
        b"/a",
        b"..",
        b"a/../b",
        b"a//b",
        b"a/",
        b"a\0b",
        b"a" * 4097,
        b".git/x",
        b"a/GIT~1",
        b"a\\.git",
    ],
)
def test_a_tree_path_cannot_be_made_from_a_path_that_no_tree_may_contain(path: bytes) -> None:
    with pytest.raises(Invalid):
        TreePath(path)
    with pytest.raises(Invalid):
        TreePath.fromhex(path.hex())


def test_a_tree_path_is_the_bytes_it_was_parsed_from() -> None:
    for path in (b"a/b", b".gitignore", b"a b\\c/\xff", b"a" * 4096):
        parsed = TreePath(path)
        assert parsed == path
        assert hash(parsed) == hash(path)
        assert type(check_tree_path(path)) is TreePath
        assert TreePath(parsed) is parsed
        assert type(pickle.loads(pickle.dumps(parsed))) is TreePath


@given(st.text(max_size=20) | tricky_names)
def test_no_name_of_a_plain_path_means_anything_to_git(text: str) -> None:
    if is_plain_path(text.encode("utf-8", "surrogatepass")):
        path = TreePath(text.encode())
        for name in path.split(b"/"):
            assert not is_dotgit_name(name)
            assert not is_gitmodules_name(name)
            assert not is_gitattributes_name(name)


def test_leading_slashes_are_removed_before_the_length_is_checked() -> None:
    assert check_tree_path("///a/b") == b"a/b"
    assert check_tree_path("/" + "a" * 4096) == b"a" * 4096


def test_only_a_delete_may_end_in_a_slash_and_only_in_one() -> None:
    assert check_tree_path("old/", deletes=True) == b"old"
    for path in ("old//", "/", ""):
        with pytest.raises(Invalid):
            check_tree_path(path, deletes=True)


@given(st.text(max_size=20) | tricky_names)
def test_a_checked_path_passes_the_check_again_unchanged(text: str) -> None:
    try:
        path = check_tree_path(text)
    except Invalid:
        return
    assert check_tree_path(path) == path


@settings(max_examples=60, deadline=None)
@given(paths=st.lists(st.lists(tricky_names | st.text(max_size=3), max_size=4).map("/".join), max_size=30))
def test_git_update_index_takes_every_checked_path(
    tmp_path_factory: pytest.TempPathFactory, repo: BareRepo, paths: list[str]
) -> None:
    lines = b""
    for path in paths:
        try:
            lines += b"100644 %s\t%s\0" % (BLOB.encode(), check_tree_path(path))
        except Invalid:
            continue
    index: Path = tmp_path_factory.getbasetemp() / "index"
    done = repo.git.try_run(
        *("-c", "core.protectHFS=true", "-c", "core.protectNTFS=true"),
        *("update-index", "-z", "--replace", "--index-info"),
        cwd=repo.path,
        stdin=lines,
        env={"GIT_INDEX_FILE": str(index)},
    )
    index.unlink(missing_ok=True)
    assert done.returncode == 0, done.stderr


def test_a_prefix_may_end_within_a_name() -> None:
    for prefix in ("src", "src/", "src/ca", ".git", "src/.git", "a b ", "src/..x", "*", ":(top)", "größ"):
        assert check_path_prefix(prefix) == prefix.encode()
    assert check_path_prefix("//src/") == b"src/"
    assert check_path_prefix(b"src/\xff") == b"src/\xff"


@pytest.mark.parametrize(
    "prefix",
    [".", "..", "../x", "a/..", "a/./b", "a//b", "a//", ".git/", ".GIT/config", "a\0", "x" * 5000, "\ud800"],
)
def test_text_that_no_path_begins_with_is_refused_as_a_prefix(prefix: str) -> None:
    with pytest.raises(Invalid):
        check_path_prefix(prefix)
