"""Restoring an earlier state as one new commit, without changing history."""

from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.db import get_ref
from packhouse.git import short_name
from packhouse.git.objects import Person, clean_message, parse_commit
from packhouse.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.commits.add_commit import AddCommit, CommitFacts, NewCommit, add_commit
from packhouse.operations.commits.commit_target import CommitTarget
from packhouse.operations.refs.branches import BranchNotFound
from packhouse.repository import Receipt, Write, open_view, resolve_ref


@dataclass(frozen=True, slots=True)
class RestoreCommit:
    """The commit to restore. `base_ref` names the commit with the tree; `message` None means the usual message."""

    repo: str
    target: CommitTarget
    base_ref: str
    message: str | None
    author: Person
    committer: Person


def restore_commit(
    node: Node, caller: Principal, command: RestoreCommit, *, receipt: Receipt[NewCommit] | None = None
) -> NewCommit:
    """Commit the tree of an earlier commit on top of an existing branch, even if it equals the present tree.

    Raises RepoNotFound, BranchNotFound, RefNotFound and the errors of add_commit.
    """
    repo = lookup_repo(node, caller, command.repo)
    target = command.target
    with node.database.read() as session:
        if get_ref(session, repo.id, target.namespace, target.refname) is None:
            raise BranchNotFound(short_name(target.refname))
    with open_view(node, repo) as view:
        source = resolve_ref(view, command.base_ref).commit
        restored = parse_commit(view.read_kept(source, "commit"))
    message = command.message or f'Reset {short_name(target.refname)} to "{restored.subject}"'
    facts = CommitFacts(clean_message(message), command.author, command.committer)
    with open_view(node, repo) as view, Write(view) as write:
        commit = AddCommit(write, target, facts, lambda _: restored.tree, action="restore-commit")
        return add_commit(node, caller, commit, receipt=receipt)
