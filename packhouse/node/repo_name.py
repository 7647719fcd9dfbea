"""The names that a repository may have."""

import unicodedata
from typing import Final

from packhouse import limits
from packhouse.auth import ORGANISATION_CLAIM
from packhouse.errors import Code, Invalid

# `.git` ends a clone address. `+ephemeral` and `+import` select a remote of a repository. Git refuses `.lock` in refs,
# and platforms derive refs from repository names.
_RESERVED_ENDINGS: Final = (".git", ".lock", "+ephemeral", "+import")


class RepoNameInvalid(Invalid, kw_only=True):
    """No repository can have this name. `repo` is its start, `reason` the end of a sentence."""

    code = Code.REPO_NAME_INVALID
    repo: str
    reason: str


def check_repo_name(name: str) -> str:
    """Return `name` unchanged. Raises RepoNameInvalid if no repository can have it.

    A name has 1 to 255 bytes of UTF-8, in segments separated by `/`. Case matters, and nothing is normalised.
    """
    reason = _find_fault(name)
    if reason is not None:
        raise RepoNameInvalid(repo=name[:100], reason=reason)
    return name


def _find_fault(name: str) -> str | None:
    try:
        size_bytes = len(name.encode("utf-8"))
    except UnicodeEncodeError:
        return "it is not valid Unicode text"
    if not 1 <= size_bytes <= limits.repo_name_max_bytes:
        return f"it must have 1 to {limits.repo_name_max_bytes} bytes of UTF-8"
    if name == ORGANISATION_CLAIM:
        return "it is reserved for tokens of the organisation"
    if any(segment in ("", ".", "..") for segment in name.split("/")):
        return "its segments between slashes must not be empty, '.' or '..'"
    # No control character is printable, and nearly every name is: that saves looking at each character.
    is_plain = name.isprintable() or all(unicodedata.category(character) != "Cc" for character in name)
    if "\\" in name or not is_plain:
        return "it must not hold backslashes or control characters"
    for ending in _RESERVED_ENDINGS:
        if name.endswith(ending):
            return f"it must not end in {ending}"
    return None
