"""Fixed read tokens, for download clients that cannot sign; see token_file.py for the file that holds them."""

import hmac
from dataclasses import dataclass, field

from packhouse.auth import Principal, RefPolicy, Scope
from packhouse.clock import TIMESTAMP_MAX
from packhouse.db import find_org
from packhouse.node import Node, digest_token


@dataclass(frozen=True, slots=True)
class FindStaticReader:
    """The token that came with a call."""

    token: str = field(repr=False)


def find_static_reader(node: Node, command: FindStaticReader) -> Principal | None:
    """Return the principal that the file has for the token, None for an unknown token. Its claim may be ALL_REPOS.

    Raises Unavailable when the file cannot be read.
    """
    if node.static_tokens is None:
        return None
    given = digest_token(command.token)
    found = None
    for line in node.static_tokens.read():
        # Every line is compared, by digest, so that the time reveals nothing about any token.
        if hmac.compare_digest(line.digest, given):
            found = line
    if found is None:
        return None
    with node.database.read() as session:
        org = find_org(session, found.org)
    if org is None:
        return None
    scopes = frozenset({Scope.GIT_READ})
    return Principal(org.id, org.name, "static token", scopes, found.repo, RefPolicy(), TIMESTAMP_MAX)
