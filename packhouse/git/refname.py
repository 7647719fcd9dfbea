"""Refnames: bytes inside, checked once on entry.

The rules are those of git-check-ref-format(1), plus valid UTF-8 (SQL keeps names as text) and a length bound. A new
branch or tag has further rules, see `check_new_name`. Without them, a short name that means something else as a ref
could be written but not read again. Older releases took such names from a push. So reads, moves and deletions of a ref
still accept them.
"""

import re
from collections.abc import Mapping
from typing import Final, Self

from packhouse import limits
from packhouse.errors import Code, Invalid

HEADS: Final = b"refs/heads/"
TAGS: Final = b"refs/tags/"
NOTES: Final = b"refs/notes/"

PERSISTENT: Final = ""
EPHEMERAL: Final = "ephemeral"
"""The name of the second namespace, as it is stored with each ref. The plain namespace is ""."""

_OBJECT_ID: Final = re.compile(rb"[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64}")
_FAULT: Final = re.compile(rb"[\x00-\x20~^:?*\[\\\x7f]|/(?:[./]|\Z)|\.(?:\.|lock(?:/|\Z)|\Z)|@\{|\A[./]")


class RefNameInvalid(Invalid):
    """Git refuses the name, or it is too long or not UTF-8."""

    code = Code.REF_NAME_INVALID
    refname: str | bytes


class BranchNameInvalid(Invalid):
    """No branch can have this name."""

    code = Code.BRANCH_NAME_INVALID
    branch: str


class TagNameInvalid(Invalid):
    """No tag can have this name."""

    code = Code.TAG_NAME_INVALID
    tag: str


def is_refname(name: bytes) -> bool:
    """Tell whether git accepts `name` as a full refname, and it is UTF-8 and not too long."""
    if b"/" not in name or len(name) > limits.refname_max_bytes or _FAULT.search(name):
        return False
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


class RefName(bytes):
    """A full refname that git accepts. Making one parses it. Raises Invalid if git would refuse the name."""

    __slots__ = ()

    def __new__(cls, name: bytes) -> Self:
        """Return `name` unchanged."""
        if type(name) is cls:
            return name
        if not is_refname(name):
            raise RefNameInvalid(name[:200].decode("utf-8", "replace"))
        return super().__new__(cls, name)


def trusted_refname(name: bytes) -> RefName:
    """Return a name that was parsed before as a refname: a name from SQL, or a part of such a name.

    Parsing takes ten times as long, and an advertisement reads every ref of a repository. The house rules list the
    modules that may call this. Modules that get names from clients may not.
    """
    return bytes.__new__(RefName, name)


def find_refname(name: bytes) -> RefName | None:
    """Return `name` as a refname, None if git would refuse it."""
    return trusted_refname(name) if is_refname(name) else None


HEAD: Final = trusted_refname(b"HEAD")
"""The symbolic ref that means the default branch. No ref of a repository has this name."""


class NewNameRefused(Invalid):
    """No new branch or tag may have this name."""

    code = Code.NEW_NAME_REFUSED
    refname: RefName
    reason: str

    @property
    def fields(self) -> Mapping[str, object]:
        """The name as text, so that users see all of it."""
        return {**super().fields, "refname": self.refname.decode("utf-8")}


def new_name_fault(refname: bytes) -> str | None:
    """Return why no new branch or tag may have this name; None if it may. Refs of other kinds may have any name.

    `HEAD` is the default branch. Git refuses a leading `-` (git-branch(1)). Git reads 40 or 64 hex digits as an object
    id before it looks for a ref (gitrevisions(7)). A name that begins with `refs/` would be read as a full name.
    """
    for prefix in (HEADS, TAGS):
        if refname.startswith(prefix):
            name = refname.removeprefix(prefix)
            if name == HEAD:
                return "HEAD always means the default branch"
            if name.startswith(b"refs/"):
                return "a leading refs/ makes it look like a full name"
            if name.startswith(b"-"):
                return "a leading - makes it look like an option"
            if _OBJECT_ID.fullmatch(name):
                return "40 or 64 hex digits make it look like an object id"
    return None


def check_new_name(refname: RefName) -> RefName:
    """Return the name of a new branch or tag. Raises NewNameRefused."""
    reason = new_name_fault(refname)
    if reason is not None:
        raise NewNameRefused(refname, reason)
    return refname


def branch_refname(branch: str) -> RefName:
    """Return `refs/heads/<branch>` for a branch as callers write it.

    One leading `refs/heads/` is removed first. Raises Invalid for any other `refs/` prefix. Raises it also for a plain
    `HEAD`, which elsewhere means the default branch: `refs/heads/HEAD` names the branch.
    """
    if branch == "HEAD":
        raise BranchNameInvalid(branch)
    return exact_branch_refname(branch.removeprefix("refs/heads/"))


def exact_branch_refname(branch: str) -> RefName:
    """Return `refs/heads/<branch>` for a plain name of a branch, also `HEAD`. Raises Invalid for a full name."""
    if branch.startswith("refs/"):
        raise BranchNameInvalid(branch[:200])
    try:
        return RefName(HEADS + branch.encode("utf-8"))
    except (Invalid, UnicodeEncodeError):
        raise BranchNameInvalid(branch[:200]) from None


def parse_refname(text: str) -> RefName:
    """Return a refname as callers write it: a full name, or the name of a branch. Raises Invalid for others.

    `HEAD` is returned unchanged: the branch that it means depends on the repository.
    """
    if text == "HEAD":
        return HEAD
    if not text.startswith("refs/"):
        return branch_refname(text)
    try:
        return RefName(text.encode("utf-8"))
    except UnicodeEncodeError:  # half a surrogate pair, or a byte of the command line that is not UTF-8
        raise RefNameInvalid(text[:200]) from None


def tag_refname(tag: str) -> RefName:
    """Return `refs/tags/<tag>`. Raises Invalid for a name with a `refs/` prefix or one that git refuses."""
    if tag.startswith("refs/"):
        raise TagNameInvalid(tag[:200])
    try:
        return RefName(TAGS + tag.encode("utf-8"))
    except (Invalid, UnicodeEncodeError):
        raise TagNameInvalid(tag[:200]) from None


def short_name(refname: RefName) -> str:
    """Return the name without `refs/heads/` or `refs/tags/`, as text. Other names are returned whole."""
    for prefix in (HEADS, TAGS):
        if refname.startswith(prefix):
            return refname.removeprefix(prefix).decode("utf-8")
    return refname.decode("utf-8")
