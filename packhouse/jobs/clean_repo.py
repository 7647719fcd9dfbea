"""Job `clean_repo`: free the storage of a deleted repository. Its key is the repository's `repo_…` id."""

from packhouse.jobs.task import Job, JobInterrupted
from packhouse.node import Node
from packhouse.operations.packs.clean_due_repo import CleanDueRepo, clean_due_repo


def run(node: Node, job: Job) -> None:
    """Run the job."""
    if not clean_due_repo(node, CleanDueRepo(job.key, should_stop=job.should_stop)):
        raise JobInterrupted
