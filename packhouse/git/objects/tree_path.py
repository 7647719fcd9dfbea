"""Paths inside a tree: checked where they enter, so that no checkout on any system is led into `.git`.

HFS+ ignores some code points in file names and NTFS has short names, alternate streams and names that may end
in dots and spaces, so `.git` has many spellings. The rules are those of `git fsck` with core.protectHFS and
core.protectNTFS: git's utf8.c, is_hfs_dot_generic(), and path.c, is_ntfs_dotgit() and is_ntfs_dot_generic().
"""

import re
from typing import Self

from packhouse import limits
from packhouse.error_codes import Code
from packhouse.errors import Invalid

_IGNORED = rb"(?:\xe2\x80[\x8c-\x8f\xaa-\xae]|\xe2\x81[\xaa-\xaf]|\xef\xbb\xbf)*"
"""U+200C-200F, U+202A-202E, U+206A-206F and U+FEFF: what HFS+ does not see in a name."""

_CHARACTER = (
    rb"(?:[\x01-.0-\x7f]|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee][\x80-\xbf]{2}"
    rb"|\xed[\x80-\x9f][\x80-\xbf]|\xef(?!\xbf[\xbe\xbf])[\x80-\xbf]{2}|\xf0[\x90-\xbf][\x80-\xbf]{2}"
    rb"|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2})"
)
"""A character other than the slash. To git's reader a name ends where none follows, so also at bad UTF-8."""


class PathEmpty(Invalid):
    """The path names nothing."""

    code = Code.PATH_EMPTY


class PathTooLong(Invalid):
    """`bytes` is its length."""

    code = Code.PATH_TOO_LONG
    bytes: int


class PathHoldsNul(Invalid):
    """No tree can hold such a name."""

    code = Code.PATH_HOLDS_NUL
    path: bytes


class PathSegmentInvalid(Invalid):
    """Each part between two slashes is the name of an entry."""

    code = Code.PATH_SEGMENT_INVALID
    path: bytes


class PathNamesGit(Invalid):
    """Some file system takes a part of the path for `.git`."""

    code = Code.PATH_NAMES_GIT
    path: bytes


class PathPrefixInvalid(Invalid):
    """No path of a tree begins like this."""

    code = Code.PATH_PREFIX_INVALID
    path: bytes


class PathNotUnicode(Invalid):
    """The text holds half a surrogate pair, which JSON can spell."""

    code = Code.PATH_NOT_UNICODE


def _hfs_pattern(name: str) -> bytes:
    letters = b"".join(re.escape(letter.encode()) + _IGNORED for letter in f".{name}")
    return _IGNORED + letters + b"(?!" + _CHARACTER + b")"


def _ntfs_pattern(name: str, short: str) -> bytes:
    """Match the long name, its short names ~1 to ~4, and the short names that NTFS makes of a checksum."""
    hashed = (
        f"{short[:kept]}~[1-9]" + (f"[0-9]{{{6 - kept}}}" if kept < 6 else "")
        for kept in range(len(short) + 1)
    )
    return rf"(?:\.{name}|{name[:6]}~[1-4]|{'|'.join(hashed)})[ .]*+(?:\Z|:)".encode()


_NTFS_DOTGIT = re.compile(rb"(?:\A|\\)(?:\.git|git~1)[. ]*+(?:\Z|[\\/:])", re.IGNORECASE)
_HFS_DOTGIT = re.compile(_hfs_pattern("git"), re.IGNORECASE)
_HFS_GITMODULES = re.compile(_hfs_pattern("gitmodules"), re.IGNORECASE)
_NTFS_GITMODULES = re.compile(rb"(?:\A|\\)" + _ntfs_pattern("gitmodules", "gi7eba"), re.IGNORECASE)
_HFS_GITATTRIBUTES = re.compile(_hfs_pattern("gitattributes"), re.IGNORECASE)
_NTFS_GITATTRIBUTES = re.compile(_ntfs_pattern("gitattributes", "gi7d29"), re.IGNORECASE)

