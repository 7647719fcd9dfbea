"""Job `clean_repo`: free what a deleted repository held. Its key is the repository's `repo_…` id."""

from packhouse.jobs.task import Job, JobInterrupted
from packhouse.operations.clean_repo import clean_repo
from packhouse.operations.node import Node


def run(node: Node, job: Job) -> None:
    """Run the job."""
    if not clean_repo(node, job.key, should_stop=job.should_stop):
        raise JobInterrupted
