"""Job `prune_events`: delete old answers, and events and deliveries older than the operator wants to keep."""

from packhouse.jobs.task import Job, JobInterrupted
from packhouse.node import Node
from packhouse.operations.answers.forget_answers import ForgetAnswers, forget_answers
from packhouse.operations.events.prune_events import PruneEvents, prune_events
from packhouse.operations.events.queue_next_prune import QueueNextPrune, queue_next_prune


def run(node: Node, job: Job) -> None:
    """Run the job and queue the next one."""
    if not prune_events(node, PruneEvents(should_stop=job.should_stop)):
        raise JobInterrupted
    if not forget_answers(node, ForgetAnswers(should_stop=job.should_stop)):
        raise JobInterrupted
    queue_next_prune(node, QueueNextPrune())
