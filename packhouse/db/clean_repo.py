"""Delete the rows of deleted repositories. Their own rows stay, so that no id is ever given out again."""

from collections.abc import Sequence
from typing import Final

from packhouse.db.repos import Repo, is_repo_cleaned, mark_repos_cleaned
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


def delete_history_of_repos(session: Session, repos: Sequence[Repo], *, limit: int, now: int) -> list[Repo]:
    """Delete about `limit` rows of journals, refs and ref logs. Mark the emptied repositories as cleaned.

    Each repository has an equal share of the limit. Returns the repositories that have rows left.
    """
    share = max(1, limit // (2 * len(repos)))
    rows: list[dict[str, SqlValue]] = [{"repo_id": repo.id, "limit": share} for repo in repos]
    session.run_many("delete_journal_page", rows)
    session.run_many("delete_refs_page", rows)
    session.run_many("delete_ref_log_page", rows)
    if mark_repos_cleaned(session, [repo.id for repo in repos], now=now) == len(repos):
        return []
    return [repo for repo in repos if not is_repo_cleaned(session, repo.id)]
