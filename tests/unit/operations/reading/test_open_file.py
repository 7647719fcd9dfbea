"""Opening a file: its facts, and its bytes, whole or in part."""

import pytest

from packhouse import limits
from packhouse.auth.principal import Principal
from packhouse.db.repos import RepoNotFound
from packhouse.git.objects.codec import MODE_FILE, MODE_GITLINK, MODE_SYMLINK
from packhouse.git.oid import Oid, hash_object
from packhouse.node.node import Node
from packhouse.operations.reading.list_files import ListFiles, list_files
from packhouse.operations.reading.open_file import EmptyPath, NotAFolder, OpenedFile, OpenFile, open_file
from packhouse.repository.history.last_commit import PathNotFound
from packhouse.repository.refs.resolve import RefNotFound
from tests.support.builders.node_writes import ADA, commit_files
from tests.unit.operations.reading.entries import commit_entries, make_ephemeral, tag_object

pytestmark = pytest.mark.quick

IN_PIECES = bytes(range(256)) * (limits.object_in_process_max_bytes // 256) + b"and more"
"""A content that git reads, since it is too large for this process."""


def read(file: OpenedFile) -> bytes:
    """Return the whole content."""
    return b"".join(file.iter_bytes())


def test_a_file_has_its_blob_its_size_and_the_commit_that_touched_it_last(
    node: Node, caller: Principal, first: Oid, second: Oid
) -> None:
    untouched, changed = (open_file(node, caller, OpenFile("r", path)) for path in (b"a", b"docs/b"))
    assert (untouched.last_commit, changed.last_commit) == (first, second)
    assert (changed.blob, changed.size_bytes) == (hash_object("blob", b"two\nmore\n"), 9)
    assert (changed.path, changed.touched_at, changed.is_by_id) == (b"docs/b", ADA.when, False)
    assert (read(untouched), read(changed)) == (b"one\n", b"two\nmore\n")


def test_a_file_is_read_as_it_was_at_its_ref(node: Node, caller: Principal, first: Oid, second: Oid) -> None:
    file = open_file(node, caller, OpenFile("r", b"docs/b", first))
    commit_files(node, caller, "r", "main", {"docs/b": None})
    assert (read(file), file.is_by_id) == (b"two\n", True)
    with pytest.raises(PathNotFound):
        open_file(node, caller, OpenFile("r", b"docs/b"))


@pytest.mark.parametrize(
    "content",
    [b"", b"0123456789", b"x" * (limits.file_read_at_once_max_bytes + 1), IN_PIECES],
    ids=["empty", "small", "read later", "read by git"],
)
def test_a_file_of_any_size_is_read_in_whole_and_in_part(
    node: Node, caller: Principal, repo: str, content: bytes
) -> None:
    commit_files(node, caller, repo, "main", {"f": content})
    file = open_file(node, caller, OpenFile("r", b"f"))
    size = len(content)
    assert (file.size_bytes, read(file) == content) == (size, True)
    for first, end in ((0, min(3, size)), (min(2, size), min(7, size)), (max(size - 4, 0), size)):
        assert b"".join(file.iter_bytes(first=first, end=end)) == content[first:end]
    assert b"".join(file.iter_bytes(first=size // 2)) == content[size // 2 :]


def test_only_a_small_content_is_read_with_the_facts(node: Node, caller: Principal, repo: str) -> None:
    small, large = (b"x" * (limits.file_read_at_once_max_bytes + more) for more in (0, 1))
    commit_files(node, caller, repo, "main", {"small": small, "large": large})
    assert open_file(node, caller, OpenFile("r", b"small")).content == small
    assert open_file(node, caller, OpenFile("r", b"large")).content is None


def test_reading_of_a_large_file_may_end_early(node: Node, caller: Principal, repo: str) -> None:
    commit_files(node, caller, repo, "main", {"f": IN_PIECES})
    pieces = open_file(node, caller, OpenFile("r", b"f")).iter_bytes()
    assert IN_PIECES.startswith(next(pieces))
    pieces.close()
    assert list(pieces) == []


def test_the_content_of_a_symlink_is_its_target(node: Node, caller: Principal, repo: str) -> None:
    commit_entries(node, caller, {b"link": (MODE_SYMLINK, b"../elsewhere")})
    assert read(open_file(node, caller, OpenFile("r", b"link"))) == b"../elsewhere"


def test_a_name_that_is_not_text_is_found_by_its_bytes(node: Node, caller: Principal, repo: str) -> None:
    commit_entries(node, caller, {b"caf\xe9": (MODE_FILE, b"bytes\n")})
    assert read(open_file(node, caller, OpenFile("r", b"caf\xe9"))) == b"bytes\n"
    with pytest.raises(PathNotFound) as refused:
        open_file(node, caller, OpenFile("r", b"caf\xe8"))
    assert refused.value.path == "caf\N{REPLACEMENT CHARACTER}"


def test_folders_submodules_and_absent_paths_cannot_be_opened_as_files(
    node: Node, caller: Principal, first: Oid
) -> None:
    commit_entries(node, caller, {b"module": (MODE_GITLINK, b"")})
    for path in (b"docs", b"module", b"absent", b"a/b", b"docs/b/"):
        with pytest.raises(PathNotFound):
            open_file(node, caller, OpenFile("r", path))


def test_the_empty_path_of_a_commit_cannot_be_opened(node: Node, caller: Principal, first: Oid) -> None:
    for ref in ("main", None, "nowhere"):
        with pytest.raises(EmptyPath):
            open_file(node, caller, OpenFile("r", b"", ref))


@pytest.mark.parametrize("annotated", [True, False])
def test_a_tag_of_a_file_is_that_file(node: Node, caller: Principal, first: Oid, annotated: bool) -> None:
    blob = hash_object("blob", b"one\n")
    tag_object(node, caller, "kept", "blob", blob, annotated=annotated)
    file = open_file(node, caller, OpenFile("r", b"", "kept"))
    assert (file.blob, read(file), file.last_commit) == (blob, b"one\n", None)
    assert file.touched_at == (ADA.when if annotated else None)
    with pytest.raises(NotAFolder) as refused:
        open_file(node, caller, OpenFile("r", b"a", "kept"))
    assert (refused.value.ref, refused.value.path) == ("kept", b"a")


def test_a_tag_of_a_folder_has_the_files_below_it(node: Node, caller: Principal, first: Oid) -> None:
    (docs,) = (
        entry.oid
        for entry in list_files(node, caller, ListFiles("r", recursive=False)).entries
        if entry.path == b"docs"
    )
    tag_object(node, caller, "kept", "tree", docs, annotated=True)
    file = open_file(node, caller, OpenFile("r", b"deep/c", "kept"))
    assert (read(file), file.last_commit, file.touched_at) == (b"three\n", None, ADA.when)
    for path, error in ((b"", EmptyPath), (b"docs/b", PathNotFound)):
        with pytest.raises(error):
            open_file(node, caller, OpenFile("r", path, "kept"))


def test_an_ephemeral_branch_is_read_in_its_own_namespace_only(
    node: Node, caller: Principal, first: Oid
) -> None:
    make_ephemeral(node, caller, "try")
    assert read(open_file(node, caller, OpenFile("r", b"a", "try", ephemeral=True))) == b"one\n"
    with pytest.raises(RefNotFound):
        open_file(node, caller, OpenFile("r", b"a", "try"))


def test_an_empty_repository_and_a_stranger_get_no_file(
    node: Node, caller: Principal, stranger: Principal, repo: str
) -> None:
    with pytest.raises(RefNotFound):
        open_file(node, caller, OpenFile("r", b"a"))
    for who, name in ((stranger, "r"), (caller, "other")):
        with pytest.raises(RepoNotFound):
            open_file(node, who, OpenFile(name, b"a"))
