"""Credentials for upstreams, at most one for each repository. Callers seal the passwords first."""

from dataclasses import dataclass

from packhouse.db.session import Session
from packhouse.db.text import is_storable
from packhouse.db.webhooks import SealedRow
from packhouse.ids import RepoKey


@dataclass(frozen=True, slots=True)
class GitCredential:
    """A stored credential. With an empty `username` the provider's usual name is sent."""

    id: int
    credential_id: str
    repo_id: RepoKey
    username: str
    sealed_password: bytes
    sealed_with: str
    created_at: int


def insert_credential(
    session: Session,
    *,
    credential_id: str,
    org_id: int,
    repo_id: RepoKey,
    username: str,
    sealed_password: bytes,
    sealed_with: str,
    now: int,
) -> bool:
    """Add the credential of a repository. Return False if it has one already."""
    row = session.one(
        "insert_git_credential",
        credential_id=credential_id,
        org_id=org_id,
        repo_id=repo_id,
        username=username,
        sealed_password=sealed_password,
        sealed_with=sealed_with,
        now=now,
    )
    return row is not None


def find_credential(session: Session, org_id: int, credential_id: str) -> GitCredential | None:
    """Return the credential with that `ggc_…` id if it belongs to a living repository of the organisation."""
    if not is_storable(credential_id):
        return None
    row = session.one("find_git_credential", org_id=org_id, credential_id=credential_id)
    return None if row is None else GitCredential(*row)


def find_credential_of_repo(session: Session, repo_id: RepoKey) -> GitCredential | None:
    """Return the credential of a repository."""
    row = session.one("find_git_credential_of_repo", repo_id=repo_id)
    return None if row is None else GitCredential(*row)


def update_credential(
    session: Session, row_id: int, *, username: str, sealed_password: bytes, sealed_with: str, now: int
) -> bool:
    """Replace user name and password. Return False if the credential is gone."""
    changed = session.run(
        "update_git_credential",
        id=row_id,
        username=username,
        sealed_password=sealed_password,
        sealed_with=sealed_with,
        now=now,
    )
    return changed > 0


def delete_credential(session: Session, row_id: int) -> bool:
    """Delete a credential. Return False if it is gone already."""
    return session.run("delete_git_credential", id=row_id) > 0


def delete_credentials_of_repo(session: Session, repo_id: RepoKey) -> None:
    """Delete the credential of a repository, if it has one."""
    session.run("delete_git_credentials_of_repo", repo_id=repo_id)


def list_sealed_passwords(session: Session, *, except_key: str, after: int, limit: int) -> list[SealedRow]:
    """Return passwords that are sealed with other keys than `except_key`, sorted by id."""
    rows = session.all("list_sealed_passwords", key_id=except_key, after=after, limit=limit)
    return [SealedRow(*row) for row in rows]


def reseal_password(session: Session, row: SealedRow, *, sealed: bytes, sealed_with: str) -> None:
    """Replace a sealed password, unless somebody has replaced it meanwhile."""
    session.run(
        "reseal_password",
        id=row.id,
        old_key_id=row.sealed_with,
        sealed_password=sealed,
        sealed_with=sealed_with,
    )
