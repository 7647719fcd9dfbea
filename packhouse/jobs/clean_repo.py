"""Job `clean_repo`: free the storage of a deleted repository. Its key is the repository's `repo_…` id."""

from collections.abc import Collection, Sequence

from packhouse.jobs.task import Job, JobInterrupted
from packhouse.node import Node
from packhouse.operations.packs.clean_due_repos import CleanDueRepos, clean_due_repos


def run(node: Node, job: Job) -> None:
    """Run the job."""
    if run_many(node, [job]):
        raise JobInterrupted


def run_many(node: Node, jobs: Sequence[Job]) -> Collection[str]:
    """Run jobs together, which takes as many transactions as one. Return the keys of the interrupted ones."""
    keys = [job.key for job in jobs]
    return clean_due_repos(node, CleanDueRepos(keys, should_stop=jobs[0].should_stop))
