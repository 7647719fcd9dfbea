"""Snapshots: a repository whose only commit has the tree of another's, and none of its history."""

from packhouse.auth.principal import Principal
from packhouse.db.ref_transaction import RefUpdate
from packhouse.db.repos import Repo
from packhouse.git.objects import encode_commit, parse_commit
from packhouse.git.oid import EMPTY_TREE_OID, Oid
from packhouse.git.refname import PERSISTENT, branch_refname
from packhouse.node.node import Node
from packhouse.operations.base_repo import SnapshotBase
from packhouse.operations.fork_insert import FilledRepo, insert_filled_repo, require_free_name
from packhouse.operations.fork_source import open_source, peel_to_commit, read_source
from packhouse.operations.repo_info import RepoInfo
from packhouse.repository.damage import holds_objects
from packhouse.repository.fork_objects import copy_objects
from packhouse.repository.receipts import Receipt
from packhouse.repository.resolve import RefNotFound
from packhouse.repository.view import hold_packs, open_reader

ACTION = "snapshot"


def snapshot_repo(
    node: Node,
    caller: Principal,
    base: SnapshotBase,
    *,
    name: str,
    default_branch: str,
    receipt: Receipt[RepoInfo] | None = None,
) -> RepoInfo:
    """Create `name` with one root commit on its default branch, and return it.

    Raises Unauthenticated, Denied, RepoNotFound, RefNotFound (also for a source without commits) and
    RepoExists.
    """
    source = open_source(node, caller, base.repo, base.token)
    require_free_name(node, caller, name)
    if not holds_objects(node, source):
        raise RefNotFound(base.ref or source.default_branch)
    with node.store.new_quarantine() as quarantine, node.store.new_draft() as draft:
        with hold_packs(node, source) as lock:
            tree = _read_tree_oid(node, source, base.ref)
            if tree == EMPTY_TREE_OID:  # git knows it without storing it
                draft.writer.add_object("tree", b"")
            else:
                copy_objects(node, source, lock, [tree], quarantine)
        commit = draft.writer.add_object(
            "commit",
            encode_commit(
                tree=tree, parents=[], author=base.author, committer=base.author, message=base.message
            ),
        )
        update = RefUpdate(PERSISTENT, branch_refname(default_branch), None, commit)
        filled = FilledRepo(name, default_branch, [update], ACTION)
        return insert_filled_repo(node, caller, filled, quarantine, draft, receipt=receipt)


def _read_tree_oid(node: Node, source: Repo, ref: str | None) -> Oid:
    """Return the tree of a branch or tag of the source, its default branch unless `ref` is given."""
    state = read_source(node, source)
    text = ref or f"refs/heads/{state.repo.default_branch}"
    commit = peel_to_commit(node, source, state.require(text), text)
    with open_reader(node, source) as reader:
        return parse_commit(reader.read(commit, kind="commit")[1]).tree
