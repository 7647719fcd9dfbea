"""A merge whose target is moved by somebody else while it is being made."""

import pytest

from packhouse.auth.principal import Principal
from packhouse.db.ref_transaction import RefUpdate
from packhouse.db.repos import Repo
from packhouse.git.objects import Person, encode_commit
from packhouse.git.oid import EMPTY_TREE_OID, Oid
from packhouse.git.refname import PERSISTENT, RefName
from packhouse.node.node import Node
from packhouse.operations import merge as merge_module
from packhouse.operations.create_repo import CreateRepo, create_repo
from packhouse.operations.lookup import lookup_repo
from packhouse.operations.merge import Merge, MergeStrategy, TargetMoved, merge
from packhouse.operations.sync_upstream import give_up_sync
from packhouse.repository.merge_bases import find_merge_base
from packhouse.repository.new_objects import DraftedObjects
from packhouse.repository.ref_writer import move_refs

ADA = Person("Ada", "ada@example.test", 1000, "+0000")
MAIN = RefName(b"refs/heads/main")
SIDE = RefName(b"refs/heads/side")
MERGE = Merge(
    repo="r",
    source="side",
    source_is_ephemeral=False,
    target=MAIN,
    target_is_ephemeral=False,
    strategy=MergeStrategy.MERGE,
)


def put_commit(node: Node, caller: Principal, branch: RefName, *parents: Oid) -> Oid:
    """Put a new commit on a branch, wherever that is."""
    repo = lookup_repo(node, caller, "r")
    with node.store.new_draft() as draft:
        draft.writer.add_object("tree", b"")
        message = b"on %b, %d\n" % (branch, repo.refs_version)
        content = encode_commit(
            tree=EMPTY_TREE_OID, parents=parents, author=ADA, committer=ADA, message=message
        )
        commit = draft.writer.add_object("commit", content)
        update = RefUpdate(PERSISTENT, branch, None, commit, any_old=True)
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


@pytest.mark.parametrize("has_upstream", [False, True])
def test_a_merge_that_loses_is_made_again_unless_an_upstream_decides(
    node: Node, caller: Principal, monkeypatch: pytest.MonkeyPatch, *, has_upstream: bool
) -> None:
    public = {"owner": "o", "name": "n", "auth": {"auth_type": "public"}}
    created = create_repo(node, caller, CreateRepo("r", base_repo=public if has_upstream else None))
    give_up_sync(node, created.public_id, "not tried")
    root = put_commit(node, caller, MAIN)
    put_commit(node, caller, SIDE, root)
    tips = [put_commit(node, caller, MAIN, root)]

    def lose_once(node: Node, repo: Repo, ours: Oid, theirs: Oid) -> Oid | None:
        if len(tips) == 1:
            tips.append(put_commit(node, caller, MAIN, tips[0]))
        return find_merge_base(node, repo, ours, theirs)

    monkeypatch.setattr(merge_module, "find_merge_base", lose_once)
    if has_upstream:
        with pytest.raises(TargetMoved):
            merge(node, caller, MERGE)
    else:
        assert merge(node, caller, MERGE).old_oid == tips[1]
