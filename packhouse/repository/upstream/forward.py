"""Forwarding a write to the upstream before it is acknowledged.

Branches and tags go there, each guarded by the value that this server knows (`git push --force-with-lease`):
what the upstream has moved meanwhile is refused there, and so here. Notes and ephemeral refs never leave.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from packhouse import limits
from packhouse.db.ref_transaction import RefOutcome, RefUpdate, preview_ref_updates
from packhouse.db.repos import Repo
from packhouse.error_codes import Code
from packhouse.errors import Conflict, LimitExceeded, PackhouseError, TimedOut
from packhouse.git.commands.remote import run_remote_git
from packhouse.git.refname import PERSISTENT, RefName
from packhouse.node.node import Node
from packhouse.repository.git import Opened
from packhouse.repository.upstream.access import UpstreamAccess, UpstreamAway, explain_failure, open_access
from packhouse.repository.upstream.mirror import MIRRORED

# git-push(1), "OUTPUT": flag, refs and summary of one ref, between tabs.
_REPORT: Final = re.compile(rb"^([ +*!=-])\t([^\t]*):([^\t:]+)\t(.*)$", re.MULTILINE)


class UpstreamRejected(Conflict):
    """The upstream refused the update; nothing moved here. Pull, then decide again."""

    code = Code.UPSTREAM_REJECTED
    refname: RefName


@dataclass(slots=True)
class Forwarded:
    """What the upstream said, by the number of the update; others were not asked for."""

    accepted: set[int] = field(default_factory=set)
    refused: dict[int, PackhouseError] = field(default_factory=dict)


def forward_updates(
    node: Node, repo: Repo, updates: Sequence[RefUpdate], opened: Opened, *, atomic: bool
) -> Forwarded:
    """Push those of `updates` that the upstream shares; `opened` is what it is pushed out of.

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
    with opened.telling_damage():
        upstream = _UpstreamGit(access, opened)
        for start in range(0, len(asked), limits.forward_refs_max):
            numbers = asked[start : start + limits.forward_refs_max]
            _push(upstream, {n: expected[n] for n in numbers}, result, atomic=atomic)
    return result


@dataclass(frozen=True, slots=True)
class _UpstreamGit:
    """Runs git against the upstream with what it may see."""

    access: UpstreamAccess
    opened: Opened


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
            upstream.opened.place(),
            *command,
            access.server.url,
            *specs,
            server=access.server,
            login=access.login,
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
