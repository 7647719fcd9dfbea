"""Forwarding a write to the upstream before it is acknowledged.

Branches and tags are pushed there, each guarded by the value that this server knows (`git push --force-with-lease`).
The upstream refuses a ref that it has moved meanwhile, and then this server refuses it, too. Notes and ephemeral refs
are never pushed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from packhouse import limits
from packhouse.db import RefOutcome, RefUpdate, Repo, preview_ref_updates
from packhouse.errors import Code, Conflict, PackhouseError
from packhouse.git import PERSISTENT, RefName
from packhouse.git.commands.transport.push import PushedRef, push_refs
from packhouse.git.commands.transport.remote import RemoteFailed
from packhouse.node import Node
from packhouse.repository.git import Opened
from packhouse.repository.upstream.access import UpstreamAccess, explain_fault, open_access
from packhouse.repository.upstream.mirror import MIRRORED


class UpstreamRejected(Conflict):
    """The upstream refused the update, and nothing moved here. Pull, then decide again."""

    code = Code.UPSTREAM_REJECTED
    refname: RefName


@dataclass(slots=True)
class Forwarded:
    """The upstream's answer by the number of the update. Updates that were not pushed are absent."""

    accepted: set[int] = field(default_factory=set)
    refused: dict[int, PackhouseError] = field(default_factory=dict)


def forward_updates(
    node: Node, repo: Repo, updates: Sequence[RefUpdate], opened: Opened, *, atomic: bool
) -> Forwarded:
    """Push the `updates` of branches and tags out of `opened` to the upstream.

    Updates that this server would refuse are not pushed. Raises the errors of a rehearsal of the ref transaction,
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
        for start in range(0, len(asked), limits.forward_refs_max):
            numbers = asked[start : start + limits.forward_refs_max]
            _push(access, opened, {n: expected[n] for n in numbers}, result, atomic=atomic)
    return result


def _push(
    access: UpstreamAccess,
    opened: Opened,
    outcomes: dict[int, RefOutcome],
    result: Forwarded,
    *,
    atomic: bool,
) -> None:
    """Push some updates and note the result of each."""
    refs = [
        PushedRef(outcome.update.refname, outcome.previous_oid, outcome.update.new_oid)
        for outcome in outcomes.values()
    ]
    try:
        moved = push_refs(opened, access.remote, refs, atomic=atomic, timeout_s=limits.forward_max_s)
    except RemoteFailed as failed:
        raise explain_fault(failed.fault) from failed
    for number, outcome in outcomes.items():
        refname = outcome.update.refname
        if refname in moved:
            result.accepted.add(number)
        else:
            result.refused[number] = UpstreamRejected(refname)
    if atomic and result.refused:
        raise next(iter(result.refused.values()))
