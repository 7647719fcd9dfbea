"""Job `sync_upstream`: pull from an upstream. Its payload names the repository and perhaps one ref."""

from packhouse.jobs.task import Job, JobInterrupted
from packhouse.node.node import Node
from packhouse.operations.sync.sync_upstream import SyncAsk, give_up_sync, sync_upstream


def run(node: Node, job: Job) -> None:
    """Run the job."""
    ask = SyncAsk(
        repo_id=job.payload["repo"],
        ref=job.payload.get("ref"),
        attempt=job.attempt,
        should_stop=job.should_stop,
    )
    if not sync_upstream(node, ask):
        raise JobInterrupted


def give_up(node: Node, job: Job, why: str) -> None:
    """Let the repository's readers go on with what is there."""
    give_up_sync(node, job.payload["repo"], why)
