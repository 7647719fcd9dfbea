"""Listing the public keys that sign an organisation's commits."""

from dataclasses import dataclass

from packhouse.db import SigningKeyRow
from packhouse.db import signing_keys as rows
from packhouse.node import Node
from packhouse.operations.tenants.orgs import read_org

__all__ = ["ListSigningKeys", "SigningKeyRow", "list_signing_keys"]


@dataclass(frozen=True, slots=True)
class ListSigningKeys:
    """The organisation whose signing keys are listed."""

    org: str


def list_signing_keys(node: Node, command: ListSigningKeys) -> list[SigningKeyRow]:
    """Return the organisation's signing keys, revoked ones too, newest first; raise OrgNotFound."""
    with node.database.snapshot() as session:
        return rows.list_signing_keys(session, read_org(session, command.org).id)
