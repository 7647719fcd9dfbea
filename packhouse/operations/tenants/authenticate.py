"""Who calls?"""

from dataclasses import dataclass, field

from packhouse.auth import Principal
from packhouse.node import Node


@dataclass(frozen=True, slots=True)
class Authenticate:
    """The token that came with a call."""

    token: str = field(repr=False)


def authenticate(node: Node, command: Authenticate) -> Principal:
    """Return who signed the token and what it allows.

    Raises TokenRefused (Unauthenticated) with the check that failed. Costs no query while the token is
    remembered; a key that was revoked, by whatever process, is refused within
    `limits.keys_version_max_age_s`.
    """
    return node.tokens.verify(command.token)
