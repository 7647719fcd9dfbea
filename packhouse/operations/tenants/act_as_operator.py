"""The operator at the command line as a caller of operations."""

from packhouse.auth.principal import Principal, operator_principal
from packhouse.node.node import Node
from packhouse.operations.tenants.orgs import read_org


def act_as_operator(node: Node, org_name: str) -> Principal:
    """Return a principal that may do everything in the organisation; raise OrgNotFound."""
    with node.database.read() as session:
        org = read_org(session, org_name)
    return operator_principal(org.id, org.name)
