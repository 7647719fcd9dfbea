"""Taking packs in that lie in the store and that the database does not know."""

from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.db import RepoNotFound, find_repo
from packhouse.node import Node
from packhouse.repository import adopt_unlisted


@dataclass(frozen=True, slots=True)
class AdoptPacks:
    """Of which repository."""

    repo: str


@dataclass(frozen=True, slots=True)
class AdoptedPacks:
    """The names of the packs that were taken in."""

    names: list[str]


def adopt_packs(node: Node, caller: Principal, command: AdoptPacks) -> AdoptedPacks:
    """List the unlisted packs of a repository; raise RepoNotFound.

    For an operator who has restored the database from a backup: what was joined since then is in packs that the backup
    does not know.
    """
    with node.database.read() as session:
        repo = find_repo(session, caller.org_id, command.repo)
    if repo is None:
        raise RepoNotFound(command.repo)
    return AdoptedPacks(adopt_unlisted(node, repo))
