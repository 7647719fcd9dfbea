"""Snapshots: a repository with one commit, which has the tree of another repository and none of its history."""

from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.db import RefUpdate
from packhouse.git import EMPTY_TREE_OID, PERSISTENT, Oid, RefName, short_name
from packhouse.git.objects import encode_commit, parse_commit
from packhouse.node import Node
from packhouse.operations.repos.bases import SnapshotBase
from packhouse.operations.repos.fill_repo import FilledRepo, fill_repo, require_free_name
from packhouse.operations.repos.fork_source import open_source, peel_to_commit, read_source
from packhouse.operations.repos.repo_info import RepoInfo
from packhouse.repository import Receipt, RefNotFound, RepoView, Write, copy_objects, open_view

ACTION = "snapshot"


@dataclass(frozen=True, slots=True)
class SnapshotRepo:
    """The name of the new repository, and the base of its one commit. `expires_at`: see CreateRepo."""

    repo: str
    base: SnapshotBase
    default_branch: RefName
    expires_at: int | None = None


def snapshot_repo(
    node: Node, caller: Principal, command: SnapshotRepo, *, receipt: Receipt[RepoInfo] | None = None
) -> RepoInfo:
    """Create the repository with one root commit on its default branch, and return it.

    Raises Unauthenticated, Denied, RepoNotFound, RefNotFound (also for a source without commits) and
    RepoExists.
    """
    base = command.base
    source = open_source(node, caller, base.repo, base.token)
    require_free_name(node, caller, command.repo)
    with open_view(node, source) as view:
        if view.is_empty:
            raise RefNotFound(base.ref or source.default_branch)
        tree = _read_tree_oid(node, view, base.ref)
        with Write(view) as write:
            if tree == EMPTY_TREE_OID:  # git knows the empty tree without storing it
                write.writer.add_object("tree", b"")
            else:
                copy_objects(write, [tree])
            content = encode_commit(
                tree=tree, parents=[], author=base.author, committer=base.author, message=base.message
            )
            commit = write.writer.add_object("commit", content)
            update = RefUpdate(PERSISTENT, command.default_branch, None, commit)
            filled = FilledRepo(
                command.repo, short_name(command.default_branch), [update], ACTION, command.expires_at
            )
            return fill_repo(node, caller, filled, write, receipt=receipt)


def _read_tree_oid(node: Node, view: RepoView, ref: str | None) -> Oid:
    """Return the tree of a branch or tag of the source; None as `ref` means the default branch."""
    state = read_source(node, view.repo)
    text = ref or f"refs/heads/{state.repo.default_branch}"
    commit = peel_to_commit(view, state.require(text), text)
    return parse_commit(view.read(commit, kind="commit")[1]).tree
