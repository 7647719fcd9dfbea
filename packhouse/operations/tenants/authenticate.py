"""Finding out who calls."""

from dataclasses import dataclass, field

from packhouse.auth import Principal
from packhouse.node import Node


@dataclass(frozen=True, slots=True)
class Authenticate:
    """The token that came with a call."""

    token: str = field(repr=False)


def authenticate(node: Node, command: Authenticate) -> Principal:
    """Return the principal of a token: who signed it and what it allows.

    Raises TokenRefused (Unauthenticated) with the failed check. Makes no query while the token is remembered. A token
    of a revoked key is refused within `limits.keys_version_max_age_s`, whichever process revoked the key.
    """
    return node.tokens.verify(command.token)
