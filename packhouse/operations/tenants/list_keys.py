"""Listing the public keys that sign an organisation's tokens."""

from dataclasses import dataclass

from packhouse.db import Key
from packhouse.db import keys as rows
from packhouse.node import Node
from packhouse.operations.tenants.orgs import read_org

__all__ = ["Key", "ListKeys", "list_keys"]


@dataclass(frozen=True, slots=True)
class ListKeys:
    """The organisation whose keys are listed."""

    org: str


def list_keys(node: Node, command: ListKeys) -> list[Key]:
    """Return the organisation's keys, revoked ones too, newest first; raise OrgNotFound."""
    with node.database.snapshot() as session:
        return rows.list_keys(session, read_org(session, command.org).id)
