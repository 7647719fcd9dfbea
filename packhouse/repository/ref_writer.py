"""The one way in which refs change: policy, then one ref transaction, then what follows from it.

Whoever has made objects durable (a commit over HTTP, a push, a merge) calls `move_refs`; nothing else writes
ref rows, so that policies, the ref log, packs and events cannot be forgotten by a new endpoint.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from packhouse.auth.policy import RefChange
from packhouse.auth.principal import Principal
from packhouse.db.ref_transaction import (
    DefaultBranchProtected,
    PackRow,
    RefMismatch,
    RefMissing,
    RefNameConflict,
    RefOutcome,
    RefUpdate,
    apply_ref_updates,
    preview_ref_updates,
)
from packhouse.db.repos import Repo
from packhouse.git.oid import Oid
from packhouse.git.process import run_git
from packhouse.limits import packs_before_consolidation, sync_after_write_s
from packhouse.node.node import Node
from packhouse.repository.damage import check_answer
from packhouse.repository.events import record_pushes
from packhouse.repository.new_objects import NewObjects
from packhouse.repository.receipts import BoundReceipt
from packhouse.repository.sync_queue import queue_sync
from packhouse.repository.upstream_access import UpstreamAway
from packhouse.repository.upstream_forward import Forwarded, UpstreamRejected, forward_updates
from packhouse.repository.view import hold_packs
from packhouse.storage.pack_file import PackFile


def check_policy(
    caller: Principal,
    update: RefUpdate,
    *,
    is_fast_forward: Callable[[], bool],
    signatures_verify: Callable[[], bool] | None = None,
) -> None:
    """Return if the caller's token lets it make this update; raise PolicyDenied or PolicyUnusable.

    Both questions are asked only when a rule for this ref depends on them. `signatures_verify` tells whether
    every commit that the update introduces is signed (signed_updates.py); None says that the update brings a
    commit made here, which is unsigned.
    """
    ops = caller.policy.ops_for(update.namespace, update.refname)
    if not ops:
        return
    if update.new_oid is None:
        change = RefChange.DELETE
    elif update.old_oid is None:
        change = RefChange.CREATE
    else:
        change = RefChange.FAST_FORWARD if is_fast_forward() else RefChange.FORCED
    caller.policy.decide(update.namespace, update.refname, change, signatures_verify=signatures_verify)


def is_ancestor(node: Node, repo: Repo, ancestor: Oid, descendant: Oid) -> bool:
    """Tell whether `ancestor` is reachable from `descendant`; False when either is no commit."""
    if ancestor == descendant:
        return True
    with hold_packs(node, repo) as lock:
        answer = run_git(
            node.store.repo_path(repo.public_id),
            "merge-base",
            "--is-ancestor",
            ancestor,
            descendant,
            pass_fds=(lock,),
            ok_codes=frozenset({0, 1, 128}),
        )
        check_answer(node, repo, answer)
    return answer.code == 0


def rehearse_refs(
    node: Node, repo: Repo, updates: Sequence[RefUpdate], *, atomic: bool = True
) -> list[RefOutcome]:
    """Return, or raise, what move_refs would at this moment, and change nothing.

    Asked before a pack is published, so that what is refused anyway leaves no pack behind.
    """
    with node.database.snapshot() as session:
        return preview_ref_updates(session, repo.id, updates, atomic=atomic)


def move_refs(
    node: Node,
    caller: Principal,
    repo: Repo,
    updates: Sequence[RefUpdate],
    *,
    action: str,
    receipt: BoundReceipt | None,
    objects: NewObjects | None = None,
    packs: list[PackFile] | None = None,
    atomic: bool = True,
) -> list[RefOutcome]:
    """Publish `objects`, then move refs by compare-and-swap in one transaction, with packs and events.

    The caller has checked the policy. `packs` may name packs that an earlier attempt published; those of
    `objects` are added to it. With `atomic` the first failure raises and nothing moves; without, each outcome
    carries its own error. Branches and tags of a repository with an upstream are pushed there first, out of
    the quarantine: what it refuses is not published. A `receipt` keeps the answer of a request with an idempotency
    key, in the same transaction; None says that there is nobody to repeat it for. Raises NotFound when the
    repository is gone, RefMismatch, RefNameConflict, DefaultBranchProtected, UpstreamRejected, UpstreamAway and
    KeyTaken.
    """
    if receipt is not None:  # before an upstream hears of it, and before a pack is published for nothing
        with node.database.read() as session:
            receipt.check(session, repo.id, now=node.clock())
    packs = [] if packs is None else packs
    forwarded = None
    if repo.upstream is not None and repo.upstream.is_written:
        forwarded = _forward(node, repo, updates, objects, atomic=atomic)
    if objects is not None and (forwarded is None or len(forwarded.refused) < len(updates)):
        packs += objects.publish()
    rows = [PackRow(pack.name, pack.size_bytes, pack.objects) for pack in packs]
    if forwarded is not None:
        outcomes = _move_forwarded(
            node, caller, repo, updates, forwarded, action, rows, receipt, atomic=atomic
        )
    else:
        outcomes = _move(node, caller, repo, updates, action, rows, receipt, atomic=atomic)
    if (
        packs
        and node.maintenance.note_publication(repo.public_id)
        and node.store.count_packs(repo.public_id) > packs_before_consolidation
    ):
        node.request_maintenance(repo.public_id)
    return outcomes


def _move(
    node: Node,
    caller: Principal,
    repo: Repo,
    updates: Sequence[RefUpdate],
    action: str,
    packs: Sequence[PackRow],
    receipt: BoundReceipt | None,
    *,
    atomic: bool,
    pull_after: bool = False,
) -> list[RefOutcome]:
    now = node.clock()
    with node.database.write() as session:
        outcomes = apply_ref_updates(
            session,
            repo.id,
            updates,
            actor=caller.subject,
            action=action,
            now=now,
            packs=packs,
            atomic=atomic,
        )
        told = record_pushes(session, repo, outcomes, ephemeral=bool(node.config.ephemeral_events), now=now)
        if receipt is not None:
            receipt.keep(session, repo.id, now=now)
        if pull_after:
            queue_sync(session, repo.id, repo.public_id, delay_s=sync_after_write_s, now=now)
    if told:
        node.wakeups.notify()
    return outcomes


def _forward(
    node: Node, repo: Repo, updates: Sequence[RefUpdate], objects: NewObjects | None, *, atomic: bool
) -> Forwarded:
    """Ask the upstream; when it refuses anything, or nobody knows, pull soon: it is not where we believe."""
    try:
        forwarded = forward_updates(node, repo, updates, objects, atomic=atomic)
    except UpstreamRejected:
        _pull_soon(node, repo)
        raise
    except UpstreamAway as away:
        if away.is_unclear:
            _pull_soon(node, repo)
        raise
    if any(isinstance(error, UpstreamRejected) for error in forwarded.refused.values()):
        _pull_soon(node, repo)
    return forwarded


def _move_forwarded(
    node: Node,
    caller: Principal,
    repo: Repo,
    updates: Sequence[RefUpdate],
    forwarded: Forwarded,
    action: str,
    packs: Sequence[PackRow],
    receipt: BoundReceipt | None,
    *,
    atomic: bool,
) -> list[RefOutcome]:
    """Move what the upstream accepted. Where the local ref moved meanwhile, the pull that follows decides."""
    kept = [number for number in range(len(updates)) if number not in forwarded.refused]
    remaining = [updates[number] for number in kept]
    try:
        moved = _move(
            node,
            caller,
            repo,
            remaining,
            action,
            packs,
            receipt,
            atomic=atomic,
            pull_after=bool(forwarded.accepted),
        )
    except (RefMismatch, RefMissing, RefNameConflict, DefaultBranchProtected) as error:
        if not any(updates[number].refname == error.refname for number in forwarded.accepted):
            raise
        _pull_soon(node, repo)
        moved = [RefOutcome(update, update.old_oid) for update in remaining]
    outcomes = {
        number: RefOutcome(updates[number], None, error) for number, error in forwarded.refused.items()
    }
    for number, outcome in zip(kept, moved, strict=True):
        accepted = number in forwarded.accepted and outcome.error is not None
        outcomes[number] = replace(outcome, error=None) if accepted else outcome
    return [outcomes[number] for number in range(len(updates))]


def _pull_soon(node: Node, repo: Repo) -> None:
    now = node.clock()
    with node.database.write() as session:
        queue_sync(session, repo.id, repo.public_id, now=now)
    node.wakeups.notify()
