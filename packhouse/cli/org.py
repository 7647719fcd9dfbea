"""`packhouse org`: organisations."""

import click

from packhouse.cli.command import PackhouseGroup
from packhouse.cli.node import opened_node
from packhouse.cli.output import Record, json_option, print_record, print_table
from packhouse.cli.settings import with_creation_settings
from packhouse.clock import format_timestamp
from packhouse.operations.tenants.orgs import Org, check_org_name, create_org, iter_orgs


@click.group("org", cls=PackhouseGroup)
def command() -> None:
    """Organisations: each has its own keys and its own repositories."""


@with_creation_settings
@command.command("create")
@click.argument("name")
@json_option
def create(*, name: str, as_json: bool) -> None:
    """Create the organisation NAME, which tokens name as their issuer."""
    check_org_name(name)  # before anything is made
    with opened_node(may_create=True) as node:
        org = create_org(node, name)
    if as_json:
        print_record(_record(org), as_json=True)
    else:
        click.echo(f"created organisation {org.name}")


@command.command("list")
@json_option
def list_(*, as_json: bool) -> None:
    """List all organisations by name."""
    with opened_node() as node:
        records = [_record(org) for org in iter_orgs(node)]
    print_table(records, ["name", "created_at"], as_json=as_json)


def _record(org: Org) -> Record:
    return {"name": org.name, "created_at": format_timestamp(org.created_at)}
