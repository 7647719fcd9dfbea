"""Merging a commit into a branch: the merged tree is git's, the commit and the ref move are ours.

Objects are made in a quarantine and become durable before the branch moves; a refused merge leaves nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from packhouse.auth import Principal
from packhouse.db import RefMismatch, RefUpdate, Repo, RepoNotFound
from packhouse.errors import Code, Conflict
from packhouse.git import EPHEMERAL, PERSISTENT, NewNameRefused, Oid, RefName, short_name
from packhouse.git.commands.merge_tree import UnrelatedHistories
from packhouse.git.commands.rev_list import Revisions
from packhouse.git.objects import (
    Person,
    encode_commit,
    merge_needs_git_fsck,
    needs_git_fsck,
    parse_commit,
    parse_tree,
)
from packhouse.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.commits.add_commit import CommitFacts
from packhouse.operations.commits.commit_target import (
    CommitTarget,
    GuardMismatch,
    read_target,
)
from packhouse.operations.refs.branches import BranchNotFound
from packhouse.operations.refs.locked_writes import write_under_lock
from packhouse.operations.refs.signed_updates import verify_introduced
from packhouse.repository import (
    AllowedUpdate,
    MergeSide,
    Receipt,
    RefWriter,
    Write,
    bind,
    merge_trees,
    open_view,
    resolve_ref,
    server_person,
    source_label,
)

_ACTION: Final = "merge"


class MergeStrategy(Enum):
    """MERGE always makes a merge commit, FF_ONLY never. FF_PREFER makes one when a fast-forward is impossible."""

    MERGE = auto()
    FF_ONLY = auto()
    FF_PREFER = auto()


class MergeResult(Enum):
    """The result of a merge or a preview. NO_OP: the target contains the source already."""

    MERGE_COMMIT = auto()
    FAST_FORWARD = auto()
    NO_OP = auto()
    SQUASH = auto()


class MergeConflict(Conflict):
    """Git could not merge the files at `paths`. `merge_base` is None for histories without a common ancestor."""

    code = Code.MERGE_CONFLICT
    paths: list[bytes]
    merge_base: Oid | None


class TargetMoved(Conflict):
    """The target is not where the caller expected it, or kept moving.

    `actual` is None for a target that does not exist.
    """

    code = Code.TARGET_MOVED
    branch: str
    actual: Oid | None


class RepoChanged(Conflict):
    """The repository or the target branch was deleted while the merge was made."""

    code = Code.REPO_CHANGED


class NotFastForward(Conflict, kw_only=True):
    """The target has commits that the source lacks."""

    code = Code.NOT_FAST_FORWARD
    branch: str
    source: str


@dataclass(frozen=True, slots=True)
class Merge:
    """A merge. `source` is any ref input. `message` None means the usual message, `author` None the server.

    `expected` is the guard of the target: an object id, or any text that names a commit.
    """

    repo: str
    source: str
    source_is_ephemeral: bool
    target: RefName
    target_is_ephemeral: bool
    strategy: MergeStrategy
    expected: str | None = None
    message: bytes | None = None
    author: Person | None = None
    committer: Person | None = None
    allow_unrelated: bool = False
    squash: bool = False


@dataclass(frozen=True, slots=True)
class Merged:
    """The result of a merge. `commit` is the target's tip now, `old_oid` its tip before.

    `promoted` is the number of commits that the target gained from the source.
    """

    result: MergeResult
    commit: Oid
    tree: Oid
    source: MergeSide
    old_oid: Oid
    merge_base: Oid | None
    promoted: int


def merge(node: Node, caller: Principal, command: Merge, *, receipt: Receipt[Merged] | None = None) -> Merged:
    """Merge the source, as it is now, into the target branch.

    An unguarded merge that loses the race for the target is repeated on the new tip. A repository with an upstream is
    excepted, since the upstream decides where the target is. Raises RepoNotFound, RefNotFound, BranchNotFound,
    MergeConflict, UnrelatedHistories, MergeImpossible, NotFastForward, TargetMoved, RepoChanged, PolicyDenied,
    LimitExceeded, TimedOut.
    """
    repo = lookup_repo(node, caller, command.repo)
    with open_view(node, repo) as view:
        found = resolve_ref(view, command.source, ephemeral=command.source_is_ephemeral)
    source = MergeSide(source_label(found.name), found.commit)

    _read_tip(node, repo, command)
    only_once = command.expected is not None or repo.upstream is not None
    try:
        with open_view(node, repo) as view, Write(view) as write:

            def attempt() -> Merged:
                tip = _read_tip(node, repo, command)
                return _Attempt(node, caller, repo, command, source, tip, write, receipt).run()

            return write_under_lock(node, repo, command.target, attempt, is_guarded=only_once)
    except RefMismatch as lost:
        if lost.actual is None:
            raise RepoChanged() from None
        raise TargetMoved(short_name(command.target), lost.actual) from None
    except (RepoNotFound, BranchNotFound):  # both existed a moment ago
        raise RepoChanged() from None


def _read_tip(node: Node, repo: Repo, command: Merge) -> Oid:
    """Return the tip of the target after a check of the guard; raise BranchNotFound, TargetMoved."""
    target = CommitTarget(_namespace(command), command.target, expected=command.expected)
    try:
        state = read_target(node, repo, target)
    except NewNameRefused:  # a merge creates no branch
        raise BranchNotFound(short_name(command.target)) from None
    except GuardMismatch as mismatch:
        actual = mismatch.actual
        if actual is None:
            raise BranchNotFound(short_name(command.target)) from None
        raise TargetMoved(short_name(command.target), actual) from None
    if state.tip is None:
        raise BranchNotFound(short_name(command.target))
    return state.tip


def _namespace(command: Merge) -> str:
    return EPHEMERAL if command.target_is_ephemeral else PERSISTENT


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One merge onto one tip. `write` also has the packs that earlier attempts have published."""

    node: Node
    caller: Principal
    repo: Repo
    command: Merge
    source: MergeSide
    tip: Oid
    write: Write
    receipt: Receipt[Merged] | None

    def run(self) -> Merged:
        """Merge and move the target; raise RefMismatch after a lost race."""
        command = self.command
        base = self.write.view.git.merge_base(self.tip, self.source.commit)
        if base == self.source.commit:
            self._allow(self.tip, lambda: True)
            return self._merged(MergeResult.NO_OP, self.tip, self._tree_of(self.tip), base)
        if base is None and not command.allow_unrelated:
            raise UnrelatedHistories()
        can_forward = base == self.tip
        if command.strategy is MergeStrategy.FF_ONLY and not can_forward:
            raise NotFastForward(branch=short_name(command.target), source=self.source.label)
        if can_forward and command.strategy is not MergeStrategy.MERGE and not command.squash:
            return self._fast_forward(base)
        return self._commit(base, can_forward=can_forward)

    def _fast_forward(self, base: Oid | None) -> Merged:
        update = self._update(self.source.commit)
        allowed = self._allow(
            self.source.commit, lambda: verify_introduced(self.node, self.caller, self.repo, update)
        )
        tree = self._tree_of(self.source.commit)
        merged = self._merged(MergeResult.FAST_FORWARD, self.source.commit, tree, base)
        receipt = bind(self.receipt, lambda: merged)
        self._writer.move([allowed], receipt=receipt)
        return merged

    def _commit(self, base: Oid | None, *, can_forward: bool) -> Merged:
        """Make one new commit on the tip, with both parents, or with only the tip when squashing."""
        self._allow(self.source.commit, None)  # first, because the policy needs no merged tree
        result = MergeResult.SQUASH if self.command.squash else MergeResult.MERGE_COMMIT
        fresh: dict[Oid, bytes] = {}
        needs_fsck = False
        if can_forward:
            tree = self._tree_of(self.source.commit)
        else:
            tree, fresh, needs_fsck = self._merge_into(base)
        content = self._encode(tree)
        commit = self.write.writer.add_object("commit", content)
        merged = self._merged(result, commit, tree, base)
        if needs_fsck:
            self.write.check_strict()
        allowed = self._allow(commit, None)
        self._writer.move([allowed], receipt=bind(self.receipt, lambda: merged), write=self.write)
        for oid, kept in {**fresh, commit: content}.items():
            self.node.objects.put((self.repo.public_id, oid), kept)
        return merged

    def _merge_into(self, base: Oid | None) -> tuple[Oid, dict[Oid, bytes], bool]:
        """Put the new objects of git's merge into the pack. Return the tree, the new trees, and whether git must check.

        A merge of lines in `.gitmodules`, or a renaming to it, may make content that no side had. So git must check the
        pack.
        """
        trees: dict[Oid, bytes] = {}
        blobs: set[Oid] = set()
        with Write(self.write.view) as scratch:
            merged = merge_trees(
                scratch,
                ours=MergeSide(short_name(self.command.target), self.tip),
                theirs=self.source,
                allow_unrelated=self.command.allow_unrelated,
            )
            if not merged.is_clean:
                raise MergeConflict([conflict.path for conflict in merged.conflicts], base)
            for kind, content in scratch.iter_loose():
                oid = self.write.writer.add_object(kind, content)
                if kind == "tree":
                    trees[oid] = content
                else:
                    blobs.add(oid)
        entries = (entry for content in trees.values() for entry in parse_tree(content))
        needs_fsck = needs_git_fsck((entry.name, entry.mode) for entry in entries if entry.oid in blobs)
        return merged.tree, trees, needs_fsck or self._has_new_rules(merged.tree, trees)

    def _has_new_rules(self, tree: Oid, written: dict[Oid, bytes]) -> bool:
        sides = [self._tree_of(commit) for commit in (self.tip, self.source.commit)]
        return merge_needs_git_fsck(self.write.view.read_tree, tree, written, sides)

    def _encode(self, tree: Oid) -> bytes:
        facts = self._facts()
        parents = [self.tip] if self.command.squash else [self.tip, self.source.commit]
        return encode_commit(
            tree=tree,
            parents=parents,
            author=facts.author,
            committer=facts.committer,
            message=facts.message,
        )

    def _facts(self) -> CommitFacts:
        author = self.command.author or server_person(self.node)
        usual = f"Merge {self.source.label} into {short_name(self.command.target)}\n".encode()
        return CommitFacts(self.command.message or usual, author, self.command.committer or author)

    def _update(self, new_oid: Oid) -> RefUpdate:
        return RefUpdate(_namespace(self.command), self.command.target, self.tip, new_oid)

    @property
    def _writer(self) -> RefWriter:
        return RefWriter(self.node, self.caller, self.repo, action=_ACTION)

    def _allow(self, new_oid: Oid, signatures_verify: Callable[[], bool] | None) -> AllowedUpdate:
        """Ask the policy about a move to `new_oid`. A merge moves a branch only forward."""
        return self._writer.allow(
            self._update(new_oid), is_fast_forward=lambda: True, signatures_verify=signatures_verify
        )

    def _tree_of(self, commit: Oid) -> Oid:
        return parse_commit(self.write.view.read_kept(commit, "commit")).tree

    def _merged(self, result: MergeResult, commit: Oid, tree: Oid, base: Oid | None) -> Merged:
        promoted = 0 if result is MergeResult.NO_OP else self._count_promoted()
        return Merged(result, commit, tree, self.source, self.tip, base, promoted)

    def _count_promoted(self) -> int:
        """Count the commits that the source has and the target's tip lacks."""
        return self.write.view.git.count_commits(Revisions([self.source.commit], [self.tip]))
