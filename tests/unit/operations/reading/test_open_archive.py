"""Archives: their files, the names in them, and the checks before the first byte."""

import io
import tarfile
import zipfile
from dataclasses import replace

import pytest

from packhouse.auth.principal import Principal
from packhouse.db.repos import RepoNotFound
from packhouse.errors import LimitExceeded
from packhouse.formats.archives import FORMATS
from packhouse.formats.globs import PathFilter, compile_globs
from packhouse.git.objects.codec import MODE_EXECUTABLE, MODE_FILE, MODE_GITLINK, MODE_SYMLINK
from packhouse.git.oid import Oid
from packhouse.limits import Limits
from packhouse.node.node import Node
from packhouse.operations.reading.open_archive import OpenArchive, open_archive
from packhouse.repository.history.last_commit import PathNotFound
from packhouse.repository.refs.resolve import RefNotFound
from tests.support.builders.node_writes import ADA, commit_files
from tests.unit.operations.reading.entries import commit_entries

pytestmark = pytest.mark.quick


def unpack(node: Node, caller: Principal, command: OpenArchive) -> dict[str, bytes | None]:
    """Return the content of each member of a tar; None for a member that is not a file."""
    data = b"".join(open_archive(node, caller, command).pieces)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = ((member, tar.extractfile(member) if member.isfile() else None) for member in tar)
        return {member.name: None if file is None else file.read() for member, file in members}


def test_an_archive_has_every_file_of_the_tree(node: Node, caller: Principal, first: Oid) -> None:
    archive = open_archive(node, caller, OpenArchive("r"))
    assert (archive.ref, archive.commit, archive.committed_at) == ("main", first, ADA.when)
    assert unpack(node, caller, OpenArchive("r")) == {
        "a": b"one\n",
        "docs/b": b"two\n",
        "docs/deep/c": b"three\n",
    }


def test_a_ref_names_the_commit_that_is_packed(
    node: Node, caller: Principal, first: Oid, second: Oid
) -> None:
    assert unpack(node, caller, OpenArchive("r"))["docs/b"] == b"two\nmore\n"
    for ref in (first, "main~1"):
        assert unpack(node, caller, OpenArchive("r", ref))["docs/b"] == b"two\n"


@pytest.mark.parametrize("form", FORMATS)
def test_each_format_can_be_unpacked(node: Node, caller: Principal, first: Oid, form: str) -> None:
    command = OpenArchive("r", format=form, prefix=b"top/")
    names = ["top/a", "top/docs/b", "top/docs/deep/c"]
    if form == "zip":
        data = b"".join(open_archive(node, caller, command).pieces)
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            assert archive.namelist() == names
            assert archive.read("top/docs/deep/c") == b"three\n"
    else:
        assert list(unpack(node, caller, command)) == names


def test_a_path_leaves_the_rest_out_and_keeps_its_full_name(
    node: Node, caller: Principal, first: Oid
) -> None:
    assert list(unpack(node, caller, OpenArchive("r", path=b"docs/deep"))) == ["docs/deep/c"]
    assert list(unpack(node, caller, OpenArchive("r", path=b"docs/b"))) == ["docs/b"]
    with pytest.raises(PathNotFound):
        open_archive(node, caller, OpenArchive("r", path=b"absent"))


def test_globs_and_a_size_leave_files_out(node: Node, caller: Principal, first: Oid) -> None:
    files = PathFilter(include=compile_globs(["docs/**"]), exclude=compile_globs(["**/c"]))
    assert list(unpack(node, caller, OpenArchive("r", files=files))) == ["docs/b"]
    assert list(unpack(node, caller, OpenArchive("r", blob_max_bytes=4))) == ["a", "docs/b"]
    assert unpack(node, caller, OpenArchive("r", blob_max_bytes=3)) == {}


def test_links_programs_and_submodules_keep_their_kinds(node: Node, caller: Principal, repo: str) -> None:
    entries = {
        b"exe": (MODE_EXECUTABLE, b"run"),
        b"link": (MODE_SYMLINK, b"exe"),
        b"module": (MODE_GITLINK, b""),
        b"plain": (MODE_FILE, b"x"),
    }
    commit_entries(node, caller, entries)
    data = b"".join(open_archive(node, caller, OpenArchive("r", format="tar")).pieces)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        exe, link, module, plain = tar
    assert (exe.mode & 0o111 != 0, plain.mode & 0o111 != 0) == (True, False)
    assert (link.issym(), link.linkname, module.isdir()) == (True, "exe", True)
    assert {member.mtime for member in (exe, link, module, plain)} == {ADA.when}


def test_an_archive_holds_the_tree_as_it_was_when_it_was_opened(
    node: Node, caller: Principal, first: Oid
) -> None:
    archive = open_archive(node, caller, OpenArchive("r", format="tar"))
    commit_files(node, caller, "r", "main", {"a": b"changed\n"})
    assert b"one\n" in b"".join(archive.pieces)


def test_an_archive_may_be_closed_before_its_end(node: Node, caller: Principal, repo: str) -> None:
    commit_files(node, caller, repo, "main", {f"{number}": b"%d" % number * 600_000 for number in range(4)})
    archive = open_archive(node, caller, OpenArchive("r", format="tar"))
    assert len(next(archive.pieces)) < 4 * 600_000
    archive.pieces.close()
    assert list(archive.pieces) == []


def test_an_archive_that_cannot_be_made_is_refused_before_the_first_byte(
    node: Node, caller: Principal, stranger: Principal, first: Oid
) -> None:
    for who, command, error in (
        (stranger, OpenArchive("r"), RepoNotFound),
        (caller, OpenArchive("other"), RepoNotFound),
        (caller, OpenArchive("r", "nowhere"), RefNotFound),
    ):
        with pytest.raises(error):
            open_archive(node, who, command)
    with pytest.raises(LimitExceeded):
        open_archive(replace(node, limits=Limits(tree_entries_max=2)), caller, OpenArchive("r"))


def test_an_empty_repository_has_no_tree_to_pack(node: Node, caller: Principal, repo: str) -> None:
    with pytest.raises(RefNotFound):
        open_archive(node, caller, OpenArchive("r"))
