"""Creating a branch on an existing commit, promoting an ephemeral branch, moving a branch by force."""

from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.db import RefMismatch, RefUpdate, Repo, get_ref
from packhouse.errors import Code, Conflict
from packhouse.git import EPHEMERAL, PERSISTENT, Oid, RefName, check_new_name, short_name
from packhouse.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.refs.branches import BranchKeptMoving, BranchNotFound
from packhouse.operations.refs.signed_updates import verify_introduced
from packhouse.repository import Receipt, RefWriter, bind, open_view, resolve_ref

_TRIES_MAX = 10


class BranchExists(Conflict):
    """The branch is at another commit and may not be moved there."""

    code = Code.BRANCH_EXISTS
    branch: str


class BranchNotForward(BranchExists):
    """The branch may be moved forward only, and the commit does not descend from its tip."""

    code = Code.BRANCH_NOT_FORWARD


@dataclass(frozen=True, slots=True)
class CreateBranch:
    """The branch to create. `base_ref` is any ref input; `base_refname`, used without it, can only name a branch.

    With `force`, an existing branch may be moved to any base. When an ephemeral branch is promoted, an existing branch
    may be moved if that is a fast-forward.
    """

    repo: str
    refname: RefName
    ephemeral: bool = False
    base_ref: str | None = None
    base_refname: RefName | None = None
    base_is_ephemeral: bool = False
    force: bool = False


@dataclass(frozen=True, slots=True)
class CreatedBranch:
    """The branch, and the commit that it is at now."""

    refname: RefName
    ephemeral: bool
    tip: Oid


def create_branch(
    node: Node, caller: Principal, command: CreateBranch, *, receipt: Receipt[CreatedBranch] | None = None
) -> CreatedBranch:
    """Put the branch on the base, and return it. The branch may have been there before.

    Raises RepoNotFound, RefNotFound and BranchNotFound for the base, NewNameRefused, BranchExists, RefNameConflict,
    PolicyDenied.
    """
    repo = lookup_repo(node, caller, command.repo)
    base = _resolve_base(node, repo, command)
    namespace = EPHEMERAL if command.ephemeral else PERSISTENT
    created = CreatedBranch(command.refname, command.ephemeral, base)
    for _ in range(_TRIES_MAX):
        with node.database.read() as session:
            present = get_ref(session, repo.id, namespace, command.refname)
        update = RefUpdate(namespace, command.refname, present.oid if present else None, base)
        if update.old_oid is None:
            check_new_name(command.refname)
        else:
            _check_move(node, repo, command, update.old_oid, base)

        def is_fast_forward(update: RefUpdate = update) -> bool:
            return update.old_oid is not None and _is_ancestor(node, repo, update.old_oid, base)

        def signatures_verify(update: RefUpdate = update) -> bool:
            return verify_introduced(node, caller, repo, update)

        writer = RefWriter(node, caller, repo, action="create-branch")
        allowed = writer.allow(update, is_fast_forward=is_fast_forward, signatures_verify=signatures_verify)
        if update.old_oid == base:
            return created
        try:
            writer.move([allowed], receipt=bind(receipt, lambda: created))
        except RefMismatch:  # another writer was faster: check again whether the branch may be moved
            continue
        return created
    raise BranchKeptMoving(short_name(command.refname))


def _resolve_base(node: Node, repo: Repo, command: CreateBranch) -> Oid:
    if command.base_ref is not None:
        with open_view(node, repo) as view:
            return resolve_ref(view, command.base_ref, ephemeral=command.base_is_ephemeral).commit
    assert command.base_refname is not None, "the caller names one of the two"
    namespace = EPHEMERAL if command.base_is_ephemeral else PERSISTENT
    with node.database.read() as session:
        ref = get_ref(session, repo.id, namespace, command.base_refname)
    if ref is None:
        raise BranchNotFound(short_name(command.base_refname))
    return ref.oid


def _check_move(node: Node, repo: Repo, command: CreateBranch, present: Oid, base: Oid) -> None:
    """Raise BranchExists unless the existing branch may be moved to the base."""
    if present == base or command.force:
        return
    promoted = command.base_is_ephemeral and not command.ephemeral
    if not promoted:
        raise BranchExists(short_name(command.refname))
    if not _is_ancestor(node, repo, present, base):
        raise BranchNotForward(short_name(command.refname))


def _is_ancestor(node: Node, repo: Repo, ancestor: Oid, descendant: Oid) -> bool:
    with open_view(node, repo) as view:
        return view.git.is_ancestor(ancestor, descendant)
