"""Job `clean_repo`: free the storage of a deleted repository. Its key is the repository's `repo_…` id."""

from packhouse.jobs.task import Job, JobInterrupted
from packhouse.node import Node
from packhouse.operations.packs.clean_repo import CleanRepo, clean_repo
from packhouse.operations.packs.postpone_cleaning import PostponeCleaning, postpone_cleaning


def run(node: Node, job: Job) -> None:
    """Run the job."""
    if postpone_cleaning(node, PostponeCleaning(job.key)):
        return
    if not clean_repo(node, CleanRepo(job.key, should_stop=job.should_stop)):
        raise JobInterrupted
