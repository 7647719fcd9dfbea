"""Damage that was found in repositories and is not mended yet."""

from dataclasses import dataclass

from packhouse.db.session import Session
from packhouse.ids import RepoId, RepoKey


@dataclass(frozen=True, slots=True)
class DamageRow:
    """A damaged pack or object of a living repository. `pack` or `oid` is "" when it is not known."""

    org_name: str
    repo_name: str
    repo_public_id: RepoId
    pack: str
    oid: str
    reason: str
    created_at: int


def insert_damage(session: Session, repo_id: RepoKey, *, pack: str, oid: str, reason: str, now: int) -> bool:
    """Note a damage. Return False if it is noted already."""
    return session.run("insert_damage", repo_id=repo_id, pack=pack, oid=oid, reason=reason, now=now) > 0


def list_damage(session: Session, *, limit: int) -> list[DamageRow]:
    """Return up to `limit` noted damages, grouped by repository."""
    return [DamageRow(*row) for row in session.all("list_damage", limit=limit)]


def count_damaged_repos(session: Session) -> int:
    """Return the number of living repositories with damage."""
    row = session.one("count_damaged_repos")
    assert row is not None, "a count has a row"
    return int(row[0])


def count_damage_of_repo(session: Session, repo_id: RepoKey) -> int:
    """Return the number of noted damages of a repository."""
    row = session.one("count_damage_of_repo", repo_id=repo_id)
    assert row is not None, "a count has a row"
    return int(row[0])


def list_damage_of_repo(session: Session, repo_id: RepoKey) -> list[tuple[str, str]]:
    """Return (pack, oid) of every noted damage of a repository."""
    return [(row[0], row[1]) for row in session.all("list_damage_of_repo", repo_id=repo_id)]


def list_damaged_repo_ids(session: Session, *, limit: int) -> list[RepoId]:
    """Return the public ids of up to `limit` living repositories with damage."""
    return [RepoId(row[1]) for row in session.all("list_damaged_repo_ids", limit=limit)]


def list_repos_with_packs(session: Session, *, after: int, limit: int) -> list[tuple[RepoKey, RepoId]]:
    """Return (id, public id) of up to `limit` living repositories that have packs, sorted by id."""
    return [
        (RepoKey(row[0]), RepoId(row[1]))
        for row in session.all("list_repos_with_packs", after=after, limit=limit)
    ]


def delete_damage(session: Session, repo_id: RepoKey, *, pack: str, oid: str) -> None:
    """Delete a damage that is mended."""
    session.run("delete_damage", repo_id=repo_id, pack=pack, oid=oid)
