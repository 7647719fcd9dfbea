"""Commits, trees and tags as bytes: written exactly as git writes them, read more tolerantly.

Sources: git-commit-tree(1) and git-mktree(1) for the forms; git's ident.c, commit.c and fsck.c for the text that git
strips, converts and refuses. Old histories contain odd dates, zones and headers. Reading never fails on those.
"""

import functools
import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from encodings.aliases import aliases
from typing import Final, NamedTuple

from packhouse.clock import TIMESTAMP_MAX
from packhouse.git import Oid, is_oid
from packhouse.git.objects.errors import (
    DateInvalid,
    DateOutOfRange,
    HeaderWithoutOid,
    MessageEmpty,
    MessageHoldsNul,
    NotATag,
    NotATree,
    PersonIncomplete,
    PersonNameEmpty,
    PersonUnreadable,
    TextNotUnicode,
)

MODE_FILE: Final = 0o100644
MODE_EXECUTABLE: Final = 0o100755
MODE_SYMLINK: Final = 0o120000
MODE_GITLINK: Final = 0o160000
MODE_TREE: Final = 0o040000

_KIND_OF_FILE: Final = 0o170000
_REGULAR_FILE: Final = 0o100000
_OWNER_EXECUTES: Final = 0o100
_MODES_KEPT: Final = 64  # spellings of modes; nearly every tree has five

FILE_MODES: Final = frozenset({MODE_FILE, MODE_EXECUTABLE, MODE_SYMLINK, MODE_GITLINK})
"""The modes that a path of a commit may have. Folders appear and disappear with their files."""

_CRUD = bytes(range(33)) + b".,:;<>\"\\'"
_NOT_A_CHARACTER = re.compile(
    "[\ufdd0-\ufdef"
    + "".join(f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(17))
    + "]"
)
_CODECS: Final = frozenset({*aliases.values(), "koi8_u", "koi8_t", "cp737", "cp874"}) - {
    *("base64_codec", "bz2_codec", "hex_codec", "quopri_codec", "rot_13", "uu_codec", "zlib_codec"),
    *("mbcs", "punycode", "idna", "unicode_escape", "raw_unicode_escape", "utf_7"),
}
"""Python's encodings of text. Left out are encodings that are not of text or that only Python has. UTF-7 is left out
too, because it can spell half a surrogate pair, which no answer can hold."""

