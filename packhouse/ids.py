"""What a repository is called inside: by its row in SQL, and by the text that users and folders see.

Both are plain values at run time. As types they cannot be taken for each other, nor for the id of an organisation, a
job or an event: the type checker refuses a call that hands one over for another.
"""

import base64
import re
from collections.abc import Callable
from typing import Final, NewType

from packhouse.error_codes import Code
from packhouse.errors import Invalid

RepoKey = NewType("RepoKey", int)
"""The id of a repository's row, never given out twice. Only `db/` makes one, of what SQL answered."""

RepoId = NewType("RepoId", str)
"""The public id of a repository, `repo_…`, which names its folder too. `db/` makes one of what SQL answered; all
other text goes through parse_repo_id(), or is looked up in SQL, which gives back the repository."""

_RANDOM_BYTES: Final = 15  # 120 bits, a whole number of base32 digits: no padding
_REPO_ID: Final = re.compile(r"repo_[0-9a-z]{4,80}", re.ASCII)


class NotARepoId(Invalid):
    """Ids of repositories look like `repo_…`."""

    code = Code.NOT_A_REPO_ID
    value: str


def parse_repo_id(text: str) -> RepoId:
    """Return `text` as a public id; raise Invalid for what could not name a folder of its own."""
    if _REPO_ID.fullmatch(text) is None:
        raise NotARepoId(text[:80])
    return RepoId(text)


def new_public_id(prefix: str, random_bytes: Callable[[int], bytes]) -> str:
    """Return `<prefix>_` and 24 lower-case base32 digits (RFC 4648 section 6), which nobody can guess or count."""
    return f"{prefix}_{base64.b32encode(random_bytes(_RANDOM_BYTES)).decode('ascii').lower()}"


def new_repo_id(random_bytes: Callable[[int], bytes]) -> RepoId:
    """Return the public id of a new repository."""
    return parse_repo_id(new_public_id("repo", random_bytes))
