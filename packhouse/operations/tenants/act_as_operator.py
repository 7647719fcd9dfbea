"""The operator at the command line as a caller of operations."""

from dataclasses import dataclass

from packhouse.auth import Principal, operator_principal
from packhouse.node import Node
from packhouse.operations.tenants.orgs import read_org


@dataclass(frozen=True, slots=True)
class ActAsOperator:
    """The organisation in which the operator acts."""

    org: str


def act_as_operator(node: Node, command: ActAsOperator) -> Principal:
    """Return a principal that may do everything in the organisation; raise OrgNotFound."""
    with node.database.read() as session:
        org = read_org(session, command.org)
    return operator_principal(org.id, org.name)