_DATE = re.compile(
    r"(\d{4})-?(\d\d)-?(\d\d)"
    r"(?:[Tt ](\d\d):?(\d\d)(?::?(\d\d)(?:[.,]\d+)?)?(?: ?([Zz]|[+-]\d\d(?::?\d\d)?))?)?",
    re.ASCII,
)
_PERSON_DATE = re.compile(rb"\s*(\d+)(?:\s+([+-]\d+))?")
_DATE_DIGITS_MAX: Final = 18  # a longer number is far beyond the year 9999, and Python may refuse to read it
_SIGNATURE_HEADER = re.compile(rb"^gpgsig.*\n(?: .*\n)*", re.MULTILINE)
# The whole group is not possessive: before Python 3.11.5, such a group that fails half-way keeps what it has read
# (CPython issue 106052). The bound limits what a greedy group remembers.
_ENTRIES = re.compile(rb"(?:[0-7]{1,32} [^\0]++\0.{20}){0,1000}", re.DOTALL)
_ENTRY = re.compile(rb"([0-7]{1,32}) ([^\0]+)\0(.{20})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Person:
    """A person who made an object, and the time.

    `when` is in seconds since 1970. `tz` is the offset from UTC as git writes it, `+hhmm` or `-hhmm`.
    """

    name: str
    email: str
    when: int
    tz: str


@dataclass(frozen=True, slots=True)
class Commit:
    """A parsed commit. `message` has no trailing newlines. `headers` are the headers besides the five usual ones."""

    tree: Oid
    parents: tuple[Oid, ...]
    author: Person
    committer: Person
    message: str
    encoding: str | None
    headers: tuple[tuple[bytes, bytes], ...]

    @property
    def subject(self) -> str:
        """The first paragraph as one line: git's `%s`."""
        paragraph = re.split(r"\n[^\S\n]*\n", self.message.lstrip("\n"), maxsplit=1)[0]
        return " ".join(line.strip() for line in paragraph.split("\n")).strip()


@dataclass(frozen=True, slots=True)
class Tag:
    """A parsed annotated tag. Tags of before 2005 have no tagger. `message` has no trailing newlines."""

    target: Oid
    target_kind: str
    name: str
    tagger: Person | None
    message: str


class TreeEntry(NamedTuple):
    """One row of a tree."""

    mode: int
    name: bytes
    oid: Oid


# Text that callers give


def clean_message(text: str) -> bytes:
    """Return the message as it is stored: trimmed, with exactly one newline at its end.

    Raises Invalid for a blank message, for half a surrogate pair, and for NUL, which git-commit-tree(1) refuses.
    """
    trimmed = text.strip()
    if not trimmed:
        raise MessageEmpty()
    if "\0" in trimmed:
        raise MessageHoldsNul()
    return _encode_text(trimmed, what="message") + b"\n"


def clean_identity(text: str) -> bytes:
    """Return a name or email as git stores it.

    Control characters, spaces and the characters `.,:;<>"\\'` are removed from both ends, and `<`, `>` and newlines
    from the middle. The result may be empty. Source: git's ident.c, strbuf_addstr_without_crud(), as in git 2.39; newer
    versions keep full stops at the ends.
    """
    return _encode_text(text, what="name or email").strip(_CRUD).translate(None, b"<>\n")


def make_person(name: str, email: str, when: int, tz: str) -> Person:
    """Return a person that git would accept as author. Raises Invalid for others.

    Name and email are trimmed. Then they must not be empty, and must not contain `<`, `>`, newline or NUL. A name that
    consists only of characters that git strips is refused, as in git. Such an email becomes empty, as in git.
    """
    for field, value in (("name", name), ("email", email)):
        if not value.strip():
            raise PersonIncomplete(field)
        if not {"<", ">", "\n", "\0"}.isdisjoint(value.strip()):
            raise PersonUnreadable(field)
    person = Person(name.strip(), email.strip(), when, tz)
    if not clean_identity(person.name):
        raise PersonNameEmpty("name")
    encode_person(person)
    return person


def parse_date(text: str) -> tuple[int, str]:
    """Return (seconds since 1970, `+hhmm`) of an ISO 8601 date; UTC if it names no offset.

    A date without a time is midnight. Fractions of a second are dropped. Raises Invalid for other text, for dates
    before 1970, which git cannot store, and for dates after 9999.
    """
    match = _DATE.fullmatch(text.strip())
    if match is None:
        raise DateInvalid(text[:80])
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    sign, offset_min = _parse_offset(match[7])
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError as error:
        raise DateInvalid(text[:80]) from error
    when = int(moment.timestamp()) - sign * offset_min * 60
    if not 0 <= when <= TIMESTAMP_MAX or offset_min >= 24 * 60:
        raise DateOutOfRange(value=text[:80])
    return when, f"{'-' if sign < 0 and offset_min else '+'}{offset_min // 60:02d}{offset_min % 60:02d}"


def _parse_offset(text: str | None) -> tuple[int, int]:
    """Return (sign, minutes). An impossible number of minutes is returned as a whole day."""
    if text is None or text in "Zz":
        return 1, 0
    digits = text[1:].replace(":", "").ljust(4, "0")
    hours, minutes = int(digits[:2]), int(digits[2:])
    return (-1 if text[0] == "-" else 1), (hours * 60 + minutes if minutes < 60 else 24 * 60)


def _encode_text(text: str, *, what: str) -> bytes:
    """Return `text` in UTF-8 as git stores it.

    Git treats the code points that Unicode calls non-characters as Latin-1, and converts their bytes (commit.c,
    verify_utf8()). We must do the same, or our ids differ from git's.
    """
    try:
        return _NOT_A_CHARACTER.sub(lambda match: match[0].encode().decode("latin-1"), text).encode()
    except UnicodeEncodeError as error:
        raise TextNotUnicode(what) from error


# Writing


def encode_person(person: Person) -> bytes:
    """Return `name <email> seconds zone`. Raises Invalid for a person that could not be read back."""
    if person.when < 0 or not re.fullmatch(r"[+-]\d{4}", person.tz, re.ASCII):
        raise DateOutOfRange(when=person.when, tz=person.tz)
    name, email = clean_identity(person.name), clean_identity(person.email)
    if b"\0" in name or b"\0" in email:
        raise PersonUnreadable()
    return b"%s <%s> %d %s" % (name, email, person.when, person.tz.encode())


def encode_commit(
    *, tree: Oid, parents: Iterable[Oid], author: Person, committer: Person, message: bytes
) -> bytes:
    """Return the content of a commit object. `message` comes from clean_message()."""
    lines = [b"tree " + tree.encode()]
    lines += [b"parent " + parent.encode() for parent in parents]
    lines.append(b"author " + encode_person(author))
    lines.append(b"committer " + encode_person(committer))
    return b"\n".join(lines) + b"\n\n" + message


def encode_tag(*, target: Oid, target_kind: str, name: str, tagger: Person, message: bytes) -> bytes:
    """Return the content of an annotated tag. `message` comes from clean_message()."""
    head = f"object {target}\ntype {target_kind}\ntag {name}\n".encode()
    return head + b"tagger " + encode_person(tagger) + b"\n\n" + message


def encode_tree(entries: Iterable[TreeEntry]) -> bytes:
    """Return the content of a tree object with its entries in git's order. The empty tree has no bytes."""
    rows = sorted((tree_sort_key(entry.mode, entry.name), entry) for entry in entries)
    return b"".join(encode_tree_entry(*entry) for _, entry in rows)


def encode_tree_entry(mode: int, name: bytes, oid: Oid) -> bytes:
    """Return one row of a tree object."""
    return b"%o %s\0%s" % (mode, name, bytes.fromhex(oid))


def tree_sort_key(mode: int, name: bytes) -> bytes:
    """Return git's sort key of an entry: a folder sorts as if its name ended in a slash."""
    return name + b"/" if mode == MODE_TREE else name


# Reading


def parse_tree(content: bytes) -> list[TreeEntry]:
    """Return the entries in stored order. Raises Corrupt if the bytes are not a tree object.

    Modes are those that git shows and compares, whatever is stored: old trees contain 100664 and 040000.
    """
    if not _is_row_of_entries(content):  # without this check, finding entries could take quadratic time
        raise NotATree()
    return [TreeEntry(read_mode(mode), name, Oid(oid.hex())) for mode, name, oid in _ENTRY.findall(content)]


@functools.lru_cache(maxsize=_MODES_KEPT)
def read_mode(digits: bytes) -> int:
    """Return a stored mode as one of the five that git knows. Source: git's cache.h, canon_mode().

    Git accepts any number of digits, also leading zeros, and uses the last sixteen bits.
    """
    mode = int(digits, 8)
    kind = mode & _KIND_OF_FILE
    if kind == _REGULAR_FILE:
        return MODE_EXECUTABLE if mode & _OWNER_EXECUTES else MODE_FILE
    return kind if kind in (MODE_SYMLINK, MODE_TREE) else MODE_GITLINK


def _is_row_of_entries(content: bytes) -> bool:
    at = 0
    while (row := _ENTRIES.match(content, at)) is not None and row.end() > at:
        at = row.end()
    return at == len(content)


def parse_commit(content: bytes) -> Commit:
    """Return the parts of a commit. Raises Corrupt without a tree, or if a parent is not an object id.

    Text is decoded by the `encoding` header, and as UTF-8 if that is absent or unknown. Bytes that do not decode become
    U+FFFD. A missing or unreadable person is empty, and such a date is the start of 1970.
    """
    headers, body = _split_headers(content)
    encoding = _find_header(headers, b"encoding")
    codec = _codec(encoding)
    tree = _find_header(headers, b"tree")
    # To git, a parent further down is an unknown header, and git walks no history there.
    parents = itertools.takewhile(lambda header: header[0] == b"parent", headers[1:])
    known = {b"tree", b"parent", b"author", b"committer", b"encoding"}
    return Commit(
        tree=_parse_header_oid(tree),
        parents=tuple(_parse_header_oid(value) for _, value in parents),
        author=parse_person(_find_header(headers, b"author") or b"", codec),
        committer=parse_person(_find_header(headers, b"committer") or b"", codec),
        message=body.decode(codec, "replace").rstrip("\n"),
        encoding=None if encoding is None else encoding.decode("utf-8", "replace"),
        headers=tuple((key, value) for key, value in headers if key not in known),
    )


def parse_tag(content: bytes) -> Tag:
    """Return the parts of an annotated tag. Raises Corrupt if it does not name its target."""
    headers, body = _split_headers(content)
    kind = _find_header(headers, b"type") or b""
    if kind not in {b"commit", b"tree", b"blob", b"tag"}:
        raise NotATag(kind[:20])
    codec = _codec(_find_header(headers, b"encoding"))
    tagger = _find_header(headers, b"tagger")
    return Tag(
        target=_parse_header_oid(_find_header(headers, b"object")),
        target_kind=kind.decode("ascii"),
        name=(_find_header(headers, b"tag") or b"").decode("utf-8", "replace"),
        tagger=None if tagger is None else parse_person(tagger, codec),
        message=body.decode(codec, "replace").rstrip("\n"),
    )


def parse_person(line: bytes, codec: str = "utf-8") -> Person:
    """Return the person of an author, committer or tagger line, as git's split_ident_line() reads it.

    The email ends at the first `>` after its start. See parse_person_date() for the date.
    """
    name, _, rest = line.partition(b"<")
    email = rest.partition(b">")[0]
    when, tz = parse_person_date(line)
    return Person(name.decode(codec, "replace").strip(), email.decode(codec, "replace").strip(), when, tz)


def parse_person_date(line: bytes) -> tuple[int, str]:
    """Return (seconds since 1970, `+hhmm`) of an author, committer or tagger line, from the text after its last `>`.

    A date after 9999, with any number of digits, is returned as the end of that year. A negative or unreadable date is
    returned as the start of 1970.
    """
    address = line.partition(b"\n")[0].partition(b"<")[2]
    match = _PERSON_DATE.match(address.rpartition(b">")[2])
    if match is None:
        return 0, "+0000"
    digits = match[1].lstrip(b"0")
    when = int(digits or b"0") if len(digits) <= _DATE_DIGITS_MAX else TIMESTAMP_MAX
    return min(when, TIMESTAMP_MAX), _normal_zone(match[2])


def split_signature(content: bytes) -> tuple[bytes, bytes] | None:
    """Return (signature without its folding, signed content), or None for an unsigned commit.

    The signed content is the commit without its signature headers, also those for another object format. Source: git's
    commit.c, parse_signed_commit().
    """
    head, blank, body = content.partition(b"\n\n")
    head += b"\n"
    signature = b"".join(
        header[len(b"gpgsig ") :].replace(b"\n ", b"\n")
        for header in _SIGNATURE_HEADER.findall(head)
        if header.startswith(b"gpgsig ")
    )
    if not signature:
        return None
    return signature, _SIGNATURE_HEADER.sub(b"", head) + blank[1:] + body


def _split_headers(content: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    head, _, body = content.partition(b"\n\n")
    headers: list[tuple[bytes, list[bytes]]] = []
    for line in head.split(b"\n"):
        if line.startswith(b" ") and headers:
            headers[-1][1].append(line[1:])
        else:
            key, _, value = line.partition(b" ")
            headers.append((key, [value]))
    return [(key, b"\n".join(lines)) for key, lines in headers], body


def _find_header(headers: list[tuple[bytes, bytes]], key: bytes) -> bytes | None:
    return next((value for name, value in headers if name == key), None)


def _parse_header_oid(value: bytes | None) -> Oid:
    text = "" if value is None else value.decode("ascii", "replace")
    if not is_oid(text):
        raise HeaderWithoutOid(text[:80])
    return Oid(text)


def _codec(encoding: bytes | None) -> str:
    """Return the codec of an `encoding` header; UTF-8 if it is absent or unknown.

    Names are looked up only in our table of known ones: Python remembers each unknown name that it is asked for.
    """
    name = "" if encoding is None else encoding[:80].decode("ascii", "replace").strip().lower()
    for spelling in (re.sub(r"[^a-z0-9]+", "_", name), re.sub(r"[^a-z0-9]+", "", name)):
        codec = aliases.get(spelling, spelling)
        if codec in _CODECS:
            return codec
    return "utf-8"


def _normal_zone(text: bytes | None) -> str:
    """Return the zone as `+hhmm`. An unreadable zone, as in old histories, is returned as UTC."""
    if text is None or len(text) != 5 or int(text[1:3]) > 23 or int(text[3:]) > 59:
        return "+0000"
    return text.decode("ascii")
