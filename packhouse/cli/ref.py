"""`packhouse ref`: look at the ref log, and put refs back."""

import click

from packhouse.cli.command import PackhouseGroup
from packhouse.cli.node import opened_node
from packhouse.cli.output import Record, json_option, print_outcome, print_table
from packhouse.clock import format_timestamp
from packhouse.git import EPHEMERAL, PERSISTENT, oid_to_wire, parse_refname
from packhouse.git.objects import parse_date
from packhouse.limits import page_max
from packhouse.operations.refs.read_ref_log import ReadRefLog, RefMove, read_ref_log
from packhouse.operations.refs.restore_ref import RestoreRef, restore_ref
from packhouse.operations.tenants.act_as_operator import ActAsOperator, act_as_operator


@click.group("ref", cls=PackhouseGroup)
def command() -> None:
    """Refs of a repository: where they were, and back there."""


@command.command("log")
@click.argument("org")
@click.argument("repo")
@click.argument("ref", required=False)
@click.option("--ephemeral", is_flag=True, help="REF is in the ephemeral namespace.")
@click.option("--limit", default=20, type=click.IntRange(1, page_max), help="How many moves to show.")
@json_option
def log_(*, org: str, repo: str, ref: str | None, ephemeral: bool, limit: int, as_json: bool) -> None:
    """Show who moved the refs of REPO, or only REF (a branch or a full name), newest first."""
    wanted = ReadRefLog(
        repo=repo,
        refname=None if ref is None else parse_refname(ref),
        namespace=_namespace(ephemeral),
        count_max=limit,
    )
    with opened_node() as node:
        page = read_ref_log(node, act_as_operator(node, ActAsOperator(org)), wanted)
    records = [_record(move) for move in page.moves]
    columns = ["id", "moved_at", "ref", "old_sha", "new_sha", "action", "actor"]
    print_table(records, columns, as_json=as_json)


@command.command("restore")
@click.argument("org")
@click.argument("repo")
@click.argument("ref")
@click.option("--at", metavar="TIME", help="To where it was at this time, as 2026-01-31T12:00:00Z.")
@click.option("--entry", type=int, metavar="ID", help="To where it was before this entry of the log.")
@click.option("--ephemeral", is_flag=True, help="REF is in the ephemeral namespace.")
@json_option
def restore(
    *, org: str, repo: str, ref: str, at: str | None, entry: int | None, ephemeral: bool, as_json: bool
) -> None:
    """Put REF of REPO back: undo a push, a forced push or a deletion."""
    if (at is None) == (entry is None):
        raise click.UsageError("give either --at or --entry")
    wanted = RestoreRef(
        repo=repo,
        namespace=_namespace(ephemeral),
        refname=parse_refname(ref),
        at=None if at is None else parse_date(at)[0],
        entry=entry,
    )
    with opened_node() as node:
        restored = restore_ref(node, act_as_operator(node, ActAsOperator(org)), wanted)
    name, old, new = restored.refname.decode("utf-8"), oid_to_wire(restored.old_oid), restored.new_oid
    print_outcome(
        {"ref": name, "old_sha": old, "new_sha": new}, f"{name} was at {old}, is at {new}", as_json=as_json
    )


def _namespace(ephemeral: bool) -> str:
    return EPHEMERAL if ephemeral else PERSISTENT


def _record(move: RefMove) -> Record:
    return {
        "id": move.id,
        "moved_at": format_timestamp(move.moved_at),
        "ref": move.refname.decode("utf-8"),
        "ephemeral": move.namespace == EPHEMERAL,
        "old_sha": oid_to_wire(move.old_oid),
        "new_sha": oid_to_wire(move.new_oid),
        "action": move.action,
        "actor": move.actor,
    }
