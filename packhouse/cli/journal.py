"""`packhouse journal`: turn the small packs in the database into stored packs."""

import click

from packhouse.cli.command import PackhouseGroup
from packhouse.cli.node import opened_node
from packhouse.cli.output import json_option, print_outcome
from packhouse.cli.repo_argument import split_repo
from packhouse.operations.packs.flush_journal import FlushJournal, flush_journal
from packhouse.operations.packs.flush_journals import FlushedJournals, FlushJournals, flush_journals
from packhouse.operations.tenants.act_as_operator import ActAsOperator, act_as_operator


@click.group("journal", cls=PackhouseGroup)
def command() -> None:
    """Small packs that wait in the database."""


@command.command("flush")
@click.argument("repo", required=False, metavar="[ORG/NAME]")
@click.option("--all", "is_all", is_flag=True, help="Every journal, also short ones.")
@click.pass_context
@json_option
def flush(context: click.Context, *, repo: str | None, is_all: bool, as_json: bool) -> None:
    """Store the packs of full journals now; with ORG/NAME, that of one repository.

    Before an older version is installed, stop every server and run it with --all.
    """
    if repo is not None and is_all:
        raise click.UsageError("give a repository or --all, not both")
    with opened_node() as node:
        if repo is not None:
            org, name = split_repo(repo)
            one = flush_journal(node, act_as_operator(node, ActAsOperator(org)), FlushJournal(name))
            done = FlushedJournals(int(one.rows > 0), one.rows, one.size_bytes, [])
        else:
            done = flush_journals(node, FlushJournals(even_short=is_all))
    print_outcome(
        {
            "repositories": done.repos,
            "rows": done.rows,
            "bytes": done.size_bytes,
            "busy": done.busy,
            "older_release": done.older_release,
        },
        f"stored {done.rows} rows ({done.size_bytes} bytes) of {done.repos} repositories",
        as_json=as_json,
    )
    if done.older_release is not None and not as_json:
        click.echo(f"the journal is empty: release {done.older_release} may open the database")
    if done.busy:
        click.echo(f"skipped {len(done.busy)} repositories that another process maintains", err=True)
        context.exit(1)
