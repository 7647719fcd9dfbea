"""Counting repositories before they are deleted together."""

from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.db import count_prefixed_repos
from packhouse.node import Node
from packhouse.operations.removal.name_prefix import check_prefix


@dataclass(frozen=True, slots=True)
class CountRepos:
    """The start of the names, compared literally: case and each character matter."""

    prefix: str


def count_repos(node: Node, caller: Principal, command: CountRepos) -> int:
    """Return the number of the caller's repositories that delete_repos() would delete. Raises NamePrefixInvalid."""
    prefix = check_prefix(command.prefix)
    with node.database.read() as session:
        return count_prefixed_repos(session, caller.org_id, prefix)
