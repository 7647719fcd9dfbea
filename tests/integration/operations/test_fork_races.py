"""A fork whose source is tidied while it is copied."""

import pytest

from packhouse.auth.principal import Principal
from packhouse.db.ref_transaction import RefUpdate
from packhouse.db.repos import Repo
from packhouse.git.objects import Person, encode_commit
from packhouse.git.oid import EMPTY_TREE_OID, Oid
from packhouse.git.refname import PERSISTENT, RefName
from packhouse.node.node import Node
from packhouse.operations.create_repo import CreateRepo, create_repo
from packhouse.operations.lookup import lookup_repo
from packhouse.repository import fork_objects
from packhouse.repository.new_objects import DraftedObjects
from packhouse.repository.ref_writer import move_refs

ADA = Person("Ada", "ada@example.test", 1000, "+0000")


def put_commit(node: Node, caller: Principal, repo: Repo, *parents: Oid) -> Oid:
    """Put a new commit on main, in a pack of its own."""
    with node.store.new_draft() as draft:
        draft.writer.add_object("tree", b"")
        commit = draft.writer.add_object(
            "commit",
            encode_commit(tree=EMPTY_TREE_OID, parents=parents, author=ADA, committer=ADA, message=b"m\n"),
        )
        update = RefUpdate(PERSISTENT, RefName(b"refs/heads/main"), None, commit, any_old=True)
        move_refs(
            node,
            caller,
            repo,
            [update],
            action="test",
            receipt=None,
            objects=DraftedObjects(node, repo, draft),
        )
    return commit


def test_a_fork_is_whole_though_listed_packs_are_merged_meanwhile(
    node: Node, caller: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_repo(node, caller, CreateRepo("source"))
    source = lookup_repo(node, caller, "source")
    first = put_commit(node, caller, source)
    second = put_commit(node, caller, source, first)
    list_packs = fork_objects._packs_by_size

    def list_late(node: Node, source: Repo) -> list[str]:
        return ["0" * 40, *list_packs(node, source)]

    monkeypatch.setattr(fork_objects, "_packs_by_size", list_late)
    with node.store.new_quarantine() as quarantine:
        with node.store.hold(source.public_id) as lock:
            fork_objects.copy_objects(node, source, lock, [second], quarantine)
        node.store.publish(quarantine, "repo_copy")
    with node.store.reader("repo_copy") as reader:
        assert [reader.kind_and_size(oid) is not None for oid in (first, second)] == [True, True]
