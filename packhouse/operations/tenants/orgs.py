"""Organisations: what the operator does with them."""

import re
from collections.abc import Iterator
from typing import Final

from packhouse import limits
from packhouse.db import orgs as rows
from packhouse.db.orgs import Org
from packhouse.db.session import Session
from packhouse.errors import Invalid, NotFound
from packhouse.node.node import Node

__all__ = ["Org", "OrgNameInvalid", "OrgNotFound", "create_org", "iter_orgs", "read_org"]

_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")


class OrgNameInvalid(Invalid):
    """The name cannot be given to an organisation."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "invalid organisation name",
            org=name[:100],
            reason="1 to 100 letters, digits, '.', '_' and '-', a letter or digit first and last",
        )


class OrgNotFound(NotFound):
    """There is no organisation of that name."""

    def __init__(self, name: str) -> None:
        super().__init__("organisation not found", org=name[:100])


def check_org_name(name: str) -> None:
    """Raise OrgNameInvalid for a name that no organisation can have."""
    if _NAME.fullmatch(name) is None:
        raise OrgNameInvalid(name)


def create_org(node: Node, name: str) -> Org:
    """Create an organisation: 1 to 100 letters, digits, `.`, `_` and `-`, first and last a letter or digit.

    The name is the `iss` of its tokens and may become a label of host names. Raises OrgNameInvalid and
    OrgExists.
    """
    check_org_name(name)
    with node.database.write() as session:
        return rows.insert_org(session, name=name, now=node.clock())


def iter_orgs(node: Node) -> Iterator[Org]:
    """Yield all organisations by name, read a page at a time."""
    after = ""
    while True:
        with node.database.read() as session:
            page = rows.list_orgs(session, after=after, limit=limits.page_max)
        yield from page
        if len(page) < limits.page_max:
            return
        after = page[-1].name


def read_org(session: Session, name: str) -> Org:
    """Return the organisation's row; raise OrgNotFound."""
    org = rows.find_org(session, name)
    if org is None:
        raise OrgNotFound(name)
    return org
