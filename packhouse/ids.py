"""The two ids of a repository: the id of its row in SQL, and the public id that users and folders see.

At run time both are plain values. As types they cannot be mixed up with each other, or with the id of an organisation,
a job or an event: the type checker refuses such a call.
"""

import base64
import re
from collections.abc import Callable
from typing import Final, NewType

from packhouse.errors import Code, Invalid

RepoKey = NewType("RepoKey", int)
"""The id of a repository's row. It is never given out twice. Only `db/` makes one, from a result of SQL."""

RepoId = NewType("RepoId", str)
"""The public id of a repository, `repo_…`. It also names its folder. `db/` makes one from a result of SQL. Other text
goes through parse_repo_id(), or is looked up in SQL, which returns the repository."""

_RANDOM_BYTES: Final = 15  # 120 bits, a whole number of base32 digits: no padding
_REPO_ID: Final = re.compile(r"repo_[0-9a-z]{4,80}", re.ASCII)


class NotARepoId(Invalid):
    """The text is no id of a repository. Ids look like `repo_…`."""

    code = Code.NOT_A_REPO_ID
    value: str


def parse_repo_id(text: str) -> RepoId:
    """Return `text` as a public id. Raises Invalid for text that could not name a separate folder."""
    if _REPO_ID.fullmatch(text) is None:
        raise NotARepoId(text[:80])
    return RepoId(text)


def new_public_id(prefix: str, random_bytes: Callable[[int], bytes]) -> str:
    """Return `<prefix>_` and 24 lower-case base32 digits (RFC 4648 section 6). Nobody can guess or count them."""
    return f"{prefix}_{base64.b32encode(random_bytes(_RANDOM_BYTES)).decode('ascii').lower()}"


def new_repo_id(random_bytes: Callable[[int], bytes]) -> RepoId:
    """Return the public id of a new repository."""
    return parse_repo_id(new_public_id("repo", random_bytes))
