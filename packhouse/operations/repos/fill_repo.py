"""Creating a repository with objects: a row that nobody finds, then packs, then all the rest in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.db import (
    RefUpdate,
    Repo,
    RepoExists,
    Session,
    bear_repo,
    find_repo,
    find_repo_by_id,
    insert_unborn_repo,
)
from packhouse.ids import new_repo_id
from packhouse.node import Node
from packhouse.operations.repos.repo_info import RepoInfo
from packhouse.repository import Receipt, RefWriter, Write, bind


@dataclass(frozen=True, slots=True)
class FilledRepo:
    """The repository to create. `updates` create its refs; `action` goes into the ref log.

    `expires_at`: see RepoInfo.
    """

    name: str
    default_branch: str
    updates: Sequence[RefUpdate]
    action: str
    expires_at: int | None = None


def require_free_name(node: Node, caller: Principal, name: str) -> None:
    """Raise RepoExists before any work is done. A race for the name is decided when the repository becomes complete."""
    with node.database.read() as session:
        if find_repo(session, caller.org_id, name) is not None:
            raise RepoExists(name)


def insert_unborn(node: Node, caller: Principal, name: str) -> Repo:
    """Return the row of a repository to be filled. After a crash it is treated as the row of a deleted repository."""
    now = node.clock()

    def insert(session: Session) -> Repo:
        repo_id = insert_unborn_repo(
            session,
            public_id=new_repo_id(node.random_bytes),
            org_id=caller.org_id,
            name=name,
            now=now,
        )
        repo = find_repo_by_id(session, repo_id)
        assert repo is not None, "it was inserted just now"
        return repo

    return node.database.transact(insert)


def fill_repo(
    node: Node, caller: Principal, filled: FilledRepo, write: Write, *, receipt: Receipt[RepoInfo] | None
) -> RepoInfo:
    """Publish `write` into a new row that nobody finds, and make it a repository with these refs.

    Raises RepoExists, and removes the stored packs. After a crash the sweeper removes them.
    """
    repo = insert_unborn(node, caller, filled.name)
    write.send_to(repo)
    now = node.clock()
    info = RepoInfo(
        repo.public_id,
        repo.id,
        filled.name,
        filled.default_branch,
        created_at=now,
        expires_at=filled.expires_at,
    )

    def bear(session: Session) -> RepoInfo:
        bear_repo(
            session,
            repo.id,
            org_id=caller.org_id,
            name=filled.name,
            default_branch=filled.default_branch,
            now=now,
            expires_at=filled.expires_at,
        )
        if (bound := bind(receipt, lambda: info)) is not None:
            bound.keep(session, repo.id, now=now)
        return info

    return RefWriter(node, caller, repo, action=filled.action).fill(filled.updates, write, bear=bear)
