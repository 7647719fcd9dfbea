"""Forking: a one-time copy of a repository's branches and tags. The copy is independent from the first moment."""

from collections.abc import Sequence
from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.db import Ref, RefUpdate, Repo, creation_order
from packhouse.git import HEADS, PERSISTENT, TAGS, Oid, RefName, check_new_name, new_name_fault, short_name
from packhouse.node import Node
from packhouse.operations.repos.bases import ForkBase
from packhouse.operations.repos.fill_repo import FilledRepo, fill_repo, require_free_name
from packhouse.operations.repos.fork_source import SourceState, open_source, peel_to_commit, read_source
from packhouse.operations.repos.repo_info import RepoInfo
from packhouse.repository import (
    Receipt,
    RefNotFound,
    RepoView,
    Write,
    copy_objects,
    head_target,
    is_reached,
    list_reached,
    open_view,
)

ACTION = "fork"


@dataclass(frozen=True, slots=True)
class _Plan:
    default_branch: RefName
    updates: Sequence[RefUpdate]

    @property
    def roots(self) -> list[Oid]:
        return sorted({update.new_oid for update in self.updates if update.new_oid is not None})


@dataclass(frozen=True, slots=True)
class ForkRepo:
    """The name of the new repository, and the base to copy. `default_branch` None means that of the source.

    `expires_at`: see CreateRepo.
    """

    repo: str
    base: ForkBase
    default_branch: RefName | None = None
    expires_at: int | None = None


def fork_repo(
    node: Node, caller: Principal, command: ForkRepo, *, receipt: Receipt[RepoInfo] | None = None
) -> RepoInfo:
    """Create a copy of the base and return it.

    Without ref and id, every branch and tag is copied. With one of them, the copy has a single branch at that commit
    and the tags that are reachable from it. Refs whose names no new ref can have are left out. Raises Unauthenticated,
    Denied, RepoNotFound, RefNotFound and RepoExists, and NewNameRefused when the default branch would have such a name.
    """
    base = command.base
    source = open_source(node, caller, base.repo, base.token)
    require_free_name(node, caller, command.repo)
    with open_view(node, source) as view, Write(view) as write:
        if view.is_empty:
            plan = _plan_empty(source, command)
        else:
            state = read_source(node, source)
            plan = _make_plan(view, state, command)
            copy_objects(write, plan.roots)
        filled = FilledRepo(
            command.repo, short_name(plan.default_branch), plan.updates, ACTION, command.expires_at
        )
        return fill_repo(node, caller, filled, write, receipt=receipt)


def _plan_empty(source: Repo, command: ForkRepo) -> _Plan:
    base = command.base
    if base.oid is not None or base.ref is not None:
        raise RefNotFound(base.oid or base.ref or "")
    return _Plan(command.default_branch or _default_branch(source), [])


def _make_plan(view: RepoView, state: SourceState, command: ForkRepo) -> _Plan:
    base, default_branch = command.base, command.default_branch
    if base.ref is None and base.oid is None:
        # The refs are created in the order of their creation in the source.
        in_order = sorted(state.refs, key=creation_order)
        updates = [_creation(ref) for ref in in_order if new_name_fault(ref.refname) is None]
        return _Plan(default_branch or _default_branch(state.repo), updates)
    if base.oid is not None:
        ref = state.find(base.ref) if base.ref is not None else None
        commit = _find_commit(view, state, base.oid)
    else:
        assert base.ref is not None
        ref = state.require(base.ref)
        commit = peel_to_commit(view, ref, base.ref)
    if default_branch is None:
        is_branch = ref is not None and ref.refname.startswith(HEADS)
        default_branch = check_new_name(ref.refname) if ref and is_branch else _default_branch(state.repo)
    branch = RefUpdate(PERSISTENT, default_branch, None, commit)
    tags = [ref for ref in state.refs if ref.refname.startswith(TAGS) and new_name_fault(ref.refname) is None]
    reached = list_reached(view, commit, {ref.peeled_oid or ref.oid for ref in tags})
    kept = [_creation(ref) for ref in tags if (ref.peeled_oid or ref.oid) in reached]
    return _Plan(default_branch, [branch, *kept])


def _default_branch(source: Repo) -> RefName:
    """Return the name of the source's default branch. Raises NewNameRefused, as an older release allowed more names."""
    return check_new_name(head_target(source))


def _creation(ref: Ref) -> RefUpdate:
    return RefUpdate(PERSISTENT, ref.refname, None, ref.oid, ref.peeled_oid)


def _find_commit(view: RepoView, state: SourceState, oid: Oid) -> Oid:
    """Return the commit `oid`, or the commit of an annotated tag. It must be reachable from a branch or tag."""
    tagged = {ref.oid: ref.peeled_oid for ref in state.refs if ref.peeled_oid is not None}
    commit = tagged.get(oid) or oid
    header = view.kind_and_size(commit)
    if header is None or header[0] != "commit":
        raise RefNotFound(oid)
    tips = [tip for tip in state.tips() if view.read_header(tip)[0] == "commit"]
    if not is_reached(view, commit, tips):
        view.require_whole()  # git is silent when it cannot read the parents of the tips
        raise RefNotFound(oid)
    return commit
