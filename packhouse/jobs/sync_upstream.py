"""Job `sync_upstream`: pull from an upstream. Its payload names the repository and may name one ref."""

from packhouse.jobs.task import Job, JobInterrupted
from packhouse.node import Node
from packhouse.operations.sync.give_up_sync import GiveUpSync, give_up_sync
from packhouse.operations.sync.sync_upstream import SyncUpstream, sync_upstream


def run(node: Node, job: Job) -> None:
    """Run the job."""
    command = SyncUpstream(
        public_id=job.payload["repo"],
        ref=job.payload.get("ref"),
        attempt=job.attempt,
        should_stop=job.should_stop,
    )
    if not sync_upstream(node, command):
        raise JobInterrupted


def give_up(node: Node, job: Job, why: str) -> None:
    """Stop trying: reads of the repository no longer wait for the pull."""
    give_up_sync(node, GiveUpSync(job.payload["repo"], why))
