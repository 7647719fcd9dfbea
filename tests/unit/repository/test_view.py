"""A view of a repository: it reads listed packs, finds later ones, and distinguishes damage from absence."""

import pytest

from packhouse import limits
from packhouse.auth.principal import Principal
from packhouse.db.ref_transaction import RefUpdate
from packhouse.db.repos import Repo
from packhouse.errors import NotFound
from packhouse.git.objects.codec import encode_tag
from packhouse.git.oid import EMPTY_TREE_OID, Oid, hash_object
from packhouse.git.refname import PERSISTENT
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.repository.damage import RepositoryDamaged
from packhouse.repository.view import RepoView, open_view
from packhouse.repository.write import Write
from tests.support.builders.node_writes import ADA, MAIN, move_refs, put_blob, put_commit, write_commit_object

pytestmark = pytest.mark.quick

ONE, TWO = b"one\n", b"two\n"
ABSENT = Oid("1" * 40)


def oid_of(content: bytes) -> Oid:
    return hash_object("blob", content)


# Objects that are there


def test_an_object_is_read_with_its_kind_size_and_content(node: Node, repo: Repo) -> None:
    put_blob(node, repo, ONE)
    with RepoView(node, repo) as view:
        assert view.kind_and_size(oid_of(ONE)) == ("blob", 4)
        assert view.read_header(oid_of(ONE)) == ("blob", 4)
        assert view.read(oid_of(ONE)) == view.read(oid_of(ONE), kind="blob") == ("blob", ONE)
        assert list(view.iter_blob(oid_of(ONE), 4)) == [ONE]


def test_a_large_blob_streams_from_git(node: Node, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    put_blob(node, repo, ONE)
    with RepoView(node, repo) as view:
        said_size = limits.object_in_process_max_bytes + 1  # the given size decides, not that of the object
        assert b"".join(view.iter_blob(oid_of(ONE), said_size)) == ONE


def test_the_empty_tree_exists_in_every_repository(node: Node, repo: Repo) -> None:
    """A push may bring a commit of the empty tree without the tree itself."""
    with RepoView(node, repo) as view:
        assert view.read_tree(EMPTY_TREE_OID) == b""


def test_tags_are_followed_to_their_targets(node: Node, repo: Repo, caller: Principal) -> None:
    with RepoView(node, repo) as view, Write(view) as write:
        commit = write_commit_object(write)
        inner = write.writer.add_object(
            "tag", encode_tag(target=commit, target_kind="commit", name="v1", tagger=ADA, message=b"m\n")
        )
        outer = write.writer.add_object(
            "tag", encode_tag(target=inner, target_kind="tag", name="v2", tagger=ADA, message=b"m\n")
        )
        move_refs(node, caller, repo, RefUpdate(PERSISTENT, MAIN, None, commit), write=write)
    with RepoView(node, repo) as view:
        assert view.peel(outer) == view.peel(inner) == view.peel(commit) == ("commit", commit)


def test_commits_and_trees_are_kept_in_memory(node: Node, caller: Principal, repo: Repo) -> None:
    commit = put_commit(node, caller, repo)
    with RepoView(node, repo) as view:
        content = view.read_kept(commit, "commit")
        assert node.objects.get((repo.public_id, commit)) == content


# Absent objects


def test_an_object_that_the_repository_never_had_is_absent(node: Node, repo: Repo) -> None:
    with RepoView(node, repo) as view:
        assert view.is_empty
        assert view.kind_and_size(ABSENT) is None
    put_blob(node, repo, ONE)
    with RepoView(node, repo) as view:
        assert not view.is_empty
        assert view.kind_and_size(ABSENT) is None


def test_an_object_of_another_kind_is_not_found(node: Node, repo: Repo) -> None:
    put_blob(node, repo, ONE)
    with RepoView(node, repo) as view, pytest.raises(NotFound):
        view.read(oid_of(ONE), kind="commit")


def test_a_missing_required_object_is_damage(node: Node, caller: Principal, repo: Repo) -> None:
    put_commit(node, caller, repo)
    move_refs(node, caller, repo, RefUpdate(PERSISTENT, MAIN, None, ABSENT, any_old=True))
    with open_view(node, lookup_repo(node, caller, "shop")) as view:
        for read in (view.read, view.read_header, view.peel):
            with pytest.raises(RepositoryDamaged) as damaged:
                read(ABSENT)
            assert damaged.value.fields["what"] == f"object {ABSENT}"


def test_after_the_loss_of_a_pack_a_missing_object_is_damage(node: Node, repo: Repo) -> None:
    """The object may have been in the lost pack, so the view must not call it absent."""
    lost = put_blob(node, repo, ONE)
    put_blob(node, repo, TWO)
    node.store.delete(repo.public_id, [lost])
    with RepoView(node, repo) as view:
        assert view.read(oid_of(TWO)) == ("blob", TWO)
        for oid in (oid_of(ONE), ABSENT):
            with pytest.raises(RepositoryDamaged):
                view.kind_and_size(oid)


# Packs that came or went later


def test_a_view_finds_objects_written_after_it_was_opened(node: Node, repo: Repo) -> None:
    put_blob(node, repo, ONE)
    with RepoView(node, repo) as view:
        assert view.read(oid_of(ONE)) == ("blob", ONE)
        put_blob(node, repo, TWO)
        assert view.read(oid_of(TWO)) == ("blob", TWO)


def test_a_view_of_an_empty_repository_finds_its_first_object(node: Node, repo: Repo) -> None:
    with RepoView(node, repo) as view:
        assert view.kind_and_size(oid_of(ONE)) is None
        put_blob(node, repo, ONE)
        assert view.read(oid_of(ONE)) == ("blob", ONE)
        assert not view.is_empty


def test_a_closed_view_may_be_used_again(node: Node, repo: Repo) -> None:
    put_blob(node, repo, ONE)
    with RepoView(node, repo) as view:
        assert view.read(oid_of(ONE)) == ("blob", ONE)
        view.close()
        view.close()
        assert view.read(oid_of(ONE)) == ("blob", ONE)


def test_a_view_that_reads_nothing_opens_nothing(
    node: Node, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_blob(node, repo, ONE)

    def fail(*_args: object) -> None:
        raise AssertionError("packs were opened")

    monkeypatch.setattr(node.store, "open", fail)
    with RepoView(node, repo) as view:
        assert not view.is_empty
        assert view.get_ref(PERSISTENT, MAIN) is None


def test_a_pack_that_is_being_deleted_is_not_listed(node: Node, caller: Principal, repo: Repo) -> None:
    """Only live packs count, even if files of others exist."""
    with RepoView(node, repo) as view, Write(view) as write:
        write.writer.add_object("blob", ONE)
        (pack,) = write.publish(may_journal=False).packs
        with RepoView(node, repo) as other:
            assert other.is_empty
            assert other.kind_and_size(oid_of(ONE)) is None
    assert node.store.stat(repo.public_id, pack.name) is None


# Refs


def test_a_ref_is_read_once_and_as_it_was(node: Node, caller: Principal, repo: Repo) -> None:
    first = put_commit(node, caller, repo)
    with RepoView(node, repo) as view:
        ref = view.get_ref(PERSISTENT, MAIN)
        assert ref is not None and ref.oid == first
        put_commit(node, caller, repo, first, message=b"second\n")
        assert view.get_ref(PERSISTENT, MAIN) == ref, "one answer is about one state"
        view.know_ref(PERSISTENT, MAIN, None)
        assert view.get_ref(PERSISTENT, MAIN) is None
