"""Landing one new commit on a branch: build it on the tip, make it durable, move the branch.

Shared by every endpoint that commits without a working copy. Nobody holds a lock while the objects are
written; whoever loses the race for the branch and gave no guard builds its trees again on the new tip.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

from packhouse.auth.principal import Principal
from packhouse.db.ref_transaction import RefMismatch, RefUpdate
from packhouse.db.repos import Repo
from packhouse.errors import Conflict
from packhouse.git.objects import Person, encode_commit, parse_commit
from packhouse.git.oid import Oid
from packhouse.git.pack_writer import PackWriter
from packhouse.git.refname import short_name
from packhouse.node.node import Node
from packhouse.operations.commit_target import CommitTarget, TargetState, read_target
from packhouse.operations.write_turns import write_in_turn
from packhouse.repository.new_objects import DraftedObjects
from packhouse.repository.receipts import Receipt, bind
from packhouse.repository.ref_writer import check_policy, move_refs, rehearse_refs
from packhouse.repository.view import read_object
from packhouse.storage.pack_draft import PackDraft
from packhouse.storage.pack_file import PackFile


@dataclass(frozen=True, slots=True)
class CommitFacts:
    """What a commit says besides its tree and parent."""

    message: bytes
    author: Person
    committer: Person


@dataclass(frozen=True, slots=True)
class LandedCommit:
    """`old_oid` is the branch's previous tip (None: it is new); `pack_bytes` what the commit's packs take."""

    commit: Oid
    tree: Oid
    old_oid: Oid | None
    pack_bytes: int


@dataclass(slots=True)
class TreeMaker:
    """What a caller's `make_tree` works with: the parent's tree, and where new trees go.

    `parent_tree` is None for a root commit.
    """

    parent_tree: Oid | None
    read_tree: Callable[[Oid], bytes]
    writer: PackWriter
    written: dict[Oid, bytes] = field(default_factory=dict)

    def emit(self, content: bytes) -> Oid:
        """Store a new tree and return its id."""
        oid = self.writer.add_object("tree", content)
        self.written[oid] = content
        return oid


class BranchBusy(Conflict):
    """Others kept moving the branch for as long as we tried. Field: branch."""


@dataclass(frozen=True, slots=True)
class CommitPlan:
    """What to commit, however often it has to be tried.

    `make_tree` returns the new tree for a parent's; it is called anew for each tip that is tried. `check_pack`
    sees the finished pack before it is published and raises to refuse it. `action` goes into the ref log.
    """

    target: CommitTarget
    facts: CommitFacts
    make_tree: Callable[[TreeMaker], Oid]
    action: str
    check_pack: Callable[[PackDraft], None] | None = None


def land_commit(
    node: Node,
    caller: Principal,
    repo: Repo,
    plan: CommitPlan,
    draft: PackDraft,
    receipt: Receipt[LandedCommit] | None = None,
) -> LandedCommit:
    """Put one commit on the target branch and return it once it is durable; `draft` may hold blobs already.

    Raises what read_target, check_policy and move_refs raise, and BranchBusy when an unguarded commit lost
    every race for 30 s.
    """
    target = plan.target
    packs: list[PackFile] = []
    with contextlib.ExitStack() as drafts:

        def attempt() -> LandedCommit:
            nonlocal draft
            # Once the blobs are in place with the first pack, what follows is new trees and a new commit.
            if packs:
                draft = drafts.enter_context(node.store.new_draft())
            return _try_once(node, caller, repo, plan, draft, packs, receipt)

        try:
            return write_in_turn(node, repo, target.refname, attempt, is_guarded=target.expected is not None)
        except RefMismatch:
            if target.expected is None:
                raise BranchBusy("branch kept moving", branch=short_name(target.refname)) from None
            read_target(node, repo, target)  # raises, and tells which tip won
            raise


def _try_once(
    node: Node,
    caller: Principal,
    repo: Repo,
    plan: CommitPlan,
    draft: PackDraft,
    packs: list[PackFile],
    receipt: Receipt[LandedCommit] | None,
) -> LandedCommit:
    """Build on the present tip, publish (noted in `packs`) and move the branch; raise RefMismatch when beaten."""
    state = read_target(node, repo, plan.target)
    built = _build(node, repo, state, plan, draft)
    update = RefUpdate(plan.target.namespace, plan.target.refname, state.tip, built.commit)
    check_policy(caller, update, is_fast_forward=lambda: True)
    if state.tip is None:
        rehearse_refs(node, repo, [update])  # a name conflict must not cost a published pack
    if plan.check_pack is not None:
        plan.check_pack(draft)
    objects = DraftedObjects(node, repo, draft)

    def landed() -> LandedCommit:
        return LandedCommit(built.commit, built.tree, state.tip, sum(pack.size_bytes for pack in packs))

    move_refs(
        node,
        caller,
        repo,
        [update],
        action=plan.action,
        receipt=bind(receipt, landed),
        objects=objects,
        packs=packs,
    )
    for oid, content in built.objects.items():
        node.objects.put(repo.public_id, oid, content)
    return landed()


@dataclass(frozen=True, slots=True)
class _Built:
    commit: Oid
    tree: Oid
    objects: dict[Oid, bytes]


def _build(node: Node, repo: Repo, state: TargetState, plan: CommitPlan, draft: PackDraft) -> _Built:
    """Add trees and commit on top of `state.parent` to the draft."""

    def read_tree(oid: Oid) -> bytes:
        return read_object(node, repo, oid, "tree")

    parent_tree = None
    if state.parent is not None:
        parent_tree = parse_commit(read_object(node, repo, state.parent, "commit")).tree
    maker = TreeMaker(parent_tree, read_tree, draft.writer)
    tree = plan.make_tree(maker)
    content = encode_commit(
        tree=tree,
        parents=[] if state.parent is None else [state.parent],
        author=plan.facts.author,
        committer=plan.facts.committer,
        message=plan.facts.message,
    )
    commit = draft.writer.add_object("commit", content)
    return _Built(commit, tree, {**maker.written, commit: content})
