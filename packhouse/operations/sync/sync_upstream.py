"""One run of an upstream sync: fetch into a quarantine, check as for a push, publish, mirror the refs, write an event.

The upstream decides where branches and tags are. A ref that is written here meanwhile stays as written; a pull follows
each forwarded write and makes both sides equal. It is safe to run a sync twice, also at the same time: every ref moves
by compare-and-swap from the value that was read before the upstream was asked.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from packhouse import limits
from packhouse.auth import upstream_principal
from packhouse.db import (
    RefUpdate,
    Repo,
    Session,
    Upstream,
    find_repo_by_id,
    find_repo_by_public_id,
    find_upstream,
    list_refs,
    mark_synced,
    mark_syncing,
)
from packhouse.errors import LimitExceeded, TimedOut
from packhouse.git import HEADS, PERSISTENT, Oid, RefName
from packhouse.git.commands.kill_switch import KillSwitch
from packhouse.git.commands.run import GitFailed
from packhouse.log import log_event
from packhouse.node import Node, ShouldStop, never
from packhouse.operations.sync.sync_runs import ended_run, fail_run
from packhouse.repository import (
    SYNC_STARTED,
    SYNC_SUCCEEDED,
    FetchWatch,
    RefWriter,
    RepoView,
    SyncRun,
    UpstreamAway,
    Write,
    fetch_upstream,
    find_unconnected,
    list_unfit,
    mirrored_only,
    names_for,
    open_access,
    plan_mirror,
    read_kinds,
    record_sync,
)

ACTION: Final = "sync"
_NOT_ACCEPTED: Final = "upstream sent objects that are not accepted"
_NO_STORAGE: Final = "storage not available"
_UNFIT_SHOWN_MAX: Final = 10
_DETACHED: Final = "repository was detached"


class _Stopped(Exception):
    """The process must end. The job will run again."""


class _Unlinked(Exception):
    """The repository, or its link to the upstream, is gone."""


@dataclass(frozen=True, slots=True)
class SyncUpstream:
    """The repository to sync. `ref` limits the run to one branch or tag; `attempt` counts from 1."""

    public_id: str
    ref: str | None = None
    attempt: int = 1
    should_stop: ShouldStop = never


def sync_upstream(node: Node, command: SyncUpstream) -> bool:
    """Run one sync; False when it was stopped and should run again.

    Raises UpstreamAway or OSError for a failure that another attempt may get over. An event reports a lasting failure,
    and the failure of the last attempt. Without an upstream there is nothing to do.
    """
    try:
        repo, upstream = _start(node, command)
    except _Unlinked:
        return True
    try:
        _run(node, command, repo, upstream)
    except _Stopped:
        return False
    except _Unlinked:
        fail_run(node, repo, upstream, _DETACHED)
    except UpstreamAway as away:
        if not away.is_lasting and command.attempt < limits.sync_attempts_max:
            raise
        fail_run(node, repo, upstream, away.reason)
    except (GitFailed, TimedOut, LimitExceeded) as error:
        # The cause is the content of the upstream, so another attempt would fail, too.
        log_event("sync failed", level=logging.WARNING, repo=command.public_id, reason=str(error)[:1000])
        fail_run(node, repo, upstream, _NOT_ACCEPTED)
    except (
        OSError
    ) as error:  # a full disk, for one: a first sync must not keep callers waiting for an operator
        if command.attempt < limits.sync_attempts_max:
            raise
        log_event("sync failed", level=logging.ERROR, repo=command.public_id, reason=error.strerror)
        fail_run(node, repo, upstream, _NO_STORAGE)
    return True


def _start(node: Node, command: SyncUpstream) -> tuple[Repo, Upstream]:
    """Note that the run begins. The event about it is written only at the first attempt."""
    now = node.clock()

    def start(session: Session) -> tuple[Repo, Upstream]:
        repo = find_repo_by_public_id(session, command.public_id)
        if repo is None or repo.deleted_at is not None:
            raise _Unlinked
        if command.attempt == 1:
            mark_syncing(session, repo.id, now=now)
        upstream = find_upstream(session, repo.id)
        if upstream is None:
            raise _Unlinked
        if command.attempt == 1:
            run = SyncRun(upstream.run_count, upstream.synced_at is None, now)
            record_sync(session, repo, SYNC_STARTED, run, now=now)
        return repo, upstream

    started = node.database.transact(start)
    node.wakeups.notify()
    return started


def _run(node: Node, command: SyncUpstream, repo: Repo, upstream: Upstream) -> None:
    assert repo.upstream is not None, "read in the transaction that found the upstream"
    # These values are read before the upstream is asked. A ref that is written later differs from them, and stays.
    with node.database.snapshot() as session:
        stored = list_refs(session, repo.id, PERSISTENT)
    local = mirrored_only({ref.refname: ref.oid for ref in stored})
    access = open_access(node, repo, repo.upstream)
    scope = None if command.ref is None else names_for(command.ref, default_branch=repo.default_branch)
    with RepoView(node, repo) as view, Write(view) as write:
        found = fetch_upstream(
            access,
            write,
            known=list(local.values()),
            scope=scope,
            allowed_faults=node.config.import_allowed_fault_names,
            watch=FetchWatch(
                lambda: _look(node, command, upstream),
                node.config.push_max_bytes,
                node.limits.upstream_refs_max,
            ),
        )
        updates = plan_mirror(local, found, scope=scope, prune=not access.is_public)
        _log_unfit(command, list_unfit(local, found))
        updates = _judge(write, updates, list({ref.oid for ref in stored}))
        _finish(node, repo, upstream, updates, write)


def _log_unfit(command: SyncUpstream, names: Sequence[RefName]) -> None:
    """Log the refs of the upstream that cannot be made here. One bad name does not fail the run."""
    if names:
        shown = [name.decode("utf-8") for name in names[:_UNFIT_SHOWN_MAX]]
        log_event("refs of the upstream left out", repo=command.public_id, count=len(names), refs=shown)


def _look(node: Node, command: SyncUpstream, upstream: Upstream) -> None:
    if command.should_stop():
        raise _Stopped
    with node.database.read() as session:
        _require_linked(session, upstream)


def _require_linked(session: Session, upstream: Upstream) -> None:
    repo = find_repo_by_id(session, upstream.repo_id)
    if repo is None or repo.deleted_at is not None or repo.upstream is None:
        raise _Unlinked


def _judge(write: Write, updates: Sequence[RefUpdate], known: Sequence[Oid]) -> list[RefUpdate]:
    """Return the updates with the targets of their tags; raise UpstreamAway when an object is not acceptable."""
    tips = {update.new_oid for update in updates if update.new_oid is not None}
    kinds = read_kinds(write, tips)
    if len(kinds) < len(tips) or (tips and find_unconnected(write, sorted(tips), known, KillSwitch())):
        raise UpstreamAway(_NOT_ACCEPTED, is_lasting=True)
    judged = []
    for update in updates:
        if update.new_oid is None:
            judged.append(update)
            continue
        kind = kinds[update.new_oid]
        if update.refname.startswith(HEADS) and kind.kind != "commit":
            raise UpstreamAway(_NOT_ACCEPTED, is_lasting=True)
        judged.append(replace(update, peeled_oid=kind.peeled_oid))
    return judged


def _finish(node: Node, repo: Repo, upstream: Upstream, updates: Sequence[RefUpdate], write: Write) -> None:
    """Move the refs and write the event of success, all in one transaction."""
    now = node.clock()

    def begin(session: Session) -> None:
        # This is first because it locks the row: an operation that detaches waits for our end, or we see that the link
        # is gone.
        mark_synced(session, repo.id, now=now)
        _require_linked(session, upstream)

    def end(session: Session) -> None:
        record_sync(session, repo, SYNC_SUCCEEDED, ended_run(upstream, now), now=now)

    caller = upstream_principal(repo.org_id, repo.org_name)
    RefWriter(node, caller, repo, action=ACTION).mirror(updates, write, begin=begin, end=end)
