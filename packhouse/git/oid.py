"""Object ids: forty lower-case hex digits of SHA-1, the only object format that we serve."""

import hashlib
import re
from typing import Final, NewType

from packhouse.errors import Code, Invalid

Oid = NewType("Oid", str)
"""Forty lower-case hex digits.

Calling it trusts the text: use it only for digits from hashing, SQL or git's output. Other text goes through
parse_oid(). The house rules list the modules that may call this. Unlike RefName, it has no constructor that parses,
because that would cost too much. Ids are read a hundred thousand at a time. A subclass of str takes three times as long
to make and twice as long to look up, and msgspec does not encode it. So ids are checked again where they are written:
by TreeEditor, NotesTree and the ref transaction.
"""

ZERO_OID: Final = Oid("0" * 40)
"""On the wire it means "does not exist". Inside, that is None."""

EMPTY_TREE_OID: Final = Oid("4b825dc642cb6eb9a060e54bf8d69288fbee4904")

_OID = re.compile(r"[0-9a-f]{40}")


class NotAnObjectId(Invalid, kw_only=True):
    """The text is not 40 hex digits. `refname` or `path` names the thing that should have this object."""

    code = Code.NOT_AN_OBJECT_ID
    refname: bytes | None = None
    path: bytes | None = None
    value: str


def is_oid(text: str) -> bool:
    """Tell whether `text` is a full object id in lower case."""
    return _OID.fullmatch(text) is not None


def parse_oid(text: str) -> Oid:
    """Return `text` in lower case. Raises Invalid unless it is forty hex digits."""
    lowered = text.lower()
    if not is_oid(lowered):
        raise NotAnObjectId(value=text[:80])
    return Oid(lowered)


def oid_from_wire(text: str) -> Oid | None:
    """Return the id; None for the zero id, which means "does not exist" in ref updates."""
    oid = parse_oid(text)
    return None if oid == ZERO_OID else oid


def oid_to_wire(oid: Oid | None) -> Oid:
    """Return the id; forty zeros for None."""
    return ZERO_OID if oid is None else oid


def hash_object(kind: str, content: bytes) -> Oid:
    """Return the id that git gives to `content` as an object of `kind` (blob, tree, commit or tag)."""
    digest = hashlib.sha1(b"%s %d\0" % (kind.encode("ascii"), len(content)), usedforsecurity=False)
    digest.update(content)
    return Oid(digest.hexdigest())
