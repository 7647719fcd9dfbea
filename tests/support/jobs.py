"""Running the jobs of a node in the test's own process."""

from packhouse.jobs.worker import Worker
from packhouse.node.node import Node
from packhouse.operations.jobs.list_jobs import ListJobs, list_jobs
from tests.support.waiting import wait_until


def drain(node: Node, worker: Worker) -> None:
    """Run jobs until none is due or running."""
    wait_until(lambda: not worker.start_due() and not _is_any_left(node), "jobs are left")


def _is_any_left(node: Node) -> bool:
    """Tell whether a job runs or is due. An interrupted job waits again before its thread is free."""
    now = node.clock()
    jobs = list_jobs(node, ListJobs())
    return any(job.state == "running" or (job.state == "waiting" and job.run_at <= now) for job in jobs)
