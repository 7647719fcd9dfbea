"""Which packs a repository consists of."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from packhouse.db.session import Session, SqlValue


@dataclass(frozen=True, slots=True)
class PackRow:
    """A pack to list: the 40 hex digits of its name, the size of the .pack file, its number of objects."""

    name: str
    size_bytes: int
    objects: int


@dataclass(frozen=True, slots=True)
class Pack:
    """A listed pack. `retired_at` is when another pack took over its objects."""

    name: str
    size_bytes: int
    objects: int
    created_at: int
    retired_at: int | None


def insert_packs(session: Session, repo_id: int, packs: Sequence[PackRow], *, now: int) -> None:
    """List packs; one that is listed already stays, and is in use again if it was retired."""
    if packs:
        session.run_many(
            "insert_pack",
            [
                {
                    "repo_id": repo_id,
                    "name": pack.name,
                    "size_bytes": pack.size_bytes,
                    "objects": pack.objects,
                    "now": now,
                }
                for pack in packs
            ],
        )


def list_packs(session: Session, repo_id: int) -> list[Pack]:
    """Return the packs in use, oldest first."""
    return [Pack(*row) for row in session.all("list_packs", repo_id=repo_id)]


def list_retired_packs(session: Session, repo_id: int, *, retired_before: int) -> list[Pack]:
    """Return the packs that were retired at or before that time, longest retired first."""
    rows = session.all("list_retired_packs", repo_id=repo_id, retired_before=retired_before)
    return [Pack(*row) for row in rows]


def list_known_packs(session: Session, repo_id: int) -> list[Pack]:
    """Return all listed packs, retired ones included, oldest first."""
    return [Pack(*row) for row in session.all("list_known_packs", repo_id=repo_id)]


def retire_packs(session: Session, repo_id: int, names: Iterable[str], *, now: int) -> int:
    """Mark packs as replaced and return how many were in use until now."""
    return _run_for_names(session, "retire_pack", repo_id, names, now=now)


def delete_pack_rows(session: Session, repo_id: int, names: Iterable[str]) -> int:
    """Strike retired packs off the list and return how many; packs in use stay listed."""
    return _run_for_names(session, "delete_pack", repo_id, names)


def _run_for_names(session: Session, query: str, repo_id: int, names: Iterable[str], **params: int) -> int:
    rows: list[dict[str, SqlValue]] = [{"repo_id": repo_id, "name": name, **params} for name in names]
    return session.run_many(query, rows) if rows else 0
