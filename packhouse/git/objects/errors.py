"""Errors for texts of an object that a caller gives, and for stored objects."""

from packhouse.errors import Code, Corrupt, Invalid
from packhouse.git import Oid


class ObjectCorrupt(Corrupt):
    """A stored object has changed, or is missing although another object names it."""

    oid: Oid


class MessageEmpty(Invalid):
    """The message of a commit, tag or note has only blanks."""

    code = Code.MESSAGE_EMPTY


class MessageHoldsNul(Invalid):
    """The message holds a NUL character, which git refuses (git-commit-tree(1))."""

    code = Code.MESSAGE_HOLDS_NUL


class PersonIncomplete(Invalid):
    """The name or the email of a person is blank. `field` tells which."""

    code = Code.PERSON_INCOMPLETE
    field: str


class PersonNameEmpty(Invalid):
    """The name of a person has only characters that git removes."""

    code = Code.PERSON_NAME_EMPTY
    field: str


class PersonUnreadable(Invalid):
    """The name or the email of a person has `<`, `>`, newline or NUL, and could not be read back."""

    code = Code.PERSON_UNREADABLE
    field: str | None = None


class TextNotUnicode(Invalid):
    """The text contains half a surrogate pair, which JSON can spell."""

    code = Code.TEXT_NOT_UNICODE
    field: str


class DateInvalid(Invalid):
    """The text is not a date."""

    code = Code.DATE_INVALID
    value: str


class DateOutOfRange(Invalid, kw_only=True):
    """Git cannot store the date. `value` is the caller's text, `when` and `tz` are the seconds and the offset."""

    code = Code.DATE_OUT_OF_RANGE
    value: str | None = None
    when: int | None = None
    tz: str | None = None


class NotACommit(Corrupt):
    """The content does not begin like a commit."""

    code = Code.NOT_A_COMMIT


class NotATree(Corrupt):
    """The content is not a list of tree entries."""

    code = Code.NOT_A_TREE


class NotATag(Corrupt):
    """The tag names an unknown kind of object, `kind`."""

    code = Code.NOT_A_TAG
    kind: bytes


class HeaderWithoutOid(Corrupt):
    """A header of a commit or tag names no object. `value` is its text."""

    code = Code.HEADER_WITHOUT_OID
    value: str


class TagWithoutTarget(Corrupt):
    """The first line of the tag names no object."""

    code = Code.TAG_WITHOUT_TARGET


class TreeNamesMissingObject(ObjectCorrupt):
    """A tree names an object that the repository lacks. Git found it so."""

    code = Code.TREE_NAMES_MISSING_OBJECT
