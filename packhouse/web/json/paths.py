"""Paths at the edge. Trees hold bytes, JSON and queries hold text, so a path that is not UTF-8 goes as base64 as well.

An answer shows such a path with U+FFFD, which is not the name of the file, and its bytes in a further member,
`path_base64`. Every call that takes a path takes that member as well.
"""

import binascii
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
import pybase64

from packhouse import limits
from packhouse.cursors import BadCursor
from packhouse.errors import Code, FieldMissing, Invalid
from packhouse.git.objects import PathNotUnicode, TreePath, check_path_prefix, check_tree_path
from packhouse.web.json.types import EncodedPath, FileOrFolderPath

ENCODED: Final = "_base64"
"""The end of the name of a member that holds the bytes of a path."""

# The alphabet for URLs (RFC 4648 section 5) is taken too. A `+` of a query arrives as a blank.
_STANDARD_ALPHABET: Final = bytes.maketrans(b"-_ ", b"+/+")
_QUANTUM: Final = 4


class PathsDiffer(Invalid):
    """A path and its base64 form name different paths."""

    code = Code.PATHS_DIFFER
    field: str


class FieldNotBase64(Invalid):
    """A member of the request is not base64."""

    code = Code.FIELD_NOT_BASE64
    field: str


class PathMembers(msgspec.Struct, kw_only=True):
    """A path: as text, or as base64 of its bytes.

    Given both, `path` must be the text that answers show for these bytes.
    """

    path: FileOrFolderPath | None = None
    path_base64: EncodedPath | None = None


# Answers


def path_text(path: bytes) -> str:
    """Return a path as text for JSON. Bytes that are not UTF-8 become U+FFFD."""
    return path.decode("utf-8", "replace")


def encoded_path(path: bytes) -> str | msgspec.UnsetType:
    """Return a path that is not UTF-8 as standard base64, UNSET for all others."""
    if path.isascii():
        return msgspec.UNSET
    try:
        path.decode("utf-8")
    except UnicodeDecodeError:
        return pybase64.b64encode(path).decode("ascii")
    return msgspec.UNSET


def encoded_paths(paths: Sequence[bytes]) -> list[str] | msgspec.UnsetType:
    """Return all paths as standard base64, in order, when one of them is not UTF-8; UNSET otherwise."""
    if all(encoded_path(path) is msgspec.UNSET for path in paths):
        return msgspec.UNSET
    return [pybase64.b64encode(path).decode("ascii") for path in paths]


def path_list_members(paths: Iterable[bytes], name: str) -> dict[str, list[str]]:
    """Return the members of a failure that show a list of paths, as text and where needed as base64."""
    listed = list(paths)
    members = {name: [path_text(path) for path in listed]}
    encoded = encoded_paths(listed)
    if encoded is not msgspec.UNSET:
        members[name + ENCODED] = encoded
    return members


# Requests


def read_path(given: PathMembers, field: str = "path") -> bytes | None:
    """Return the path as given, unchecked; None without a path.

    Raises Invalid for malformed base64, and when the two members name different paths.
    """
    if given.path_base64 is None:
        return None if given.path is None else _encode(given.path)
    path = _decode(given.path_base64, field + ENCODED)
    if given.path is not None and given.path != path_text(path):
        raise PathsDiffer(field)
    return path


def read_file_path(given: PathMembers) -> TreePath:
    """Return the path of a file in the form of trees. The path must be given and not be blank."""
    is_blank = given.path_base64 is None and not (given.path or "").strip()
    return read_written_path(PathMembers() if is_blank else given)


def is_root(given: PathMembers) -> bool:
    """Tell whether the path is absent, or has only blanks and slashes."""
    if given.path_base64 is not None:
        return not (read_path(given) or b"").strip(b"/")
    return not (given.path or "").strip().strip("/")


def read_written_path(given: PathMembers, field: str = "path", *, deletes: bool = False) -> TreePath:
    """Return the path to write or to delete, in the form of trees. The path must be given."""
    path = read_path(given, field)
    if path is None:
        raise FieldMissing(field)
    return check_tree_path(path, deletes=deletes)


def read_folder(given: PathMembers) -> bytes:
    """Return the path of a folder or file in the form of trees.

    It is empty, the root, without a path and for slashes only.
    """
    path = read_path(given)
    if path is None or not path.strip(b"/"):
        return b""
    return check_tree_path(path, deletes=True)


def read_paths(texts: Sequence[str], encoded: Sequence[str], field: str = "path_base64") -> list[TreePath]:
    """Return literal paths of files or folders, given as text and as base64; an empty list when one names the root.

    `field` is the member that holds base64. Raises Invalid for a path that no tree can hold.
    """
    paths = [*map(_encode, texts), *(_decode(text, field) for text in encoded)]
    if any(not path.strip(b"/") for path in paths):
        return []
    return [check_tree_path(path, deletes=True) for path in paths]


def read_prefixes(texts: Sequence[str], encoded: Sequence[str], field: str) -> tuple[bytes, ...]:
    """Return prefixes of paths, given as text and as base64; an empty tuple when one names the root.

    Raises Invalid as read_paths() does.
    """
    prefixes = [*map(_encode, texts), *(_decode(text, field) for text in encoded)]
    if any(not prefix.strip(b"/") for prefix in prefixes):
        return ()
    return tuple(check_path_prefix(prefix) for prefix in prefixes)


def _encode(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:  # half a surrogate pair, which JSON can spell
        raise PathNotUnicode() from error


def _decode(text: str, field: str) -> bytes:
    try:
        data = text.encode("ascii").translate(_STANDARD_ALPHABET)
        return pybase64.b64decode(data + b"=" * (-len(data) % _QUANTUM), validate=True)
    except (binascii.Error, ValueError):
        raise FieldNotBase64(field) from None


# Cursors that are paths


def path_cursor(path: bytes) -> str:
    """Return the cursor of a page that ends with `path`: the path, or NUL and hex when it is not UTF-8."""
    try:
        return path.decode("utf-8")
    except UnicodeDecodeError:
        return "\0" + path.hex()


def parse_path_cursor(cursor: str) -> bytes:
    """Return the path in a cursor; raise Invalid for text that cannot come from path_cursor()."""
    try:
        path = bytes.fromhex(cursor[1:]) if cursor.startswith("\0") else cursor.encode("utf-8")
    except (ValueError, UnicodeEncodeError):
        raise BadCursor() from None
    if b"\0" in path or len(path) > limits.tree_path_max_bytes:
        raise BadCursor()
    return path
