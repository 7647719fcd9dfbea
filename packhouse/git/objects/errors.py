"""What the texts of an object, and stored objects, fail with."""

from packhouse.error_codes import Code
from packhouse.errors import Corrupt, Invalid


class MessageEmpty(Invalid):
    """The message of a commit, tag or note holds only blanks."""

    code = Code.MESSAGE_EMPTY


class MessageHoldsNul(Invalid):
    """Git refuses such a message (git-commit-tree(1))."""

    code = Code.MESSAGE_HOLDS_NUL


class PersonIncomplete(Invalid):
    """`field` is the part that is blank."""

    code = Code.PERSON_INCOMPLETE
    field: str


class PersonNameEmpty(Invalid):
    """Git takes off such characters, and nothing would be left."""

    code = Code.PERSON_NAME_EMPTY
    field: str


class PersonUnreadable(Invalid):
    """`<`, `>`, newline and NUL would not read back."""

    code = Code.PERSON_UNREADABLE
    field: str | None = None


class TextNotUnicode(Invalid):
    """The text holds half a surrogate pair, which JSON can spell."""

    code = Code.TEXT_NOT_UNICODE
    field: str


class DateInvalid(Invalid):
    """The text is no date."""

    code = Code.DATE_INVALID
    value: str


class DateOutOfRange(Invalid, kw_only=True):
    """Git cannot store it. `value` is a date as a caller wrote it, `when` and `tz` are the seconds and the offset."""

    code = Code.DATE_OUT_OF_RANGE
    value: str | None = None
    when: int | None = None
    tz: str | None = None


class NotACommit(Corrupt):
    """The content does not begin as a commit does."""

    code = Code.NOT_A_COMMIT


class NotATree(Corrupt):
    """The content is no list of tree entries."""

    code = Code.NOT_A_TREE


class NotATag(Corrupt):
    """The tag is for no kind of object. `kind` is what it names."""

    code = Code.NOT_A_TAG
    kind: bytes


class HeaderWithoutOid(Corrupt):
    """A header of a commit or tag names no object. `value` is what stands there."""

    code = Code.HEADER_WITHOUT_OID
    value: str


class TagWithoutTarget(Corrupt):
    """Its first line names no object."""

    code = Code.TAG_WITHOUT_TARGET


class TreeNamesMissingObject(Corrupt):
    """Git met an object that the repository lacks."""

    code = Code.TREE_NAMES_MISSING_OBJECT
    oid: str
