"""Delete the rows of deleted repositories. Their own rows stay, so that no id is ever given out again."""

from collections.abc import Sequence
from typing import Final

from packhouse.db.repos import Repo, mark_repo_cleaned
from packhouse.db.session import Session, SqlValue

_FEW_ROWS: Final = (
    "delete_packs_of_repo",
    "delete_upstream_of_repo",
    "delete_damage_of_repo",
    "delete_kept_answers_of_repo",
    "delete_git_credentials_of_repo",
)


def delete_rows_of_repos(session: Session, repos: Sequence[Repo], *, now: int) -> None:
    """Delete what each repository has few rows of.

    These are packs, kept answers, damage, the upstream with its credential, and the repository's own subscriptions.
    """
    rows: list[dict[str, SqlValue]] = [{"repo_id": repo.id} for repo in repos]
    for query in _FEW_ROWS:
        session.run_many(query, rows)
    session.run_many(
        "delete_webhooks_of_repo",
        [{"org_id": repo.org_id, "repo_id": repo.id, "now": now} for repo in repos],
    )


def delete_history_of_repos(session: Session, repos: Sequence[Repo], *, limit: int, now: int) -> int:
    """Delete at most `limit` refs and entries of ref logs, oldest first, and mark the emptied repositories as cleaned.

    Works through `repos` in their order. Returns the number of repositories that are cleaned: those behind it have
    rows left.
    """
    for place, repo in enumerate(repos):
        for query in ("delete_refs_page", "delete_ref_log_page"):
            limit -= session.run(query, repo_id=repo.id, limit=limit)
            if limit <= 0:
                return place
        mark_repo_cleaned(session, repo.id, now=now)
    return len(repos)
