"""Fixed read tokens from a file, for download clients that cannot sign: one line each, `TOKEN ORG REPO`.

`REPO` is a repository name, or `*` for all of the organisation. Blank lines and lines with `#` in front are
skipped. The file is read when a token is looked up, so that a change needs no restart.
"""

import hmac
from hashlib import sha256
from pathlib import Path

from packhouse.auth.policy import RefPolicy
from packhouse.auth.principal import Principal
from packhouse.auth.scopes import Scope
from packhouse.clock import TIMESTAMP_MAX
from packhouse.db.orgs import find_org
from packhouse.errors import Unavailable
from packhouse.operations.node import Node

ALL_REPOS = "*"


def find_static_reader(node: Node, token: str) -> Principal | None:
    """Return who the token of the configured file reads as, None when it is none; its claim may be `*`.

    Raises Unavailable when the file cannot be read or holds a line of another form.
    """
    file = node.config.static_tokens
    if file is None:
        return None
    given = sha256(token.encode("utf-8", "replace")).digest()
    found = None
    for known, org_name, repo in _read_lines(file):
        # Every line is compared, and by digest, so that the time tells nothing about any token.
        if hmac.compare_digest(sha256(known.encode()).digest(), given):
            found = (org_name, repo)
    if found is None:
        return None
    with node.database.read() as session:
        org = find_org(session, found[0])
    if org is None:
        return None
    scopes = frozenset({Scope.GIT_READ})
    return Principal(org.id, org.name, "static token", scopes, found[1], RefPolicy(), TIMESTAMP_MAX)


def _read_lines(file: Path) -> list[tuple[str, str, str]]:
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise Unavailable("file of static tokens cannot be read") from None
    rows = []
    for line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        parts = line.split()
        if len(parts) != 3:
            raise Unavailable("file of static tokens has a line of another form")
        rows.append((parts[0], parts[1], parts[2]))
    return rows
