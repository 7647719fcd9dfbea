"""Cleaning deleted repositories once they cannot be brought back any more."""

from collections.abc import Sequence
from dataclasses import dataclass

from packhouse import limits
from packhouse.db import JobPriority, Repo, Session, find_repo_by_public_id, insert_job
from packhouse.node import Node, ShouldStop, never
from packhouse.operations.packs.clean_repo import clean_all


@dataclass(frozen=True, slots=True)
class CleanDueRepos:
    """The repositories, by their `repo_…` ids. `should_stop` is called between two transactions."""

    public_ids: Sequence[str]
    should_stop: ShouldStop = never


def clean_due_repos(node: Node, command: CleanDueRepos) -> set[str]:
    """Clean deleted repositories, and queue the job `clean_repo` anew for those for which it came too early.

    The job comes too early for a repository that was brought back and deleted again: the job of the first deletion
    still waited. Returns the ids of repositories whose cleaning was interrupted and should run again.
    """
    early = _postpone(node, command.public_ids)
    due = [public_id for public_id in command.public_ids if public_id not in early]
    before = node.clock() - limits.deleted_repo_keep_s
    return clean_all(node, due, should_stop=command.should_stop, deleted_before=before)


def _postpone(node: Node, public_ids: Sequence[str]) -> set[str]:
    """Queue the job of each repository that may not be cleaned yet, for the time when it may. Return their ids."""
    with node.database.read() as session:  # hardly ever does a job come too early
        if not _list_early(session, public_ids, now=node.clock()):
            return set()
    now = node.clock()

    def postpone(session: Session) -> set[str]:
        early = _list_early(session, public_ids, now=now)
        for repo, run_at in early:
            insert_job(
                session,
                "clean_repo",
                repo.public_id,
                repo_id=repo.id,
                priority=JobPriority.LOW,
                run_at=run_at,
                now=now,
            )
        return {repo.public_id for repo, _ in early}

    return node.database.transact(postpone)


def _list_early(session: Session, public_ids: Sequence[str], *, now: int) -> list[tuple[Repo, int]]:
    """Return the deleted repositories that may not be cleaned yet, each with the time when it may."""
    repos = (find_repo_by_public_id(session, public_id) for public_id in public_ids)
    times = (
        (repo, repo.deleted_at + limits.deleted_repo_keep_s)
        for repo in repos
        if repo is not None and repo.deleted_at is not None
    )
    return [(repo, run_at) for repo, run_at in times if run_at > now]
