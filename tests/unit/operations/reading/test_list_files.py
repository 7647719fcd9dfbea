"""Listing the files of a commit: whole, by folder, and page by page."""

from dataclasses import replace

import pytest

from packhouse.auth.principal import Principal
from packhouse.db.repos import RepoNotFound
from packhouse.errors import LimitExceeded
from packhouse.git.objects.codec import MODE_EXECUTABLE, MODE_FILE, MODE_GITLINK, MODE_SYMLINK
from packhouse.git.oid import Oid, hash_object
from packhouse.limits import Limits
from packhouse.node.node import Node
from packhouse.operations.reading.list_files import ListFiles, list_files
from packhouse.repository.history.last_commit import PathNotFound
from packhouse.repository.refs.resolve import RefNotFound
from tests.support.builders.node_writes import commit_files
from tests.unit.operations.reading.entries import SUBMODULE, commit_entries, make_ephemeral

pytestmark = pytest.mark.quick


def paths(node: Node, caller: Principal, command: ListFiles) -> list[bytes]:
    """Return the paths of a listing."""
    return [entry.path for entry in list_files(node, caller, command).entries]


def test_a_whole_listing_has_every_file_in_the_order_of_git(
    node: Node, caller: Principal, first: Oid
) -> None:
    listing = list_files(node, caller, ListFiles("r"))
    assert [entry.path for entry in listing.entries] == [b"a", b"docs/b", b"docs/deep/c"]
    assert (listing.ref, listing.commit, listing.has_more, listing.is_by_id) == ("main", first, False, False)


def test_folders_sort_as_if_their_names_ended_in_a_slash(node: Node, caller: Principal, repo: str) -> None:
    commit_files(node, caller, repo, "main", {"a.b": b"1", "a/x": b"2", "a0": b"3"})
    assert paths(node, caller, ListFiles("r")) == [b"a.b", b"a/x", b"a0"]
    assert paths(node, caller, ListFiles("r", recursive=False)) == [b"a.b", b"a", b"a0"]


def test_a_listing_of_one_level_shows_folders_and_does_not_enter_them(
    node: Node, caller: Principal, first: Oid
) -> None:
    listing = list_files(node, caller, ListFiles("r", path=b"docs", recursive=False))
    assert [(entry.path, entry.kind) for entry in listing.entries] == [
        (b"docs/b", "blob"),
        (b"docs/deep", "tree"),
    ]


def test_an_entry_has_its_kind_mode_and_object(node: Node, caller: Principal, repo: str) -> None:
    commit_entries(
        node,
        caller,
        {
            b"exe": (MODE_EXECUTABLE, b"run"),
            b"link": (MODE_SYMLINK, b"exe"),
            b"module": (MODE_GITLINK, b""),
            b"n\xe9": (MODE_FILE, b"bytes"),
        },
    )
    entries = list_files(node, caller, ListFiles("r")).entries
    assert [(entry.path, entry.mode, entry.kind, entry.oid) for entry in entries] == [
        (b"exe", 0o100755, "blob", hash_object("blob", b"run")),
        (b"link", 0o120000, "symlink", hash_object("blob", b"exe")),
        (b"module", 0o160000, "submodule", SUBMODULE),
        (b"n\xe9", 0o100644, "blob", hash_object("blob", b"bytes")),
    ]


def test_a_path_is_a_folder_or_one_file(node: Node, caller: Principal, first: Oid) -> None:
    assert paths(node, caller, ListFiles("r", path=b"docs")) == [b"docs/b", b"docs/deep/c"]
    assert paths(node, caller, ListFiles("r", path=b"docs/b")) == [b"docs/b"]
    assert paths(node, caller, ListFiles("r", path=b"docs/b", after=b"docs/b")) == []
    for path in (b"doc", b"docs/", b"a/b", b"absent"):
        with pytest.raises(PathNotFound) as refused:
            list_files(node, caller, ListFiles("r", path=path))
        assert refused.value.path == path.decode()


@pytest.mark.parametrize("recursive", [True, False])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_pages_are_the_whole_listing_cut_in_pieces(
    node: Node, caller: Principal, second: Oid, size: int, recursive: bool
) -> None:
    whole = paths(node, caller, ListFiles("r", recursive=recursive))
    seen: list[bytes] = []
    after, has_more = b"", True
    while has_more:
        page = list_files(node, caller, ListFiles("r", recursive=recursive, after=after, count_max=size))
        assert len(page.entries) == size or not page.has_more
        seen += [entry.path for entry in page.entries]
        assert len(seen) <= len(whole)
        after, has_more = seen[-1], page.has_more
    assert seen == whole


def test_an_exact_last_page_says_that_nothing_follows(node: Node, caller: Principal, first: Oid) -> None:
    assert not list_files(node, caller, ListFiles("r", count_max=3)).has_more
    assert list_files(node, caller, ListFiles("r", count_max=2)).has_more


def test_a_ref_names_the_commit_that_is_listed(
    node: Node, caller: Principal, first: Oid, second: Oid
) -> None:
    assert b"z" in paths(node, caller, ListFiles("r", "main"))
    assert b"z" not in paths(node, caller, ListFiles("r", "main~1"))
    by_id = list_files(node, caller, ListFiles("r", first))
    assert (by_id.commit, by_id.is_by_id) == (first, True)
    assert not list_files(node, caller, ListFiles("r", f"{second}~1")).is_by_id


def test_an_ephemeral_branch_is_listed_in_its_own_namespace_only(
    node: Node, caller: Principal, first: Oid
) -> None:
    make_ephemeral(node, caller, "try")
    assert list_files(node, caller, ListFiles("r", "try", ephemeral=True)).commit == first
    with pytest.raises(RefNotFound):
        list_files(node, caller, ListFiles("r", "try"))


def test_an_empty_repository_has_no_commit_to_list(node: Node, caller: Principal, repo: str) -> None:
    for ref in (None, "main", "HEAD", "1" * 40):
        with pytest.raises(RefNotFound):
            list_files(node, caller, ListFiles("r", ref))


def test_another_organisation_finds_no_such_repository(
    node: Node, caller: Principal, stranger: Principal, first: Oid
) -> None:
    for who, name in ((stranger, "r"), (caller, "other")):
        with pytest.raises(RepoNotFound) as refused:
            list_files(node, who, ListFiles(name))
        assert refused.value.repo == name


def test_a_walk_over_too_many_entries_is_refused_and_a_short_page_is_not(
    node: Node, caller: Principal, first: Oid
) -> None:
    few = replace(node, limits=Limits(tree_entries_max=4))
    assert paths(few, caller, ListFiles("r", count_max=1)) == [b"a"]
    with pytest.raises(LimitExceeded):
        list_files(few, caller, ListFiles("r"))
