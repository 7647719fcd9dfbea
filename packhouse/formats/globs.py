"""Patterns for paths, as callers of grep and archive write them.

`*` and `?` stay within one folder, and `**` crosses folders. `**/` at the start of a segment also matches no folder at
all. `[...]` is a class of characters. A backslash makes the next character literal. A pattern with a slash is anchored
at the root. A pattern without a slash matches base names at any depth if it has a wildcard, and otherwise only the path
that it spells. A pattern that ends in a slash matches everything below that folder.

Patterns become regular expressions whose stars are atomic groups. The shortest match of a star is never worse than a
longer one, so nothing is tried twice, and no pattern takes exponential time.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from packhouse import limits
from packhouse.errors import Code, Invalid

_WILD: Final = frozenset("*?[")
_POSIX: Final = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "digit": "0-9",
    "lower": "a-z",
    "space": r"\s",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}


class TooManyGlobs(Invalid):
    """The call has more patterns than one call takes."""

    code = Code.TOO_MANY_GLOBS
    globs_max: int


class TooManyExtensions(Invalid):
    """The call has more file name extensions than one call takes."""

    code = Code.TOO_MANY_EXTENSIONS
    extensions_max: int


class ExtensionInvalid(Invalid):
    """A file name extension is empty, or holds a slash or a NUL character."""

    code = Code.EXTENSION_INVALID
    extension: str


class BadGlob(Invalid):
    """The text is not a glob pattern. `glob` is its start, `reason` the end of a sentence about it."""

    code = Code.BAD_GLOB
    glob: str
    reason: str

    def __init__(self, glob: str, *, reason: str) -> None:
        self.glob = glob[:200]
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Globs:
    """Patterns. A path matches if one of them matches it; without patterns no path matches."""

    expressions: tuple[re.Pattern[str], ...]

    def matches(self, path: bytes) -> bool:
        """Tell whether a full path from the root matches. Each byte that is not UTF-8 counts as one character."""
        text = path.decode("utf-8", "surrogateescape")
        return any(expression.fullmatch(text) for expression in self.expressions)


@dataclass(frozen=True, slots=True)
class PathFilter:
    """The files of a tree that a caller asked for.

    `prefixes` are the first bytes of a path and may end within a name. Without prefixes, includes and extensions, every
    path passes.
    """

    prefixes: tuple[bytes, ...] = ()
    include: Globs | None = None
    exclude: Globs | None = None
    extensions: tuple[bytes, ...] = ()

    @property
    def takes_all(self) -> bool:
        """Tell whether only the prefixes decide."""
        return self.include is None and self.exclude is None and not self.extensions

    def takes(self, path: bytes) -> bool:
        """Tell whether the caller asked for the file at `path`."""
        if self.prefixes and not path.startswith(self.prefixes):
            return False
        if self.extensions and not path.rpartition(b"/")[2].endswith(self.extensions):
            return False
        if self.include is not None and not self.include.matches(path):
            return False
        return self.exclude is None or not self.exclude.matches(path)


def compile_globs(patterns: Sequence[str]) -> Globs | None:
    """Return the patterns ready for use, None for an empty list; raise BadGlob."""
    if len(patterns) > limits.globs_max:
        raise TooManyGlobs(limits.globs_max)
    return Globs(tuple(_compile(pattern) for pattern in patterns)) if patterns else None


def parse_extensions(extensions: Iterable[str]) -> tuple[bytes, ...]:
    """Return file name endings, each with its dot, which callers may leave out. Raises Invalid for other texts."""
    endings = []
    for extension in extensions:
        ending = extension.strip().removeprefix(".")
        if not ending or "/" in ending or "\0" in ending or len(ending) > limits.glob_max_chars:
            raise ExtensionInvalid(extension[:200])
        endings.append(b"." + ending.encode("utf-8", "surrogateescape"))
    if len(endings) > limits.globs_max:
        raise TooManyExtensions(limits.globs_max)
    return tuple(endings)


def _compile(pattern: str) -> re.Pattern[str]:
    glob = pattern.removeprefix("/")
    if not glob:
        raise BadGlob(pattern, reason="is empty")
    if len(glob) > limits.glob_max_chars:
        raise BadGlob(pattern, reason=f"is longer than {limits.glob_max_chars} characters")
    if "\0" in glob:
        raise BadGlob(pattern, reason="holds a NUL character")
    if glob.endswith("/"):
        glob += "**"
    anchored = "/" in pattern or _WILD.isdisjoint(glob)
    tokens = _tokenize(pattern, glob if anchored else f"**/{glob}")
    return re.compile(_join(tokens), re.DOTALL)


_STAR: Final = "[^/]*"
_GLOBSTAR: Final = ".*"
_FOLDERS: Final = "(?:.*/)?"


def _tokenize(pattern: str, glob: str) -> list[str]:
    """Return one regular expression for each element: a character, a class, or one of the three stars."""
    tokens: list[str] = []
    at = 0
    while at < len(glob):
        char = glob[at]
        if glob.startswith("**/", at) and (at == 0 or glob[at - 1] == "/"):
            tokens.append(_FOLDERS)
            at += 3
        elif char == "*":
            end = at
            while end < len(glob) and glob[end] == "*":
                end += 1
            tokens.append(_STAR if end - at == 1 else _GLOBSTAR)
            at = end
        elif char == "[":
            expression, at = _read_class(pattern, glob, at)
            tokens.append(expression)
        elif char == "\\":
            if at + 1 == len(glob):
                raise BadGlob(pattern, reason="ends in a backslash")
            tokens.append(re.escape(glob[at + 1]))
            at += 2
        else:
            tokens.append("[^/]" if char == "?" else re.escape(char))
            at += 1
    return tokens


def _read_class(pattern: str, glob: str, start: int) -> tuple[str, int]:
    """Return the regular expression of the class that begins at `start`, and the place after the class."""
    at = start + 1
    negated = at < len(glob) and glob[at] in "!^"
    at += negated
    members = ""
    first = True
    while at < len(glob) and (first or glob[at] != "]"):
        first = False
        if glob.startswith("[:", at):
            name = glob[at + 2 :].partition(":]")[0]
            if name not in _POSIX:
                raise BadGlob(pattern, reason="names an unknown class of characters")
            members += _POSIX[name]
            at += len(name) + 4
            continue
        low, at = _read_member(glob, at)
        high = low
        if at + 1 < len(glob) and glob[at] == "-" and glob[at + 1] != "]":
            high, at = _read_member(glob, at + 1)
        if high < low:
            raise BadGlob(pattern, reason="has a range that runs backwards")
        members += re.escape(low) if low == high else f"{re.escape(low)}-{re.escape(high)}"
    if at >= len(glob):
        raise BadGlob(pattern, reason="has a [ without a ]")
    return f"(?!/)[{'^' if negated else ''}{members}]", at + 1


def _read_member(glob: str, at: int) -> tuple[str, int]:
    if glob[at] == "\\" and at + 1 < len(glob):
        return glob[at + 1], at + 2
    return glob[at], at + 1


def _join(tokens: list[str]) -> str:
    """Return the whole expression. A star forms an atomic group with the text up to the next star of its kind.

    The last star of each kind is not atomic: it must reach the end of the path, and may match more instead.
    """
    scopes: list[list[str]] = [[]]
    stars: list[str] = []
    for token in tokens:
        if token in (_GLOBSTAR, _FOLDERS):
            stars.append(token)
            scopes.append([])
        else:
            scopes[-1].append(token)
    parts = [_join_scope(scopes[0], last=not stars)]
    for number, (star, scope) in enumerate(zip(stars, scopes[1:], strict=True)):
        last = number == len(stars) - 1
        lazy = ".*?" if star is _GLOBSTAR else "(?:.*?/)??"
        inside = lazy + _join_scope(scope, last=last)
        parts.append(f"(?:{inside})" if last else f"(?>{inside})")
    return "".join(parts)


def _join_scope(tokens: list[str], *, last: bool) -> str:
    """Return a part without `**`. In the last part of a pattern, the end follows the last star."""
    pieces: list[list[str]] = [[]]
    for token in tokens:
        if token is _STAR:
            pieces.append([])
        else:
            pieces[-1].append(token)
    parts = ["".join(pieces[0])]
    for number, piece in enumerate(pieces[1:], 1):
        final = last and number == len(pieces) - 1
        inside = "".join(piece)
        parts.append(rf"[^/]*{inside}\Z" if final else f"(?>[^/]*?{inside})")
    return "".join(parts)
