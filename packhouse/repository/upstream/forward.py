"""Forwarding a write to the upstream before it is acknowledged.

Branches and tags are pushed there, each guarded by the value that this server knows (`git push --force-with-lease`).
The upstream refuses a ref that it has moved meanwhile, and then this server refuses it, too. Notes and ephemeral refs
are never pushed.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from packhouse import limits
from packhouse.db import RefOutcome, RefUpdate, Repo, preview_ref_updates
from packhouse.errors import Code, Conflict, PackhouseError
from packhouse.git import PERSISTENT, RefName
from packhouse.git.commands.transport.push import PushedRef, push_refs
from packhouse.git.commands.transport.remote import RemoteFailed
from packhouse.node import Node
from packhouse.repository.upstream.access import UpstreamAway, explain_fault, open_access
from packhouse.repository.upstream.mirror import MIRRORED
from packhouse.repository.upstream.queue import pull_soon
from packhouse.repository.view import RepoView
from packhouse.repository.write import Write


class UpstreamRejected(Conflict):
    """The upstream refused the update, and nothing moved here. Pull, then decide again."""

    code = Code.UPSTREAM_REJECTED
    refname: RefName


@dataclass(slots=True)
class Forwarded:
    """The upstream's answer by the number of the update. Updates that were not pushed are absent."""

    accepted: set[int] = field(default_factory=set)
    refused: dict[int, PackhouseError] = field(default_factory=dict)

    def note(self, outcomes: Mapping[int, RefOutcome], moved: Collection[RefName], *, atomic: bool) -> None:
        """Note the answer to a push of some updates: the upstream has moved the refs in `moved`.

        With `atomic`, raises the first refusal.
        """
        for number, outcome in outcomes.items():
            refname = outcome.update.refname
            if refname in moved:
                self.accepted.add(number)
            else:
                self.refused[number] = UpstreamRejected(refname)
        if atomic and self.refused:
            raise next(iter(self.refused.values()))


def forward_updates(
    node: Node, repo: Repo, updates: Sequence[RefUpdate], write: Write | None, *, atomic: bool
) -> Forwarded:
    """Push the `updates` of branches and tags to the upstream; new objects are in `write`.

    Updates that this server would refuse are not pushed. After a refusal or an unclear result a pull is queued, to
    learn the upstream's values. Raises the errors of a rehearsal of the ref transaction, UpstreamAway when the upstream
    cannot be asked and, with `atomic`, UpstreamRejected.
    """
    try:
        with RepoView(node, repo) as view:
            forwarded = _push(node, repo, updates, write or view, atomic=atomic)
    except UpstreamRejected:
        pull_soon(node, repo)
        raise
    except UpstreamAway as away:
        if away.is_unclear:
            pull_soon(node, repo)
        raise
    if any(isinstance(error, UpstreamRejected) for error in forwarded.refused.values()):
        pull_soon(node, repo)
    return forwarded


def _push(
    node: Node, repo: Repo, updates: Sequence[RefUpdate], opened: Write | RepoView, *, atomic: bool
) -> Forwarded:
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
            outcomes = {number: expected[number] for number in asked[start : start + limits.forward_refs_max]}
            refs = [PushedRef(o.update.refname, o.previous_oid, o.update.new_oid) for o in outcomes.values()]
            try:
                moved = push_refs(opened, access.remote, refs, atomic=atomic, timeout_s=limits.forward_max_s)
            except RemoteFailed as failed:
                raise explain_fault(failed.fault) from failed
            result.note(outcomes, moved, atomic=atomic)
    return result
