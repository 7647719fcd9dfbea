"""Path names in git's output for people: in double quotes with C's escapes where a byte needs it.

Source: git's quote.c, quote_c_style() and unquote_c_style(), with core.quotePath on (the default): every byte
outside printable ASCII is escaped.
"""

import re
from typing import Final

_ESCAPES: Final = {
    7: b"\\a",
    8: b"\\b",
    9: b"\\t",
    10: b"\\n",
    11: b"\\v",
    12: b"\\f",
    13: b"\\r",
    34: b'\\"',
    92: b"\\\\",
}
_UNESCAPES: Final = {escape[1:]: bytes([byte]) for byte, escape in _ESCAPES.items()}
_SPECIAL: Final = re.compile(rb'[\x00-\x1f"\\\x7f-\xff]')
_ESCAPED: Final = re.compile(rb"\\([0-3][0-7]{2}|.)", re.DOTALL)


def quote_path(path: bytes) -> bytes:
    """Return the path as git prints it: unchanged, or quoted when one of its bytes needs it."""
    if not _SPECIAL.search(path):
        return path
    return b'"' + _SPECIAL.sub(lambda match: _escape(match[0][0]), path) + b'"'


def unquote_path(text: bytes) -> bytes:
    """Return the path for a text of quote_path()."""
    if not (len(text) >= 2 and text.startswith(b'"') and text.endswith(b'"')):
        return text
    return _ESCAPED.sub(lambda match: _unescape(match[1]), text[1:-1])


def _escape(byte: int) -> bytes:
    return _ESCAPES.get(byte) or b"\\%03o" % byte


def _unescape(escape: bytes) -> bytes:
    return bytes([int(escape, 8)]) if len(escape) == 3 else _UNESCAPES.get(escape, escape)
