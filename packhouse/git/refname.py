"""Refnames: bytes inside, checked once where they enter.

The rules are those of git-check-ref-format(1), plus: valid UTF-8 (SQL keeps them as text) and a length bound.
"""

from typing import Final, NewType

from packhouse import limits
from packhouse.errors import Invalid

RefName = NewType("RefName", bytes)

HEADS: Final = b"refs/heads/"
TAGS: Final = b"refs/tags/"
NOTES: Final = b"refs/notes/"

PERSISTENT: Final = ""
EPHEMERAL: Final = "ephemeral"
"""The two namespaces; the value is stored with each ref."""

_FORBIDDEN = frozenset(b" ~^:?*[\\\x7f") | frozenset(range(0x20))


def is_refname(name: bytes) -> bool:
    """Tell whether git accepts `name` as a full refname, and it is UTF-8 and not too long."""
    if not name or len(name) > limits.refname_max_bytes or name == b"@":
        return False
    if b"/" not in name or name.endswith(b".") or b".." in name or b"@{" in name:
        return False
    if not _FORBIDDEN.isdisjoint(name):
        return False
    if any(not part or part.startswith(b".") or part.endswith(b".lock") for part in name.split(b"/")):
        return False
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def check_refname(name: bytes) -> RefName:
    """Return `name` as a refname; raise Invalid when git would refuse it."""
    if not is_refname(name):
        raise Invalid("invalid ref name", refname=name[:200].decode("utf-8", "replace"))
    return RefName(name)


def branch_refname(branch: str) -> RefName:
    """Return `refs/heads/<branch>` for a branch as callers write it.

    One leading `refs/heads/` is taken off first. Raises Invalid for any other `refs/` prefix, for a leading
    `-` and for the name `HEAD`, which git branch(1) refuses as well.
    """
    name = branch.removeprefix("refs/heads/")
    if name.startswith(("refs/", "-")) or name == "HEAD":
        raise Invalid("invalid branch name", branch=branch[:200])
    try:
        return check_refname(HEADS + name.encode("utf-8"))
    except (Invalid, UnicodeEncodeError):
        raise Invalid("invalid branch name", branch=branch[:200]) from None


def parse_refname(text: str) -> RefName:
    """Return a refname as callers write it, whole or as the name of a branch; raise Invalid for others."""
    if not text.startswith("refs/"):
        return branch_refname(text)
    try:
        return check_refname(text.encode("utf-8"))
    except UnicodeEncodeError:  # half a surrogate pair, or a byte of the command line that is no UTF-8
        raise Invalid("invalid ref name", refname=text[:200]) from None


def tag_refname(tag: str) -> RefName:
    """Return `refs/tags/<tag>`; raise Invalid for a name with a `refs/` prefix or one that git refuses."""
    if tag.startswith(("refs/", "-")):
        raise Invalid("invalid tag name", tag=tag[:200])
    try:
        return check_refname(TAGS + tag.encode("utf-8"))
    except (Invalid, UnicodeEncodeError):
        raise Invalid("invalid tag name", tag=tag[:200]) from None


def short_name(refname: RefName) -> str:
    """Return the name without `refs/heads/` or `refs/tags/`, as text; other names come back whole."""
    for prefix in (HEADS, TAGS):
        if refname.startswith(prefix):
            return refname.removeprefix(prefix).decode("utf-8")
    return refname.decode("utf-8")
