"""The file of fixed read tokens. Each line is `TOKEN ORG REPO`, separated by blanks or tabs.

`REPO` is a repository name, or `*` for all repositories of the organisation. It is the rest of the line, so a name may
hold blanks, except at its ends. Blank lines and lines with `#` in front are skipped. A line of another form gives no
access, and the other lines still work. The log names it by its number, once for each change of the file. The log never
quotes it, since its text is probably a token.
"""

import logging
import re
import threading
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from packhouse import limits
from packhouse.errors import Code, Invalid, Unavailable
from packhouse.log import log_event
from packhouse.node.repo_name import check_repo_name

ALL_REPOS: Final = "*"

_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_GAP: Final = re.compile(r"[ \t]+")
_SKIPPED: Final = "line of the static tokens' file is skipped"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class _LineInvalid(Invalid):
    """A line of the token file is invalid. The error does not quote it, since it may hold a token."""


class TokenFileUnreadable(Unavailable):
    """The token file is absent, not a plain file, or closed to this process."""

    code = Code.TOKEN_FILE_UNREADABLE


class TokenFileTooLarge(Unavailable):
    """The token file is larger than the server reads."""

    code = Code.TOKEN_FILE_TOO_LARGE
    max_bytes: int


class TokenLineNotUtf8(_LineInvalid):
    """A line of the token file is not UTF-8."""

    code = Code.TOKEN_LINE_NOT_UTF8


class TokenLineMalformed(_LineInvalid):
    """A line of the token file has fewer than three parts."""

    code = Code.TOKEN_LINE_MALFORMED


class TokenLineRepoInvalid(_LineInvalid):
    """The third part of a line of the token file is not the name of a repository."""

    code = Code.TOKEN_LINE_REPO_INVALID


@dataclass(frozen=True, slots=True)
class TokenLine:
    """One fixed token, as its digest, and the repositories that it reads. `repo` may be ALL_REPOS."""

    digest: bytes
    org: str
    repo: str


class TokenFile:
    """The configured file. It is checked at each use, so a change needs no restart. Each change is parsed once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._content_digest = b""
        self._lines: tuple[TokenLine, ...] = ()

    def read(self) -> tuple[TokenLine, ...]:
        """Return the well-formed lines. Raises Unavailable if the file cannot be read."""
        try:
            if not self._path.is_file():  # opening a pipe would block
                raise TokenFileUnreadable()
            with self._path.open("rb") as file:
                content = file.read(limits.static_tokens_max_bytes + 1)
        except OSError:
            raise TokenFileUnreadable() from None
        if len(content) > limits.static_tokens_max_bytes:
            raise TokenFileTooLarge(limits.static_tokens_max_bytes)
        digest = sha256(content).digest()
        with self._lock:
            if digest != self._content_digest:
                self._lines = _parse(content)
                self._content_digest = digest
            return self._lines


def digest_token(token: str) -> bytes:
    """Return the digest by which tokens are compared."""
    return sha256(token.encode("utf-8", "replace")).digest()


def _parse(content: bytes) -> tuple[TokenLine, ...]:
    lines = []
    faults = 0
    for number, raw in enumerate(_LINE_END.split(content.removeprefix(_BYTE_ORDER_MARK)), 1):
        try:
            line = _parse_line(raw)
        except _LineInvalid as error:
            faults += 1
            if faults <= limits.static_token_faults_logged_max:
                log_event(_SKIPPED, level=logging.WARNING, line=number, reason=error.code.value)
            continue
        if line is not None:
            lines.append(line)
    if faults > limits.static_token_faults_logged_max:
        log_event(_SKIPPED, level=logging.WARNING, lines=faults, reason="there are more than are listed")
    return tuple(lines)


def _parse_line(raw: bytes) -> TokenLine | None:
    """Return the token of a line; None for a blank line or a comment. Raises Invalid, without quoting the line."""
    try:
        text = raw.decode("utf-8").strip(" \t")
    except UnicodeDecodeError:
        raise TokenLineNotUtf8() from None
    if not text or text.startswith("#"):
        return None
    fields = _GAP.split(text, maxsplit=2)
    if len(fields) < 3:
        raise TokenLineMalformed()
    token, org, repo = fields
    if repo != ALL_REPOS:
        try:
            check_repo_name(repo)
        except Invalid:
            raise TokenLineRepoInvalid() from None
    return TokenLine(digest_token(token), org, repo)
