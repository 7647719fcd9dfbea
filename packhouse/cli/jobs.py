"""`packhouse jobs`: look at background jobs, and retry dead ones."""

import click

from packhouse.cli.command import PackhouseGroup
from packhouse.cli.node import opened_node
from packhouse.cli.output import Record, json_option, print_outcome, print_table
from packhouse.clock import format_timestamp
from packhouse.operations.jobs.list_jobs import STATES, JobRow, ListJobs, list_jobs
from packhouse.operations.jobs.retry_job import RetryJob, retry_job


@click.group("jobs", cls=PackhouseGroup)
def command() -> None:
    """Background jobs."""


@command.command("list")
@click.option("--state", type=click.Choice(STATES), default=None, help="Only jobs in this state.")
@json_option
def list_(*, state: str | None, as_json: bool) -> None:
    """List jobs: running, waiting, and dead ones, which failed too often."""
    with opened_node() as node:
        records = [_record(job) for job in list_jobs(node, ListJobs(state))]
    columns = ["id", "kind", "key", "state", "attempts", "run_at", "last_error"]
    print_table(records, columns, as_json=as_json)


@command.command("retry")
@click.argument("job_id", type=click.IntRange(1, 2**63 - 1))
@json_option
def retry(*, job_id: int, as_json: bool) -> None:
    """Let the dead job JOB_ID run again."""
    with opened_node() as node:
        retry_job(node, RetryJob(job_id))
    print_outcome({"retried": job_id}, f"job {job_id} waits again", as_json=as_json)


def _record(job: JobRow) -> Record:
    return {
        "id": job.id,
        "kind": job.kind,
        "key": job.key,
        "state": job.state,
        "attempts": job.attempts,
        "run_at": format_timestamp(job.run_at),
        "last_error": job.last_error,
        "created_at": format_timestamp(job.created_at),
    }
