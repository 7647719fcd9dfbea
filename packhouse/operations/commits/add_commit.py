"""Adding a commit to a branch: build it on the tip, make it durable, move the branch.

Every operation that commits without a working copy uses this. No lock is held while the objects are written. A commit
without a guard that loses the race for the branch builds its trees again on the new tip.
"""

from collections.abc import Callable
from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.db import RefMismatch, RefUpdate
from packhouse.git import Oid, short_name
from packhouse.git.objects import Person, encode_commit, parse_commit
from packhouse.node import Node
from packhouse.operations.commits.commit_target import CommitTarget, TargetState, read_target
from packhouse.operations.refs.branches import BranchKeptMoving
from packhouse.operations.refs.locked_writes import write_under_lock
from packhouse.repository import Receipt, RefWriter, TreeMaker, Write, bind


@dataclass(frozen=True, slots=True)
class CommitFacts:
    """The content of a commit besides its tree and parent."""

    message: bytes
    author: Person
    committer: Person


@dataclass(frozen=True, slots=True)
class NewCommit:
    """A commit on its branch. `old_oid` is the branch's previous tip (None: the branch is new).

    `pack_bytes` is the size of the commit's packs.
    """

    commit: Oid
    tree: Oid
    old_oid: Oid | None
    pack_bytes: int


@dataclass(frozen=True, slots=True)
class AddCommit:
    """A commit to add. Its tree may have to be built several times.

    `write` takes the new objects and may hold blobs already. `make_tree` returns the new tree for a parent's tree; it
    is called again for each tip that is tried. `action` goes into the ref log.
    """

    write: Write
    target: CommitTarget
    facts: CommitFacts
    make_tree: Callable[[TreeMaker], Oid]
    action: str


def add_commit(
    node: Node, caller: Principal, command: AddCommit, *, receipt: Receipt[NewCommit] | None = None
) -> NewCommit:
    """Put one commit on the target branch, and return it once it is durable.

    Git checks the objects first if an edit of the tree requires it. Raises the errors of read_target,
    Write.check_strict, RefWriter.allow and RefWriter.move, and BranchBusy when an unguarded commit lost every race for
    30 s.
    """
    target, repo = command.target, command.write.repo

    def attempt() -> NewCommit:
        return _try_once(node, caller, command, receipt)

    try:
        return write_under_lock(node, repo, target.refname, attempt, is_guarded=target.expected is not None)
    except RefMismatch:
        if target.expected is None:
            raise BranchKeptMoving(short_name(target.refname)) from None
        read_target(node, repo, target)  # raises GuardMismatch with the tip that won
        raise


def _try_once(
    node: Node,
    caller: Principal,
    command: AddCommit,
    receipt: Receipt[NewCommit] | None,
) -> NewCommit:
    """Build on the present tip, publish and move the branch; raise RefMismatch after a lost race.

    After a lost race the blobs are published already. The next attempt adds only new trees and a new commit.
    """
    write, repo = command.write, command.write.repo
    state = read_target(node, repo, command.target)
    built = _build(state, command)
    update = RefUpdate(command.target.namespace, command.target.refname, state.tip, built.commit)
    writer = RefWriter(node, caller, repo, action=command.action)
    allowed = writer.allow(update, is_fast_forward=lambda: True)
    if state.tip is None:
        writer.rehearse([allowed])  # finds a name conflict before a pack is published
    if built.needs_git_fsck:
        write.check_strict()

    def result() -> NewCommit:
        return NewCommit(built.commit, built.tree, state.tip, write.published_bytes)

    writer.move([allowed], receipt=bind(receipt, result), write=write)
    for oid, content in built.objects.items():
        node.objects.put((repo.public_id, oid), content)
    return result()


@dataclass(frozen=True, slots=True)
class _Built:
    commit: Oid
    tree: Oid
    objects: dict[Oid, bytes]
    needs_git_fsck: bool


def _build(state: TargetState, command: AddCommit) -> _Built:
    """Add the trees and the commit on top of `state.parent` to the write."""
    write, view = command.write, command.write.view
    parent_tree = None
    if state.parent is not None:
        parent_tree = parse_commit(view.read_kept(state.parent, "commit")).tree
    maker = TreeMaker(parent_tree, view.read_tree, write.writer)
    tree = command.make_tree(maker)
    content = encode_commit(
        tree=tree,
        parents=[] if state.parent is None else [state.parent],
        author=command.facts.author,
        committer=command.facts.committer,
        message=command.facts.message,
    )
    commit = write.writer.add_object("commit", content)
    return _Built(commit, tree, {**maker.written, commit: content}, maker.needs_git_fsck)
