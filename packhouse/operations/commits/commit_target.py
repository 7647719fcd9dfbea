"""The place of a new commit: target branch, base branch and guard, the same for all writing operations."""

from dataclasses import dataclass

from packhouse.db import Repo, Session, get_ref, has_branches
from packhouse.errors import Code, Invalid, NotFound, PreconditionFailed
from packhouse.git import EPHEMERAL, PERSISTENT, ZERO_OID, Oid, RefName, check_new_name, is_oid, short_name
from packhouse.node import Node
from packhouse.operations.refs.branches import BranchNotFound
from packhouse.repository import open_view, resolve_ref


class GuardMismatch(PreconditionFailed, kw_only=True):
    """The branch is not where the caller expected it. `expected` is the caller's text."""

    code = Code.GUARD_MISMATCH
    branch: str
    expected: str
    actual: Oid | None


@dataclass(frozen=True, slots=True)
class CommitTarget:
    """The branch to commit to.

    A branch that does not exist yet starts at `base_refname`. `expected` is the guard: an object id, or any text that
    names a commit.
    """

    namespace: str
    refname: RefName
    base_namespace: str = PERSISTENT
    base_refname: RefName | None = None
    expected: str | None = None


@dataclass(frozen=True, slots=True)
class TargetState:
    """The tip of the target branch (None: the branch does not exist), and the parent of the new commit."""

    tip: Oid | None
    parent: Oid | None


def read_target(node: Node, repo: Repo, target: CommitTarget) -> TargetState:
    """Return the state on which the commit builds, after a check of the guard.

    The guard is compared with the target's tip or, if the target does not exist, with the base's tip. Without base and
    guard, a root commit is allowed only as the first branch. Raises GuardMismatch and BranchNotFound, and
    NewNameRefused for a target that does not exist and cannot be made.
    """
    with node.database.read() as session:
        ref = get_ref(session, repo.id, target.namespace, target.refname)
        if ref is not None:
            state = TargetState(ref.oid, ref.oid)
        else:
            check_new_name(target.refname)
            state = _read_base(session, repo, target)
    if target.expected is not None:
        _check_guard(node, repo, target, target.expected, state)
    return state


def _read_base(session: Session, repo: Repo, target: CommitTarget) -> TargetState:
    """Return the start of a new branch. Raises BranchNotFound when the base is missing, or is absent and needed.

    A guard of zeros means that the branch must not exist. It does not ask for a second history, so it is answered like
    an absent guard.
    """
    if target.base_refname is not None:
        base = get_ref(session, repo.id, target.base_namespace, target.base_refname)
        if base is None:
            raise BranchNotFound(short_name(target.base_refname))
        return TargetState(None, base.oid)
    first = not any(has_branches(session, repo.id, name) for name in {PERSISTENT, target.namespace})
    if target.expected in (None, ZERO_OID) and not first:
        raise BranchNotFound(short_name(target.refname))
    return TargetState(None, None)


def _check_guard(node: Node, repo: Repo, target: CommitTarget, expected: str, state: TargetState) -> None:
    refname, namespace, actual = target.refname, target.namespace, state.tip
    if state.tip is None and target.base_refname is not None:
        refname, namespace, actual = target.base_refname, target.base_namespace, state.parent
    if actual is None and expected == ZERO_OID:
        return
    if is_oid(expected.lower()):
        resolved = expected.lower()
    else:
        try:
            with open_view(node, repo) as view:
                resolved = resolve_ref(view, expected, ephemeral=namespace == EPHEMERAL).commit
        except (Invalid, NotFound):
            resolved = ""
    if resolved != actual:
        raise GuardMismatch(branch=short_name(refname), expected=expected, actual=actual)
