"""Freeing the storage of a deleted repository, some time after its deletion."""

from dataclasses import dataclass

from packhouse.db import (
    delete_ref_log_page,
    delete_rows_of_repo,
    find_repo_by_public_id,
    mark_repo_cleaned,
    start_cleaning_repo,
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
    """Remove packs and rows of a deleted repository. True when nothing is left to do, or the repository is back.

    It can be interrupted anywhere and called again. The repository's row stays, and is marked as cleaned last. Only
    then is a second deletion of its name answered as not found. An operator who wants the space earlier or later
    changes the time of the job.
    """
    public_id = command.public_id
    with node.database.read() as session:
        repo = find_repo_by_public_id(session, public_id)
    if repo is None or repo.deleted_at is None:
        return True
    with node.database.write() as session:
        if not start_cleaning_repo(session, repo.id, now=node.clock()):
            return True
        start_deleting_all(session, repo.id, now=node.clock())
    if node.store.remove_repo(public_id):
        log_repo_event(repo, "packs deleted of a deleted repository")
    with node.database.write() as session:
        delete_rows_of_repo(session, repo.org_id, repo.id, now=node.clock())
    while not command.should_stop():
        with node.database.write() as session:
            if delete_ref_log_page(session, repo.id, limit=node.limits.prune_batch) < node.limits.prune_batch:
                mark_repo_cleaned(session, repo.id, now=node.clock())
                return True
    return False