_PLAIN = re.compile(rb"(?:[\w+@-][\w.+@ -]*+(?:/(?!\Z)|\Z))+", re.ASCII)
"""Nearly every path there is: no segment begins with a dot, nor holds what the patterns above look for."""


class TreePath(bytes):
    """A path that a tree may hold. To make one is to parse it, so no other bytes have this type.

    Raises Invalid for an empty or absolute path, an empty, `.` or `..` segment, `.git` in any spelling, NUL, and
    more than 4096 bytes. A backslash is an ordinary character, but not in front of `.git`.
    """

    __slots__ = ()

    def __new__(cls, path: bytes) -> Self:
        """Return `path` as it is; check_tree_path() takes paths as callers write them."""
        if type(path) is cls:
            return path
        require_tree_path(path)
        return super().__new__(cls, path)


def check_tree_path(path: str | bytes, *, deletes: bool = False) -> TreePath:
    """Return a path as callers give it in the form that trees use.

    Leading slashes are taken off, and one trailing slash when the path is to be deleted. Raises Invalid as
    TreePath does.
    """
    if isinstance(path, str):
        try:
            path = path.encode()
        except UnicodeEncodeError as error:
            raise PathNotUnicode() from error
    path = path.lstrip(b"/")
    if deletes:
        path = path.removesuffix(b"/")
    return TreePath(path)


def is_plain_path(path: bytes) -> bool:
    """Tell whether trees may hold the path, and git has no rule for any of its names; False when that is open.

    One look answers for nearly every path, which makes it cheap to check a path again where it is used.
    """
    return len(path) <= limits.tree_path_max_bytes and _PLAIN.fullmatch(path) is not None


def require_tree_path(path: bytes) -> None:
    """Raise Invalid unless a tree may hold the path, whatever its type claims."""
    if is_plain_path(path):
        return
    if not path:
        raise PathEmpty()
    if len(path) > limits.tree_path_max_bytes:
        raise PathTooLong(len(path))
    if b"\0" in path:
        raise PathHoldsNul(path)
    for segment in path.split(b"/"):
        if segment in {b"", b".", b".."}:
            raise PathSegmentInvalid(path)
        if is_dotgit_name(segment):
            raise PathNamesGit(path)


def check_path_prefix(prefix: str | bytes) -> bytes:
    """Return what paths of a tree may begin with, as callers give it; the last segment may be cut anywhere.

    So `.git` is allowed, with which `.gitignore` begins, and `.git/` is not. Leading slashes are taken off. Raises
    Invalid as check_tree_path() does, also for a last segment `.` or `..`: most callers mean a folder by it.
    """
    if isinstance(prefix, str):
        try:
            prefix = prefix.encode()
        except UnicodeEncodeError as error:
            raise PathNotUnicode() from error
    prefix = prefix.lstrip(b"/")
    folder, slash, name = prefix.rpartition(b"/")
    if slash:
        check_tree_path(folder)
    if len(prefix) > limits.tree_path_max_bytes:
        raise PathTooLong(len(prefix))
    if name in {b".", b".."} or b"\0" in name:
        raise PathPrefixInvalid(prefix)
    return prefix


def is_dotgit_name(name: bytes) -> bool:
    """Tell whether some file system takes this entry, or one that it hides behind a backslash, for `.git`."""
    return _NTFS_DOTGIT.search(name) is not None or _HFS_DOTGIT.match(name) is not None


def is_gitmodules_name(name: bytes) -> bool:
    """Tell whether some file system takes this entry for `.gitmodules`, whose content git then checks."""
    return _NTFS_GITMODULES.search(name) is not None or _HFS_GITMODULES.match(name) is not None


def is_gitattributes_name(name: bytes) -> bool:
    """Tell whether some file system takes this entry for `.gitattributes`, whose content git then checks."""
    return _NTFS_GITATTRIBUTES.match(name) is not None or _HFS_GITATTRIBUTES.match(name) is not None
