"""What a database tells of the installation it belongs to."""

from collections.abc import Sequence
from typing import Final

from packhouse.db.session import Session
from packhouse.db.text import is_storable

KNOWN_BATCH: Final = 32
"""How many ids `count_known_repos` takes: the places in its query."""


def has_stored_secrets(session: Session) -> bool:
    """Tell whether anything is stored that only the secret keys open."""
    return any(
        session.one(query) is not None for query in ("find_stored_credential", "find_stored_webhook_secret")
    )


def has_repos(session: Session) -> bool:
    """Tell whether the database has a repository, deleted ones included."""
    return session.one("find_any_repo") is not None


def count_known_repos(session: Session, public_ids: Sequence[str]) -> int:
    """Return how many of at most KNOWN_BATCH different ids the database knows, those of deleted repositories too."""
    assert len(public_ids) <= KNOWN_BATCH, len(public_ids)
    asked = [public_id if is_storable(public_id) else "" for public_id in public_ids]
    asked += [""] * (KNOWN_BATCH - len(asked))
    return len(
        session.all("list_known_repo_ids", **{f"p{place:02}": value for place, value in enumerate(asked)})
    )


def get_accepted_folder(session: Session) -> str | None:
    """Return the data folder with which an operator accepted a database that knew none of its repositories."""
    row = session.one("find_accepted_folder")
    return None if row is None else str(row[0])


def set_accepted_folder(session: Session, folder: str, *, now: int) -> None:
    """Remember the data folder that an operator accepted."""
    session.run("set_accepted_folder", folder=folder, now=now)
