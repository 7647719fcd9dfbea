"""Paths inside a tree. They are checked on entry, so that no checkout on any system writes into `.git`.

`.git` has many spellings. HFS+ ignores some code points in file names. NTFS has short names, alternate streams and
names that may end in dots and spaces. The rules are those of `git fsck` with core.protectHFS and core.protectNTFS:
git's utf8.c, is_hfs_dot_generic(), and path.c, is_ntfs_dotgit() and is_ntfs_dot_generic().
"""

import re
from typing import Self

from packhouse import limits
from packhouse.errors import Code, Invalid

_IGNORED = rb"(?:\xe2\x80[\x8c-\x8f\xaa-\xae]|\xe2\x81[\xaa-\xaf]|\xef\xbb\xbf)*"
"""U+200C-200F, U+202A-202E, U+206A-206F and U+FEFF: the characters that HFS+ ignores in a name."""

_CHARACTER = (
    rb"(?:[\x01-.0-\x7f]|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee][\x80-\xbf]{2}"
    rb"|\xed[\x80-\x9f][\x80-\xbf]|\xef(?!\xbf[\xbe\xbf])[\x80-\xbf]{2}|\xf0[\x90-\xbf][\x80-\xbf]{2}"
    rb"|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2})"
)
"""A character other than the slash. Git's reader ends a name where no such character follows, so also at bad UTF-8."""


class PathEmpty(Invalid):
    """The path is empty."""

    code = Code.PATH_EMPTY


class PathTooLong(Invalid):
    """The path is longer than paths in a tree may be. `bytes` is its length."""

    code = Code.PATH_TOO_LONG
    bytes: int


class PathHoldsNul(Invalid):
    """The path holds a NUL byte. No name in a tree can."""

    code = Code.PATH_HOLDS_NUL
    path: bytes


class PathSegmentInvalid(Invalid):
    """A part of the path between two slashes is empty, `.` or `..`."""

    code = Code.PATH_SEGMENT_INVALID
    path: bytes


class PathNamesGit(Invalid):
    """A part of the path is `.git`, or a name that some file system takes for it."""

    code = Code.PATH_NAMES_GIT
    path: bytes


class PathPrefixInvalid(Invalid):
    """The prefix has an empty, `.` or `..` part, or a NUL byte. No path of a tree begins like this."""

    code = Code.PATH_PREFIX_INVALID
    path: bytes


class PathNotUnicode(Invalid):
    """The text contains half a surrogate pair, which JSON can spell."""

    code = Code.PATH_NOT_UNICODE


def _hfs_pattern(name: str) -> bytes:
    letters = b"".join(re.escape(letter.encode()) + _IGNORED for letter in f".{name}")
    return _IGNORED + letters + b"(?!" + _CHARACTER + b")"


def _ntfs_pattern(name: str, short: str) -> bytes:
    """Match the long name, its short names ~1 to ~4, and the short names that NTFS makes with a checksum."""
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
"""Nearly every path matches: no segment begins with a dot, or has what the patterns above look for."""


class TreePath(bytes):
    """A path that a tree may contain. Making one parses it, so no other bytes have this type.

    Raises Invalid for an empty or absolute path, an empty, `.` or `..` segment, `.git` in any spelling, NUL, and more
    than 4096 bytes. A backslash is an ordinary character, except in front of `.git`.
    """

    __slots__ = ()

    def __new__(cls, path: bytes) -> Self:
        """Return `path` unchanged. check_tree_path() takes paths as callers write them."""
        if type(path) is cls:
            return path
        require_tree_path(path)
        return super().__new__(cls, path)


def check_tree_path(path: str | bytes, *, deletes: bool = False) -> TreePath:
    """Return a caller's path in the form that trees use.

    Leading slashes are removed. If the path is to be deleted, one trailing slash is removed too. Raises Invalid like
    TreePath.
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
    """Tell whether trees may contain the path, and git has no rule for any of its names; False if that is not clear.

    One match answers for nearly every path. So it is cheap to check a path again where it is used.
    """
    return len(path) <= limits.tree_path_max_bytes and _PLAIN.fullmatch(path) is not None


def require_tree_path(path: bytes) -> None:
    """Raise Invalid unless a tree may contain the path. Does not trust its type."""
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
    """Return a caller's text that paths of a tree may begin with. The last segment may be cut anywhere.

    So `.git` is allowed, because `.gitignore` begins with it, and `.git/` is not. Leading slashes are removed. Raises
    Invalid like check_tree_path(), also for a last segment `.` or `..`: most callers mean a folder by it.
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
    """Tell whether this entry, or a part of it behind a backslash, is `.git` to some file system."""
    return _NTFS_DOTGIT.search(name) is not None or _HFS_DOTGIT.match(name) is not None


def is_gitmodules_name(name: bytes) -> bool:
    """Tell whether this entry is `.gitmodules` to some file system. Git checks the content of that file."""
    return _NTFS_GITMODULES.search(name) is not None or _HFS_GITMODULES.match(name) is not None


def is_gitattributes_name(name: bytes) -> bool:
    """Tell whether this entry is `.gitattributes` to some file system. Git checks the content of that file."""
    return _NTFS_GITATTRIBUTES.match(name) is not None or _HFS_GITATTRIBUTES.match(name) is not None
