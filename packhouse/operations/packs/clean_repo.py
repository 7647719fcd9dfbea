"""Freeing what a deleted repository held, some time after its deletion."""

from collections.abc import Callable

from packhouse import limits
from packhouse.db.clean_repo import delete_ref_log_page, delete_rows_of_repo
from packhouse.db.jobs import insert_job
from packhouse.db.packs import start_deleting_all
from packhouse.db.repos import find_repo_by_public_id, mark_repo_cleaned, start_cleaning_repo
from packhouse.db.session import Session
from packhouse.node.node import Node
from packhouse.repository.repo_log import log_repo_event


def clean_repo(node: Node, public_id: str, *, should_stop: Callable[[], bool] = lambda: False) -> bool:
    """Remove packs and rows of a deleted repository; True when nothing is left to do, also when it lives again.

    Can be cut short anywhere and called again. The repository's row stays and is marked as cleaned last: only
    then does a second deletion of its name say that there is none. An operator who wants the space earlier
    or later changes when the job runs, not this.
    """
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
    while not should_stop():
        with node.database.write() as session:
            if delete_ref_log_page(session, repo.id, limit=node.limits.prune_batch) < node.limits.prune_batch:
                mark_repo_cleaned(session, repo.id, now=node.clock())
                return True
    return False


def postpone_cleaning(node: Node, public_id: str) -> bool:
    """Queue the job `clean_repo` anew when it came too early; tell whether it did.

    It does for a repository that was put back and deleted again: the job of the first deletion still waited.
    """
    now = node.clock()

    def postpone(session: Session) -> bool:
        repo = find_repo_by_public_id(session, public_id)
        if repo is None or repo.deleted_at is None:
            return False
        run_at = repo.deleted_at + limits.deleted_repo_keep_s
        if run_at <= now:
            return False
        insert_job(session, "clean_repo", public_id, repo_id=repo.id, run_at=run_at, now=now)
        return True

    return node.database.transact(postpone)
