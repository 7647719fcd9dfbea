"""Tags: created once, listed by name, and deleted. An annotated tag shows the commit that it leads to."""

import pytest

from packhouse.auth.policy import PolicyDenied
from packhouse.auth.principal import Principal
from packhouse.cursors import BadCursor
from packhouse.db.ref_transaction import RefNameConflict, RefUpdate
from packhouse.db.repos import RepoNotFound
from packhouse.errors import Invalid
from packhouse.git.objects.codec import encode_tag
from packhouse.git.oid import Oid
from packhouse.git.refname import PERSISTENT, NewNameRefused, RefName, branch_refname, tag_refname
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.refs.create_branch import CreateBranch, create_branch
from packhouse.operations.refs.create_tag import CreateTag, TagExists, create_tag
from packhouse.operations.refs.delete_tag import DeleteTag, delete_tag
from packhouse.operations.refs.list_tags import ListTags, list_tags
from packhouse.operations.refs.read_ref_log import ReadRefLog, read_ref_log
from packhouse.operations.refs.read_tag import ReadTag, read_tag
from packhouse.operations.refs.tags import Tag, TagNotFound
from packhouse.repository.refs.resolve import RefNotFound
from packhouse.repository.view import RepoView
from packhouse.repository.write import Write
from tests.support.builders.callers import with_policy
from tests.support.builders.node_writes import ADA, commit_files, move_refs

pytestmark = pytest.mark.quick

V1 = tag_refname("v1")


@pytest.fixture
def first(node: Node, caller: Principal, repo: str) -> Oid:
    """The first commit, on main."""
    return commit_files(node, caller, repo, "main", {"a": b"1\n"}).commit


def names(node: Node, caller: Principal) -> list[str]:
    """Return all tags in the order of the listing."""
    return [tag.name for tag in list_tags(node, caller, ListTags("r")).tags]


def annotate(node: Node, caller: Principal, name: str, commit: Oid) -> Oid:
    """Put an annotated tag on a commit, as a push does; return the id of its object."""
    repo = lookup_repo(node, caller, "r")
    with RepoView(node, repo) as view, Write(view) as write:
        content = encode_tag(target=commit, target_kind="commit", name=name, tagger=ADA, message=b"m\n")
        oid = write.writer.add_object("tag", content)
        update = RefUpdate(PERSISTENT, tag_refname(name), None, oid, peeled_oid=commit)
        move_refs(node, caller, repo, update, write=write)
    return oid


@pytest.mark.parametrize("ref", ["main", "HEAD", "refs/heads/main", "{id}", "{id:.7}", "main~0"])
def test_a_tag_is_put_on_the_commit_of_any_ref_input(
    node: Node, caller: Principal, first: Oid, ref: str
) -> None:
    assert create_tag(node, caller, CreateTag("r", V1, ref.format(id=first))) == Tag("v1", first)
    assert read_tag(node, caller, ReadTag("r", V1)) == Tag("v1", first)


def test_a_tag_of_a_tag_leads_to_the_commit(node: Node, caller: Principal, first: Oid) -> None:
    annotate(node, caller, "signed", first)
    assert create_tag(node, caller, CreateTag("r", V1, "signed")).target == first


def test_creating_an_existing_tag_does_not_move_it(node: Node, caller: Principal, first: Oid) -> None:
    create_tag(node, caller, CreateTag("r", V1, "main"))
    commit_files(node, caller, "r", "main", {"a": b"2\n"})
    for ref in ("main", first):
        with pytest.raises(TagExists) as refused:
            create_tag(node, caller, CreateTag("r", V1, ref))
        assert refused.value.fields == {"tag": "v1"}
    assert read_tag(node, caller, ReadTag("r", V1)).target == first


def test_a_tag_on_a_missing_commit_is_not_created(node: Node, caller: Principal, repo: str) -> None:
    for ref, error in (("nowhere", RefNotFound), ("HEAD", RefNotFound), ("a..b", Invalid)):
        with pytest.raises(error):
            create_tag(node, caller, CreateTag(repo, V1, ref))
    assert names(node, caller) == []


@pytest.mark.parametrize("name", [b"HEAD", b"-x", b"refs/tags/x", b"a" * 40, b"0" * 64])
def test_a_new_tag_has_no_name_that_means_something_else(
    node: Node, caller: Principal, first: Oid, name: bytes
) -> None:
    with pytest.raises(NewNameRefused):
        create_tag(node, caller, CreateTag("r", RefName(b"refs/tags/" + name), "main"))


def test_a_tag_and_a_branch_may_share_a_name_and_tags_may_not_contain_each_other(
    node: Node, caller: Principal, first: Oid
) -> None:
    create_branch(node, caller, CreateBranch("r", branch_refname("v1"), base_ref="main"))
    create_tag(node, caller, CreateTag("r", V1, "main"))
    with pytest.raises(RefNameConflict):
        create_tag(node, caller, CreateTag("r", tag_refname("v1/rc"), "main"))
    assert names(node, caller) == ["v1"]


