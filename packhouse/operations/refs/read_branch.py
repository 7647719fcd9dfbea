"""Reading one branch."""

from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.db import get_ref
from packhouse.git import EPHEMERAL, PERSISTENT, RefName, short_name
from packhouse.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.refs.branches import Branch, BranchNotFound


@dataclass(frozen=True, slots=True)
class ReadBranch:
    """The branch to read, by its exact name."""

    repo: str
    refname: RefName
    ephemeral: bool = False


def read_branch(node: Node, caller: Principal, command: ReadBranch) -> Branch:
    """Return the branch; raise RepoNotFound and BranchNotFound."""
    repo = lookup_repo(node, caller, command.repo)
    with node.database.read() as session:
        ref = get_ref(session, repo.id, EPHEMERAL if command.ephemeral else PERSISTENT, command.refname)
    if ref is None:
        raise BranchNotFound(short_name(command.refname))
    return Branch.of(ref)
