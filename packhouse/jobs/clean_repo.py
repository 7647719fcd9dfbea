"""Job `clean_repo`: free what a deleted repository held. Its key is the repository's `repo_…` id."""

from packhouse.jobs.task import Job, JobInterrupted
from packhouse.node.node import Node
from packhouse.operations.packs.clean_repo import clean_repo, postpone_cleaning


def run(node: Node, job: Job) -> None:
    """Run the job."""
    if postpone_cleaning(node, job.key):
        return
    if not clean_repo(node, job.key, should_stop=job.should_stop):
        raise JobInterrupted
