"""The only way to change refs: first the policy, then one ref transaction, then its consequences.

An operation that makes objects (a commit over HTTP, a push, a merge, a fork, a pull from an upstream) hands a RefWriter
the objects and the updates that need them. No other code writes ref rows. So a new endpoint cannot forget policies,
packs, the ref log, events, kept answers and wake-ups: `move` takes only updates that `allow` returned.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from packhouse.auth import Principal
from packhouse.db import (
    AppliedUpdates,
    DefaultBranchProtected,
    JournalSize,
    RefMismatch,
    RefMissing,
    RefNameConflict,
    RefOutcome,
    RefUpdate,
    Repo,
    RepoNotFound,
    Session,
    apply_ref_updates,
    note_pack_name,
    preview_ref_updates,
)
from packhouse.limits import sync_after_write_s
from packhouse.node import Node
from packhouse.repository.packs import read_packs
from packhouse.repository.refs.events import record_pushes
from packhouse.repository.refs.receipts import BoundReceipt
from packhouse.repository.stored_packs import new_pack_name
from packhouse.repository.upstream.forward import Forwarded, forward_updates
from packhouse.repository.upstream.queue import pull_soon, queue_sync
from packhouse.repository.write import NOTHING_PUBLISHED, Published, Write

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class AllowedUpdate:
    """An update that the caller's token allows. Only RefWriter.allow() makes one."""

    update: RefUpdate


