"""Files with their sizes and last commits: whole, by folder, page by page, and without a look at history."""

from dataclasses import replace

import pytest

from packhouse.auth.principal import Principal
from packhouse.db.repos import RepoNotFound
from packhouse.git.objects.codec import MODE_FILE, MODE_GITLINK, MODE_SYMLINK
from packhouse.git.oid import Oid
from packhouse.limits import Limits
from packhouse.node.node import Node
from packhouse.operations.reading.list_file_metadata import (
    FileMetadataPage,
    LastCommitsUnknown,
    ListFileMetadata,
    MessagesTooLong,
    list_file_metadata,
)
from packhouse.repository.history.last_commit import PathNotFound
from packhouse.repository.refs.resolve import RefNotFound
from tests.support.builders.node_writes import ADA, commit_files
from tests.unit.operations.reading.entries import commit_entries, make_ephemeral

pytestmark = pytest.mark.quick


def rows(page: FileMetadataPage) -> list[tuple[bytes, int, Oid]]:
    """Return path, size and last commit of each file."""
    return [
        (path, file.size_bytes, file.last_commit) for path, file in zip(page.paths, page.files, strict=True)
    ]


def test_each_file_names_the_commit_that_touched_it_last(
    node: Node, caller: Principal, first: Oid, second: Oid
) -> None:
    page = list_file_metadata(node, caller, ListFileMetadata("r"))
    assert rows(page) == [
        (b"a", 4, first),
        (b"docs/b", 9, second),
        (b"docs/deep/c", 6, first),
        (b"z", 5, second),
    ]
    assert page.commits.keys() == {first, second}
    assert (page.commits[first].author, page.commits[first].authored_at) == (ADA.name, ADA.when)
    assert (page.ref, page.last_path, page.is_by_id) == ("main", None, False)


def test_a_listing_of_an_older_commit_knows_nothing_of_later_ones(
    node: Node, caller: Principal, first: Oid, second: Oid
) -> None:
    page = list_file_metadata(node, caller, ListFileMetadata("r", first))
    assert (set(page.commits), page.is_by_id) == ({first}, True)
    assert page.paths == [b"a", b"docs/b", b"docs/deep/c"]


def test_a_file_has_its_mode_and_kind_and_a_submodule_has_no_size(
    node: Node, caller: Principal, repo: str
) -> None:
    commit_entries(
        node,
        caller,
        {b"link": (MODE_SYMLINK, b"n"), b"module": (MODE_GITLINK, b""), b"n\xe9": (MODE_FILE, b"bytes")},
    )
    page = list_file_metadata(node, caller, ListFileMetadata("r"))
    assert [(file.path, file.mode, file.kind, file.size_bytes) for file in page.files] == [
        ("link", "120000", "symlink", 1),
        ("module", "160000", "submodule", 0),
        ("n\N{REPLACEMENT CHARACTER}", "100644", "blob", 5),
    ]
    assert page.paths[2] == b"n\xe9"


def test_a_path_is_a_folder_or_one_file(node: Node, caller: Principal, second: Oid) -> None:
    commit_files(node, caller, "r", "main", {"docs.txt": b"", "docs0": b""})
    for path, expected in (
        (b"docs", [b"docs/b", b"docs/deep/c"]),
        (b"docs/deep", [b"docs/deep/c"]),
        (b"docs/b", [b"docs/b"]),
    ):
        page = list_file_metadata(node, caller, ListFileMetadata("r", path=path))
        assert (page.paths, page.last_path) == (expected, None)
    with pytest.raises(PathNotFound):
        list_file_metadata(node, caller, ListFileMetadata("r", path=b"absent"))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_pages_are_the_whole_listing_cut_in_pieces(
    node: Node, caller: Principal, second: Oid, size: int
) -> None:
    whole = rows(list_file_metadata(node, caller, ListFileMetadata("r")))
    seen: list[tuple[bytes, int, Oid]] = []
    after: bytes | None = b""
    while after is not None:
        page = list_file_metadata(node, caller, ListFileMetadata("r", after=after, count_max=size))
        assert page.commits.keys() == {file.last_commit for file in page.files}
        seen += rows(page)
        assert len(seen) <= len(whole)
        after = page.last_path
        assert after in (None, seen[-1][0])
    assert seen == whole


def test_a_page_of_a_folder_goes_on_inside_it(node: Node, caller: Principal, second: Oid) -> None:
    page = list_file_metadata(node, caller, ListFileMetadata("r", path=b"docs", count_max=1))
    assert (page.paths, page.last_path) == ([b"docs/b"], b"docs/b")
    rest = list_file_metadata(node, caller, ListFileMetadata("r", path=b"docs", after=b"docs/b", count_max=1))
    assert (rest.paths, rest.last_path) == ([b"docs/deep/c"], None)


def test_without_may_compute_history_is_not_walked(node: Node, caller: Principal, second: Oid) -> None:
    quick = ListFileMetadata("r", may_compute=False)
    with pytest.raises(LastCommitsUnknown):
        list_file_metadata(node, caller, quick)
    walked = list_file_metadata(node, caller, replace(quick, may_compute=True))
    assert rows(list_file_metadata(node, caller, quick)) == rows(walked)


def test_a_path_that_is_absent_needs_no_walk(node: Node, caller: Principal, second: Oid) -> None:
    with pytest.raises(PathNotFound):
        list_file_metadata(node, caller, ListFileMetadata("r", path=b"absent", may_compute=False))


def test_large_commits_end_a_page_early_and_refuse_a_whole_listing(
    node: Node, caller: Principal, first: Oid, second: Oid
) -> None:
    few = replace(node, limits=Limits(commits_page_max_bytes=1, commits_listing_max_bytes=1))
    page = list_file_metadata(few, caller, ListFileMetadata("r", count_max=10))
    assert (page.paths, set(page.commits), page.last_path) == ([b"a"], {first}, b"a")
    fresh = replace(node, limits=few.limits)
    with pytest.raises(MessagesTooLong) as refused:
        list_file_metadata(fresh, caller, ListFileMetadata("r"))
    assert refused.value.max_bytes == 1


def test_an_ephemeral_branch_is_listed_in_its_own_namespace_only(
    node: Node, caller: Principal, first: Oid
) -> None:
    make_ephemeral(node, caller, "try")
    page = list_file_metadata(node, caller, ListFileMetadata("r", "try", ephemeral=True))
    assert (page.ref, set(page.commits)) == ("try", {first})
    with pytest.raises(RefNotFound):
        list_file_metadata(node, caller, ListFileMetadata("r", "try"))


def test_an_empty_repository_and_a_stranger_get_no_listing(
    node: Node, caller: Principal, stranger: Principal, repo: str
) -> None:
    with pytest.raises(RefNotFound):
        list_file_metadata(node, caller, ListFileMetadata("r"))
    for who, name in ((stranger, "r"), (caller, "other")):
        with pytest.raises(RepoNotFound):
            list_file_metadata(node, who, ListFileMetadata(name))
