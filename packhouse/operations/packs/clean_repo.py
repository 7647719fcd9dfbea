"""Freeing the storage of deleted repositories, some time after their deletion."""

from collections.abc import Sequence
from dataclasses import dataclass

from packhouse.db import (
    Repo,
    Session,
    delete_history_of_repos,
    delete_rows_of_repos,
    find_repo_by_public_id,
    start_cleaning_repos,
    start_deleting_all,
)
from packhouse.node import Node, ShouldStop, never
from packhouse.repository import log_repo_event


@dataclass(frozen=True, slots=True)
class CleanRepo:
    """The repository, by its `repo_…` id. `should_stop` is called between two transactions."""

    public_id: str
    should_stop: ShouldStop = never


def clean_repo(node: Node, command: CleanRepo) -> bool:
    """Remove packs and rows of a deleted repository; see clean_all(). True when nothing is left to do."""
    return not clean_all(node, [command.public_id], should_stop=command.should_stop)


def clean_all(
    node: Node, public_ids: Sequence[str], *, should_stop: ShouldStop, deleted_before: int | None = None
) -> set[str]:
    """Remove packs and rows of deleted repositories. Return the ids of those with something left: it was interrupted.

    It can be interrupted anywhere and called again. A repository that is back, unknown, or was deleted after
    `deleted_before` is left alone. The row of a repository stays, and is marked as cleaned last. Only then is a second
    deletion of its name answered as not found. An operator who wants the space earlier or later changes the time of
    the job.

    Many repositories take as many transactions as one: they share them. A transaction deletes at most
    `limits.prune_batch` refs and log entries, so other writers wait for a moment only, whatever the repositories hold.
    """
    left = _begin(node, public_ids, deleted_before)
    for place, repo in enumerate(left):
        if place and should_stop():
            return _ids(left)
        if node.store.remove_repo(repo.public_id):
            log_repo_event(repo, "packs deleted of a deleted repository")
    while left and not should_stop():
        left = _delete_rows(node, left)
    return _ids(left)


def _begin(node: Node, public_ids: Sequence[str], deleted_before: int | None) -> list[Repo]:
    """Mark the packs of the deleted repositories as *deleting*, so that none comes back. Return the repositories."""
    now = node.clock()
    before = now if deleted_before is None else deleted_before
    with node.database.read() as session:
        found = [find_repo_by_public_id(session, public_id) for public_id in public_ids]
    deleted = [repo for repo in found if repo is not None and repo.deleted_at is not None]
    if not deleted:
        return []

    def begin(session: Session) -> list[Repo]:
        begun = start_cleaning_repos(session, deleted, before=before, now=now)
        for repo in begun:
            start_deleting_all(session, repo.id, now=now)
        return begun

    return node.database.transact(begin)


def _delete_rows(node: Node, repos: Sequence[Repo]) -> list[Repo]:
    """Delete some of the rows of repositories whose packs are gone. Return those that are not clean yet."""
    now = node.clock()

    def delete(session: Session) -> list[Repo]:
        delete_rows_of_repos(session, repos, now=now)
        return delete_history_of_repos(session, repos, limit=node.limits.prune_batch, now=now)

    return node.database.transact(delete)


def _ids(repos: Sequence[Repo]) -> set[str]:
    return {repo.public_id for repo in repos}
