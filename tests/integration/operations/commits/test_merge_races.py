"""A merge whose target is moved by somebody else while it is being made."""

import pytest

from packhouse.auth.principal import Principal
from packhouse.git.oid import Oid
from packhouse.git.refname import RefName
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.commits.merge import Merge, MergeStrategy, TargetMoved, merge
from packhouse.operations.repos.bases import UpstreamBase
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.operations.sync.give_up_sync import GiveUpSync, give_up_sync
from packhouse.repository.git import RepoGit
from tests.support.builders.node_writes import MAIN, put_commit

SIDE = RefName(b"refs/heads/side")
MERGE = Merge(
    repo="r",
    source="side",
    source_is_ephemeral=False,
    target=MAIN,
    target_is_ephemeral=False,
    strategy=MergeStrategy.MERGE,
)


def commit_on(node: Node, caller: Principal, branch: RefName, *parents: Oid) -> Oid:
    """Put a new commit on a branch, wherever that is."""
    repo = lookup_repo(node, caller, "r")
    message = b"on %b, %d\n" % (branch, repo.refs_version)
    return put_commit(node, caller, repo, *parents, refname=branch, message=message)


@pytest.mark.parametrize("has_upstream", [False, True])
def test_a_merge_that_loses_is_made_again_unless_an_upstream_decides(
    node: Node, caller: Principal, monkeypatch: pytest.MonkeyPatch, *, has_upstream: bool
) -> None:
    public = UpstreamBase("github", "o", "n", is_public=True)
    created = create_repo(node, caller, CreateRepo("r", base=public if has_upstream else None))
    give_up_sync(node, GiveUpSync(created.public_id, "not tried"))
    root = commit_on(node, caller, MAIN)
    commit_on(node, caller, SIDE, root)
    tips = [commit_on(node, caller, MAIN, root)]

    find_merge_base = RepoGit.merge_base

    def lose_once(git: RepoGit, ours: Oid, theirs: Oid) -> Oid | None:
        if len(tips) == 1:
            tips.append(commit_on(node, caller, MAIN, tips[0]))
        return find_merge_base(git, ours, theirs)

    monkeypatch.setattr(RepoGit, "merge_base", lose_once)
    if has_upstream:
        with pytest.raises(TargetMoved):
            merge(node, caller, MERGE)
    else:
        assert merge(node, caller, MERGE).old_oid == tips[1]
