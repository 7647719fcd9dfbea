"""`packhouse org`: organisations."""

from collections.abc import Iterator

import click

from packhouse.cli.command import PackhouseGroup
from packhouse.cli.node import opened_node
from packhouse.cli.output import Record, json_option, print_outcome, print_table
from packhouse.cli.settings import with_creation_settings
from packhouse.clock import format_timestamp
from packhouse.node import Node
from packhouse.operations.tenants.create_org import CreateOrg, create_org
from packhouse.operations.tenants.list_orgs import ListOrgs, Org, list_orgs


@click.group("org", cls=PackhouseGroup)
def command() -> None:
    """Organisations: each has its own keys and its own repositories."""


@with_creation_settings
@command.command("create")
@click.argument("name")
@json_option
def create(*, name: str, as_json: bool) -> None:
    """Create the organisation NAME, which tokens name as their issuer."""
    wanted = CreateOrg(name)  # refuses a name before an installation is created
    with opened_node(may_create=True) as node:
        org = create_org(node, wanted)
    print_outcome(_record(org), f"created organisation {org.name}", as_json=as_json)


@command.command("list")
@json_option
def list_(*, as_json: bool) -> None:
    """List all organisations by name."""
    with opened_node() as node:
        records = [_record(org) for org in _iter_orgs(node)]
    print_table(records, ["name", "created_at"], as_json=as_json)


def _iter_orgs(node: Node) -> Iterator[Org]:
    after = ""
    while True:
        page = list_orgs(node, ListOrgs(after))
        yield from page.orgs
        if not page.has_more:
            return
        after = page.orgs[-1].name


def _record(org: Org) -> Record:
    return {"name": org.name, "created_at": format_timestamp(org.created_at)}
