"""Who calls?"""

from packhouse.auth.principal import Principal
from packhouse.node.node import Node


def authenticate(node: Node, token: str) -> Principal:
    """Return who signed `token` and what it allows.

    Raises TokenRefused (Unauthenticated) with the check that failed. Costs no query while the token is
    remembered; a key that was revoked, by whatever process, is refused within
    `limits.keys_version_max_age_s`.
    """
    return node.tokens.verify(token)


def recall_principal(node: Node, token: str) -> Principal | None:
    """Return what `authenticate` would, when that takes no query and no signature check; None otherwise.

    Takes microseconds and never waits, so it needs no worker thread.
    """
    return node.tokens.recall(token)