def test_tags_are_listed_by_the_bytes_of_their_names(node: Node, caller: Principal, first: Oid) -> None:
    given = ["b", "B", "a/b", "a-b", "é", "a.b", "z"]
    for name in given:
        create_tag(node, caller, CreateTag("r", tag_refname(name), "main"))
    assert names(node, caller) == sorted(given, key=str.encode)


@pytest.mark.parametrize("count_max", [1, 2, 3, 4])
def test_pages_hold_every_tag_once(node: Node, caller: Principal, first: Oid, count_max: int) -> None:
    for name in ("c", "a", "b"):
        create_tag(node, caller, CreateTag("r", tag_refname(name), "main"))
    found: list[str] = []
    cursor, has_more = None, True
    while has_more:
        page = list_tags(node, caller, ListTags("r", cursor, count_max))
        found += [tag.name for tag in page.tags]
        cursor, has_more = found[-1], page.has_more
    assert found == ["a", "b", "c"]


def test_a_page_begins_after_a_name_that_no_tag_has_any_more(
    node: Node, caller: Principal, first: Oid
) -> None:
    for name in ("a", "c"):
        create_tag(node, caller, CreateTag("r", tag_refname(name), "main"))
    assert [tag.name for tag in list_tags(node, caller, ListTags("r", cursor="b")).tags] == ["c"]
    assert list_tags(node, caller, ListTags("r", cursor="c")).tags == []


@pytest.mark.parametrize("cursor", ["", "a b", "a..b", "\ud800", "x" * 5000])
def test_a_cursor_that_cannot_be_a_tag_name_is_refused(
    node: Node, caller: Principal, repo: str, cursor: str
) -> None:
    with pytest.raises(BadCursor):
        list_tags(node, caller, ListTags(repo, cursor))


def test_an_annotated_tag_shows_the_commit_and_is_deleted_like_any_other(
    node: Node, caller: Principal, first: Oid
) -> None:
    oid = annotate(node, caller, "v1", first)
    assert oid != first
    assert list_tags(node, caller, ListTags("r")).tags == [Tag("v1", first)]
    assert read_tag(node, caller, ReadTag("r", V1)) == Tag("v1", first)
    delete_tag(node, caller, DeleteTag("r", V1))
    assert names(node, caller) == []


def test_a_deleted_tag_is_gone_and_may_be_put_elsewhere(node: Node, caller: Principal, first: Oid) -> None:
    create_tag(node, caller, CreateTag("r", V1, "main"))
    delete_tag(node, caller, DeleteTag("r", V1))
    with pytest.raises(TagNotFound):
        read_tag(node, caller, ReadTag("r", V1))
    with pytest.raises(TagNotFound) as refused:
        delete_tag(node, caller, DeleteTag("r", V1))
    assert refused.value.fields == {"tag": "v1"}
    second = commit_files(node, caller, "r", "main", {"a": b"2\n"}).commit
    assert create_tag(node, caller, CreateTag("r", V1, "main")).target == second
    moves = read_ref_log(node, caller, ReadRefLog("r", refname=V1)).moves
    assert [move.action for move in moves] == ["create-tag", "delete-tag", "create-tag"]


def test_a_rule_against_pushes_holds_for_tags(node: Node, caller: Principal, first: Oid) -> None:
    create_tag(node, caller, CreateTag("r", V1, "main"))
    bound = with_policy(caller, ["refs/tags/*", ["no-push"]])
    with pytest.raises(PolicyDenied):
        create_tag(node, bound, CreateTag("r", tag_refname("v2"), "main"))
    with pytest.raises(PolicyDenied):
        delete_tag(node, bound, DeleteTag("r", V1))
    assert names(node, bound) == ["v1"]


def test_a_rule_against_force_keeps_tags_from_being_deleted(
    node: Node, caller: Principal, first: Oid
) -> None:
    bound = with_policy(caller, ["refs/tags/*", ["no-force-push"]])
    create_tag(node, bound, CreateTag("r", V1, "main"))
    with pytest.raises(PolicyDenied):
        delete_tag(node, bound, DeleteTag("r", V1))


def test_a_rule_for_signatures_keeps_tags_from_unsigned_commits(
    node: Node, caller: Principal, first: Oid
) -> None:
    bound = with_policy(caller, ["refs/tags/*", ["verify-sig"]])
    with pytest.raises(PolicyDenied):
        create_tag(node, bound, CreateTag("r", V1, "main"))


def test_another_organisation_finds_no_such_repository(
    node: Node, stranger: Principal, caller: Principal, first: Oid
) -> None:
    create_tag(node, caller, CreateTag("r", V1, "main"))
    with pytest.raises(RepoNotFound):
        list_tags(node, stranger, ListTags("r"))
    with pytest.raises(RepoNotFound):
        read_tag(node, stranger, ReadTag("r", V1))
    with pytest.raises(RepoNotFound):
        create_tag(node, stranger, CreateTag("r", tag_refname("v2"), "main"))
    with pytest.raises(RepoNotFound):
        delete_tag(node, stranger, DeleteTag("r", V1))
