"""Adopting packs that are in the store and that the database does not know."""

from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.db import RepoNotFound, find_repo
from packhouse.node import Node
from packhouse.repository import adopt_unlisted


@dataclass(frozen=True, slots=True)
class AdoptPacks:
    """The repository, by its name."""

    repo: str


@dataclass(frozen=True, slots=True)
class AdoptedPacks:
    """The names of the adopted packs."""

    names: list[str]


def adopt_packs(node: Node, caller: Principal, command: AdoptPacks) -> AdoptedPacks:
    """List the packs of a repository that are in the store without a row; raise RepoNotFound.

    For an operator who has restored the database from a backup: packs that are newer than the backup have no rows.
    """
    with node.database.read() as session:
        repo = find_repo(session, caller.org_id, command.repo)
    if repo is None:
        raise RepoNotFound(command.repo)
    return AdoptedPacks(adopt_unlisted(node, repo))
