"""Which paths a patch may name: all paths that git apply could look for in its tree.

This does not parse patches; git apply does. It returns a superset: lines of content that look like headers only add
paths. Source: git's apply.c, git_header_name(), find_name_traditional() and guess_p_value().
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from packhouse import limits
from packhouse.errors import Code, LimitExceeded

_NAME_LINES: Final = (
    b"--- ",
    b"+++ ",
    b"rename from ",
    b"rename to ",
    b"rename old ",
    b"rename new ",
    b"copy from ",
    b"copy to ",
)
_GIT_LINE: Final = b"diff --git "
_QUOTED: Final = re.compile(rb'"(?:[^"\\]|\\.)*"')
_ESCAPE: Final = re.compile(rb"\\([0-3][0-7]{2}|.)", re.DOTALL)
_ESCAPED: Final = {
    b"a": b"\a",
    b"b": b"\b",
    b"f": b"\f",
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"v": b"\v",
}
_TIME_STAMP: Final = re.compile(
    rb"[ \t](?:\d\d)?\d\d-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?(?: [+-]\d\d:?\d\d)?\s*\Z"
)
_SLASHES: Final = re.compile(rb"//+")
_DEV_NULL: Final = b"/dev/null"


class PatchNamesTooManyPaths(LimitExceeded):
    """The patch names more files than one patch may change."""

    code = Code.PATCH_NAMES_TOO_MANY_PATHS
    max_paths: int


def find_patch_paths(lines: Iterable[bytes]) -> set[bytes]:
    """Return every path that the patch, given line by line, may name, with and without a first folder.

    Repeated slashes count as one, as in git apply. Raises LimitExceeded for too many paths.
    """
    paths: set[bytes] = set()
    for line in lines:
        if line.startswith(_GIT_LINE):
            names: Iterable[bytes] = _git_line_names(line[len(_GIT_LINE) :].rstrip(b"\r\n"))
        else:
            prefix = next((prefix for prefix in _NAME_LINES if line.startswith(prefix)), None)
            if prefix is None:
                continue
            names = _line_names(line[len(prefix) :].rstrip(b"\r\n"))
        for name in names:
            if name and name != _DEV_NULL:
                paths.update(
                    _SLASHES.sub(b"/", path).lstrip(b"/") for path in (name, name.partition(b"/")[2])
                )
        if len(paths) > limits.patch_paths_max:
            raise PatchNamesTooManyPaths(limits.patch_paths_max)
    paths.discard(b"")
    return paths


def _line_names(rest: bytes) -> Iterator[bytes]:
    quoted = _QUOTED.match(rest)
    if quoted is not None:
        yield unquote_c_style(quoted[0])
        return
    yield rest
    yield rest.partition(b"\t")[0]  # a time stamp follows the tab in plain patches
    yield _TIME_STAMP.sub(b"", rest).rstrip()


def _git_line_names(rest: bytes) -> Iterator[bytes]:
    """Yield the names of `diff --git a/x b/x`. Unquoted names may contain spaces; then both halves are alike."""
    position = 0
    while (quoted := _QUOTED.search(rest, position)) is not None:
        yield unquote_c_style(quoted[0])
        yield rest[position : quoted.start()].strip()
        position = quoted.end()
    rest = rest[position:].strip()
    yield rest
    middle = len(rest) // 2
    if rest[middle : middle + 1] == b" ":
        yield rest[:middle]
        yield rest[middle + 1 :]


def unquote_c_style(quoted: bytes) -> bytes:
    """Return the name that git wrote in double quotes (git-config(1), core.quotePath)."""

    def replace(match: re.Match[bytes]) -> bytes:
        body = match[1]
        if len(body) == 3:
            return bytes([int(body, 8)])
        return _ESCAPED.get(body, body)

    return _ESCAPE.sub(replace, quoted[1:-1])
