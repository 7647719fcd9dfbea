"""The answer of an upstream to a write, and the pull that follows."""

import json

import pytest

from packhouse.db.jobs import claim_job, list_claimable_jobs
from packhouse.db.ref_transaction import RefOutcome, RefUpdate
from packhouse.db.repos import Repo
from packhouse.git.oid import Oid
from packhouse.git.refname import PERSISTENT, RefName
from packhouse.node.node import Node
from packhouse.repository.upstream.forward import Forwarded, UpstreamRejected, forward_updates
from packhouse.repository.upstream.queue import SYNC_JOB, pull_soon

pytestmark = pytest.mark.quick

ONE = Oid("1" * 40)
MAIN, SIDE = RefName(b"refs/heads/main"), RefName(b"refs/heads/side")
OUTCOMES = {
    3: RefOutcome(RefUpdate(PERSISTENT, MAIN, None, ONE), None),
    5: RefOutcome(RefUpdate(PERSISTENT, SIDE, None, ONE), None),
}


def jobs(node: Node) -> list[tuple[str, object]]:
    """Return kind and payload of the waiting jobs."""
    with node.database.write() as session:
        ids = list_claimable_jobs(session, now=node.clock(), limit=10)
        claimed = [claim_job(session, job, worker="w", lease_until=9_999, now=node.clock()) for job in ids]
    return [(job.kind, json.loads(job.payload)) for job in claimed if job is not None]


def test_each_update_is_accepted_or_refused_by_its_number() -> None:
    forwarded = Forwarded()
    forwarded.note(OUTCOMES, {MAIN}, atomic=False)
    assert forwarded.accepted == {3}
    assert {number: error.fields for number, error in forwarded.refused.items()} == {
        5: UpstreamRejected(SIDE).fields
    }


def test_the_first_refusal_of_an_atomic_write_is_raised() -> None:
    with pytest.raises(UpstreamRejected) as refused:
        Forwarded().note(OUTCOMES, {MAIN}, atomic=True)
    assert refused.value.refname == SIDE
    Forwarded().note(OUTCOMES, {MAIN, SIDE}, atomic=True)


def test_a_repository_without_an_upstream_forwards_nothing_and_pulls_nothing(node: Node, repo: Repo) -> None:
    forwarded = forward_updates(node, repo, [OUTCOMES[3].update], None, atomic=True)
    assert (forwarded.accepted, forwarded.refused) == (set(), {})
    assert jobs(node) == []


def test_a_pull_is_queued_once_and_wakes_its_worker(node: Node, repo: Repo) -> None:
    seen = node.wakeups.wait(0, 0)
    pull_soon(node, repo)
    pull_soon(node, repo)
    assert node.wakeups.wait(seen, 0) > seen
    assert jobs(node) == [(SYNC_JOB, {"repo": repo.public_id, "ref": None})]