class RefWriter:
    """Moves refs of one repository for one caller. The ref log records `action`."""

    def __init__(self, node: Node, caller: Principal, repo: Repo, *, action: str) -> None:
        self._node = node
        self._caller = caller
        self._repo = repo
        self._action = action

    def allow(
        self,
        update: RefUpdate,
        *,
        is_fast_forward: Callable[[], bool],
        signatures_verify: Callable[[], bool] | None = None,
    ) -> AllowedUpdate:
        """Return the update if the caller's token allows it; raise PolicyDenied or PolicyUnusable otherwise.

        The two callables are called only when a rule for this ref depends on them. `signatures_verify` tells whether
        every commit that the update introduces is signed (signed_updates.py). None means that the update brings a
        commit made by this server, which is unsigned.
        """
        self._caller.policy.check_update(
            update.namespace,
            update.refname,
            old_oid=update.old_oid,
            new_oid=update.new_oid,
            is_fast_forward=is_fast_forward,
            signatures_verify=signatures_verify,
        )
        return AllowedUpdate(update)

    def rehearse(self, updates: Sequence[AllowedUpdate], *, atomic: bool = True) -> list[RefOutcome]:
        """Return or raise the result that `move` would have now, and change nothing.

        Called before a pack is published, so that the objects of a refused update are not stored.
        """
        with self._node.database.snapshot() as session, self._naming_the_repo():
            return preview_ref_updates(
                session, self._repo.id, [allowed.update for allowed in updates], atomic=atomic
            )

    def move(
        self,
        updates: Sequence[AllowedUpdate],
        *,
        receipt: BoundReceipt | None,
        write: Write | None = None,
        atomic: bool = True,
    ) -> list[RefOutcome]:
        """Publish the objects of `write`, then move refs by compare-and-swap in one transaction, with packs and events.

        With `atomic`, the first failure raises and no ref moves; without, each outcome carries its own error. Packs
        that an earlier, failed call has published are listed, too. For a repository with an upstream, branches and tags
        are first pushed there, out of `write`; objects of updates that the upstream refuses are not published. A
        `receipt` keeps the answer of a request with an idempotency key, in the same transaction; None means that the
        request has no key. Raises NotFound when the repository is gone, RefMismatch, RefNameConflict,
        DefaultBranchProtected, UpstreamRejected, UpstreamAway, KeyTaken and PackNotIncoming.
        """
        node, repo = self._node, self._repo
        moves = [allowed.update for allowed in updates]
        if receipt is not None:  # a repeat must not reach the upstream, nor publish a pack
            with node.database.read() as session:
                receipt.check(session, repo.id, now=node.clock())
        forwarded = None
        if repo.upstream is not None and repo.upstream.is_written:
            forwarded = forward_updates(node, repo, moves, write, atomic=atomic)
        published = NOTHING_PUBLISHED
        if write is not None and (forwarded is None or len(forwarded.refused) < len(moves)):
            published = write.publish()
        if forwarded is not None:
            outcomes, journal = self._move_forwarded(moves, forwarded, published, receipt, atomic=atomic)
        else:
            outcomes, journal = self._run_transaction(moves, published, receipt, atomic=atomic)
        if write is not None and not published.is_empty:
            self._keep(write, published, journal)
        return outcomes

    def mirror(
        self,
        updates: Sequence[RefUpdate],
        write: Write,
        *,
        begin: Callable[[Session], None],
        end: Callable[[Session], None],
    ) -> None:
        """Move refs to where the upstream has them. No policy is asked, since the upstream decides where they are.

        `begin` and `end` are called in the transaction, before and after the moves. A ref that a writer has moved
        meanwhile stays there.
        """
        node, repo = self._node, self._repo
        published = write.publish() if updates else NOTHING_PUBLISHED
        now, state = node.clock(), node.new_state()

        def work(session: Session) -> JournalSize | None:
            begin(session)
            applied = None
            if updates or not published.is_empty:
                applied = self._apply(session, updates, published, state=state, now=now, atomic=False)
            record_pushes(session, repo, applied.outcomes if applied else [], ephemeral=False, now=now)
            end(session)
            return applied.journal if applied else None

        journal = node.database.transact(work)
        node.wakeups.notify()
        if not published.is_empty:
            self._keep(write, published, journal)

    def fill(self, updates: Sequence[RefUpdate], write: Write, *, bear: Callable[[Session], R]) -> R:
        """Fill a repository that is not visible yet with objects and refs, and return the result of `bear`.

        `bear` is called first in the transaction and makes the repository visible. There is no event for the creation,
        as there is none for that of an empty repository.
        """
        published = write.publish()
        now, state = self._node.clock(), self._node.new_state()

        def work(session: Session) -> tuple[R, JournalSize]:
            born = bear(session)
            applied = self._apply(session, updates, published, state=state, now=now, atomic=True)
            return born, applied.journal

        born, journal = self._node.database.transact(work)
        self._keep(write, published, journal)
        return born

    def _run_transaction(
        self,
        updates: Sequence[RefUpdate],
        published: Published,
        receipt: BoundReceipt | None,
        *,
        atomic: bool,
        pull_after: bool = False,
    ) -> tuple[list[RefOutcome], JournalSize]:
        """Move refs and list packs in one transaction, with events and the kept answer; then wake the receivers."""
        node, repo = self._node, self._repo
        now = node.clock()
        is_warm = bool(published.packs) and node.pack_names.is_warm(repo.id, now=now)
        next_name = new_pack_name(node) if is_warm else None
        with node.database.write() as session:
            applied = self._apply(session, updates, published, state=node.new_state(), now=now, atomic=atomic)
            if next_name is not None:
                note_pack_name(session, repo.id, next_name, now=now)
            told = record_pushes(
                session, repo, applied.outcomes, ephemeral=bool(node.config.ephemeral_events), now=now
            )
            if receipt is not None:
                receipt.keep(session, repo.id, now=now)
            if pull_after:
                queue_sync(session, repo.id, repo.public_id, delay_s=sync_after_write_s, now=now)
        if published.packs:
            node.pack_names.note(repo.id, next_name, now=now)
        if told:
            node.wakeups.notify()
        return applied.outcomes, applied.journal

    def _move_forwarded(
        self,
        updates: Sequence[RefUpdate],
        forwarded: Forwarded,
        published: Published,
        receipt: BoundReceipt | None,
        *,
        atomic: bool,
    ) -> tuple[list[RefOutcome], JournalSize | None]:
        """Move the refs that the upstream accepted. A ref that moved here meanwhile stays; the next pull decides."""
        kept = [number for number in range(len(updates)) if number not in forwarded.refused]
        remaining = [updates[number] for number in kept]
        journal: JournalSize | None = None
        try:
            moved, journal = self._run_transaction(
                remaining, published, receipt, atomic=atomic, pull_after=bool(forwarded.accepted)
            )
        except (RefMismatch, RefMissing, RefNameConflict, DefaultBranchProtected) as error:
            if not any(updates[number].refname == error.refname for number in forwarded.accepted):
                raise
            pull_soon(self._node, self._repo)
            moved = [RefOutcome(update, update.old_oid) for update in remaining]
        outcomes = {
            number: RefOutcome(updates[number], None, error) for number, error in forwarded.refused.items()
        }
        for number, outcome in zip(kept, moved, strict=True):
            accepted = number in forwarded.accepted and outcome.error is not None
            outcomes[number] = replace(outcome, error=None) if accepted else outcome
        return [outcomes[number] for number in range(len(updates))], journal

    def _apply(
        self,
        session: Session,
        updates: Sequence[RefUpdate],
        published: Published,
        *,
        state: int,
        now: int,
        atomic: bool,
    ) -> AppliedUpdates:
        with self._naming_the_repo():
            return apply_ref_updates(
                session,
                self._repo.id,
                updates,
                actor=self._caller.subject,
                action=self._action,
                state=state,
                now=now,
                packs=published.packs,
                small_packs=published.small_packs,
                atomic=atomic,
            )

    @contextlib.contextmanager
    def _naming_the_repo(self) -> Iterator[None]:
        """Name the repository in RepoNotFound by the name that its users know, instead of its key."""
        try:
            yield
        except RepoNotFound as gone:
            raise RepoNotFound(self._repo.name) from gone

    def _keep(self, write: Write, published: Published, journal: JournalSize | None) -> None:
        """Keep what the transaction has listed. Ask for upkeep when the journal is full or the packs are many.

        `journal` is its size by now, or None if the transaction has listed nothing.
        """
        node, repo = self._node, self._repo
        write.keep_published()
        is_due = False
        if journal is not None and published.small_packs:
            added = JournalSize.of(held.pack for held in published.small_packs)
            is_due = node.journal.note_write(repo.id, added, journal=journal)
        # The packs are counted after every few publications.
        if published.packs and node.maintenance.note_publication(repo.public_id):
            listed = read_packs(node, repo, fresh=True)
            is_due = is_due or len(listed.packs) > node.limits.packs_before_consolidation
        if is_due:
            node.request_maintenance(repo.public_id)
