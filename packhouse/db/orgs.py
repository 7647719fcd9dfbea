"""Organisations."""

from dataclasses import dataclass

from packhouse.db.session import Session
from packhouse.db.text import is_storable
from packhouse.errors import Code, Conflict


@dataclass(frozen=True, slots=True)
class Org:
    """An organisation: the issuer of tokens and the owner of repositories."""

    id: int
    name: str
    created_at: int


class OrgExists(Conflict):
    """An organisation with that name exists."""

    code = Code.ORG_EXISTS
    org: str


def insert_org(session: Session, *, name: str, now: int) -> Org:
    """Add an organisation. Raises OrgExists if the name is taken."""
    row = session.one("insert_org", name=name, created_at=now)
    if row is None:
        raise OrgExists(name)
    return Org(id=row[0], name=name, created_at=now)


def find_org(session: Session, name: str) -> Org | None:
    """Return the organisation with exactly that name."""
    if not is_storable(name):
        return None
    row = session.one("find_org", name=name)
    return None if row is None else Org(*row)


def list_orgs(session: Session, *, after: str = "", limit: int) -> list[Org]:
    """Return at most `limit` organisations whose names come after `after`, sorted by the bytes of their names."""
    return [Org(*row) for row in session.all("list_orgs", after=after, limit=limit)]
