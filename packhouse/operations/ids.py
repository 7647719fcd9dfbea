"""Public ids: a prefix that tells what is named, and randomness that nobody can guess or count."""

import base64
from collections.abc import Callable
from typing import Final

from packhouse.ids import RepoId, parse_repo_id

_RANDOM_BYTES: Final = 15  # 120 bits, a whole number of base32 digits: no padding


def new_public_id(prefix: str, random_bytes: Callable[[int], bytes]) -> str:
    """Return `<prefix>_` and 24 lower-case base32 digits (RFC 4648 section 6)."""
    return f"{prefix}_{base64.b32encode(random_bytes(_RANDOM_BYTES)).decode('ascii').lower()}"


def new_repo_id(random_bytes: Callable[[int], bytes]) -> RepoId:
    """Return the public id of a new repository."""
    return parse_repo_id(new_public_id("repo", random_bytes))
