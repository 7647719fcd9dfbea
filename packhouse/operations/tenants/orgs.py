"""Organisations by their names."""

import re
from dataclasses import field
from typing import Final

from packhouse.db import Org, Session, find_org
from packhouse.errors import Code, Invalid, NotFound

_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")


class OrgNameInvalid(Invalid):
    """The name cannot be given to an organisation. `org` is its start."""

    code = Code.ORG_NAME_INVALID
    org: str
    reason: str = field(init=False)

    def __post_init__(self) -> None:
        self.reason = "1 to 100 letters, digits, '.', '_' and '-', a letter or digit first and last"


class OrgNotFound(NotFound):
    """There is no organisation of that name."""

    code = Code.ORG_NOT_FOUND
    org: str


def check_org_name(name: str) -> None:
    """Raise OrgNameInvalid for a name that no organisation can have.

    A name has 1 to 100 letters, digits, `.`, `_` and `-`; it begins and ends with a letter or digit. It is the `iss` of
    the organisation's tokens and may become a label of host names.
    """
    if _NAME.fullmatch(name) is None:
        raise OrgNameInvalid(name[:100])


def read_org(session: Session, name: str) -> Org:
    """Return the organisation's row; raise OrgNotFound."""
    org = find_org(session, name)
    if org is None:
        raise OrgNotFound(name[:100])
    return org
