"""Creating an organisation."""

from dataclasses import dataclass

from packhouse.db import Org, insert_org
from packhouse.node import Node
from packhouse.operations.tenants.orgs import check_org_name


@dataclass(frozen=True, slots=True)
class CreateOrg:
    """The name of the new organisation. It can never be changed. Raises OrgNameInvalid."""

    name: str

    def __post_init__(self) -> None:
        check_org_name(self.name)


def create_org(node: Node, command: CreateOrg) -> Org:
    """Create an organisation without keys and repositories; raise OrgExists."""
    with node.database.write() as session:
        return insert_org(session, name=command.name, now=node.clock())
