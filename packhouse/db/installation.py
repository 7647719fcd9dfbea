"""Facts about the installation that a database belongs to."""

from collections.abc import Sequence
from typing import Final

from packhouse.db.session import Session
from packhouse.db.text import is_storable

KNOWN_BATCH: Final = 32
"""The most ids that `count_known_repos` takes: its query has so many places."""


def has_stored_secrets(session: Session) -> bool:
    """Tell whether the database has secrets that only the secret keys open."""
    return any(
        session.one(query) is not None for query in ("find_stored_credential", "find_stored_webhook_secret")
    )


def has_repos(session: Session) -> bool:
    """Tell whether the database has a repository, also a deleted one."""
    return session.one("find_any_repo") is not None


def count_known_repos(session: Session, public_ids: Sequence[str]) -> int:
    """Return how many of the ids (at most KNOWN_BATCH, all different) the database knows, deleted repositories too."""
    assert len(public_ids) <= KNOWN_BATCH, len(public_ids)
    asked = [public_id if is_storable(public_id) else "" for public_id in public_ids]
    asked += [""] * (KNOWN_BATCH - len(asked))
    return len(
        session.all("list_known_repo_ids", **{f"p{place:02}": value for place, value in enumerate(asked)})
    )


def get_database_id(session: Session) -> str | None:
    """Return the id that a data folder knows this database by; None if it has not claimed one yet."""
    row = session.one("find_database_id")
    return None if row is None else str(row[0])


def ensure_database_id(session: Session, new_id: str, *, now: int) -> str:
    """Return the id of the database. It becomes `new_id` if the database has none."""
    session.run("insert_database_id", database_id=new_id, now=now)
    database_id = get_database_id(session)
    assert database_id is not None, "it was inserted"
    return database_id


def get_accepted_folder(session: Session) -> str | None:
    """Return the data folder that an operator accepted although the database knew none of its repositories."""
    row = session.one("find_accepted_folder")
    return None if row is None else str(row[0])


def set_accepted_folder(session: Session, folder: str, *, now: int) -> None:
    """Remember the data folder that an operator accepted."""
    session.run("set_accepted_folder", folder=folder, now=now)
