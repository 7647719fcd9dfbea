"""Job `prune_events`: delete old answers, and events and deliveries older than the operator wants to keep."""

from packhouse.jobs.task import Job, JobInterrupted
from packhouse.node import Node
from packhouse.operations.events.prune_events import PruneEvents, prune_events


def run(node: Node, job: Job) -> None:
    """Run the job, which queues the next one."""
    if not prune_events(node, PruneEvents(should_stop=job.should_stop)):
        raise JobInterrupted
