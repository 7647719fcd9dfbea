"""Forwarding a write to the upstream before it is acknowledged.

Branches and tags go there, each guarded by the value that this server knows (`git push --force-with-lease`):
what the upstream has moved meanwhile is refused there, and so here. Notes and ephemeral refs never leave.
"""

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Final

from packhouse import limits
from packhouse.db.ref_transaction import RefOutcome, RefUpdate, preview_ref_updates
from packhouse.db.repos import Repo
from packhouse.errors import Conflict, LimitExceeded, PackhouseError, TimedOut
from packhouse.git.refname import PERSISTENT, RefName
from packhouse.git.remote_call import run_remote_git
from packhouse.node.node import Node
from packhouse.repository.damage import holds_objects
from packhouse.repository.new_objects import GitView, NewObjects
from packhouse.repository.sync_mirror import MIRRORED
from packhouse.repository.upstream_access import UpstreamAccess, UpstreamAway, explain_failure, open_access
from packhouse.repository.view import hold_packs

# git-push(1), "OUTPUT": flag, refs and summary of one ref, between tabs.
_REPORT: Final = re.compile(rb"^([ +*!=-])\t([^\t]*):([^\t:]+)\t(.*)$", re.MULTILINE)


class UpstreamRejected(Conflict):
    """The upstream refused the update; nothing moved here. Pull, then decide again."""

    def __init__(self, refname: RefName) -> None:
        super().__init__("upstream rejected", refname=refname)
        self.refname = refname


@dataclass(slots=True)
class Forwarded:
    """What the upstream said, by the number of the update; others were not asked for."""

    accepted: set[int] = field(default_factory=set)
    refused: dict[int, PackhouseError] = field(default_factory=dict)


def forward_updates(
    node: Node, repo: Repo, updates: Sequence[RefUpdate], objects: NewObjects | None, *, atomic: bool
) -> Forwarded:
    """Push those of `updates` that the upstream shares; `objects` are what the write brings.

    What this server would refuse is not pushed. Raises what a rehearsal of the ref transaction raises,
    UpstreamAway when the upstream cannot be asked and, with `atomic`, UpstreamRejected.
    """
    result = Forwarded()
    shared = [
        number
        for number, update in enumerate(updates)
        if update.namespace == PERSISTENT and update.refname.startswith(MIRRORED)
    ]
    if repo.upstream is None or not shared:
        return result
    access = open_access(node, repo, repo.upstream)
    if access.is_public:
        return result
    with node.database.snapshot() as session:
        expected = preview_ref_updates(session, repo.id, updates, atomic=atomic)
    result.refused = {n: outcome.error for n in shared if (outcome := expected[n]).error is not None}
    asked = [number for number in shared if number not in result.refused and expected[number].moved]
    held = hold_packs(node, repo) if holds_objects(node, repo) else nullcontext()
    with held as lock, _view(node, repo, objects) as view:
        upstream = _UpstreamGit(access, view, () if lock is None else (lock,))
        for start in range(0, len(asked), limits.forward_refs_max):
            numbers = asked[start : start + limits.forward_refs_max]
            _push(upstream, {n: expected[n] for n in numbers}, result, atomic=atomic)
    return result


def _view(node: Node, repo: Repo, objects: NewObjects | None) -> AbstractContextManager[GitView]:
    """Return the repository with the new objects over it; without any, as it is."""
    if objects is not None:
        return objects.lend()
    return nullcontext(GitView(node.store.repo_path(repo.public_id)))


@dataclass(frozen=True, slots=True)
class _UpstreamGit:
    """Runs git against the upstream with what it may see."""

    access: UpstreamAccess
    view: GitView
    locks: tuple[int, ...]


def _push(
    upstream: _UpstreamGit, outcomes: dict[int, RefOutcome], result: Forwarded, *, atomic: bool
) -> None:
    """Push some updates and note what became of each."""
    leases, specs = [], []
    for outcome in outcomes.values():
        name = outcome.update.refname.decode("utf-8")
        leases.append(f"--force-with-lease={name}:{outcome.previous_oid or ''}")
        specs.append(f"{outcome.update.new_oid or ''}:{name}")
    together = ["--atomic"] if atomic and len(specs) > 1 else []
    reports = _run(upstream, ["push", "--porcelain", "--no-verify", *together, *leases], specs)
    for number, outcome in outcomes.items():
        refname = outcome.update.refname
        if reports.get(bytes(refname), b"!") == b"!":
            result.refused[number] = UpstreamRejected(refname)
        else:
            result.accepted.add(number)
    if atomic and result.refused:
        raise next(iter(result.refused.values()))


def _run(upstream: _UpstreamGit, command: Sequence[str], specs: Sequence[str]) -> dict[bytes, bytes]:
    """Return the flag of each ref that git reports on; raise UpstreamAway when it reports on none."""
    access = upstream.access
    try:
        done = run_remote_git(
            upstream.view.git_dir,
            *command,
            access.server.url,
            *specs,
            server=access.server,
            login=access.login,
            env=upstream.view.environment,
            pass_fds=upstream.locks,
            timeout_s=limits.forward_max_s,
            watch=_no_watch,
        )
    except TimedOut:
        raise UpstreamAway("timed out") from None
    except LimitExceeded:
        raise UpstreamAway("upstream sent too much", is_lasting=True) from None
    reports = {match[3]: match[1] for match in _REPORT.finditer(done.stdout)}
    if not reports:
        raise explain_failure(done.stderr)
    return reports


def _no_watch() -> None:
    """Nothing but its time limit ends a forwarded write: its client waits for it."""
