"""Delete the rows of a deleted repository. Its own row stays, so that its id is never given out again."""

from packhouse.db.credentials import delete_credentials_of_repo
from packhouse.db.session import Session
from packhouse.db.webhooks import delete_webhooks_of_repo
from packhouse.ids import RepoKey


def delete_rows_of_repo(session: Session, org_id: int, repo_id: RepoKey, *, now: int) -> None:
    """Delete refs, packs, kept answers, the upstream with its credential, and the repository's own subscriptions."""
    for query in (
        "delete_refs_of_repo",
        "delete_packs_of_repo",
        "delete_upstream_of_repo",
        "delete_damage_of_repo",
        "delete_kept_answers_of_repo",
    ):
        session.run(query, repo_id=repo_id)
    delete_credentials_of_repo(session, repo_id)
    delete_webhooks_of_repo(session, org_id, repo_id, now=now)


def delete_ref_log_page(session: Session, repo_id: RepoKey, *, limit: int) -> int:
    """Delete the oldest `limit` rows of the ref log. Return the number of deleted rows."""
    return session.run("delete_ref_log_page", repo_id=repo_id, limit=limit)
