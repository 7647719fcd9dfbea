"""Page cursors: where a page ended, as text that callers keep and send back unread."""

import base64
import binascii

from packhouse.error_codes import Code
from packhouse.errors import Invalid

CURSOR_MAX_CHARS = 8192


class BadCursor(Invalid):
    """The cursor is none that a page of this listing ended with."""

    code = Code.BAD_CURSOR


def encode_cursor(*parts: bytes) -> str:
    """Return the sort key of a page's last item as URL-safe text; parts must not hold NUL."""
    return base64.urlsafe_b64encode(b"\0".join(parts)).decode("ascii").rstrip("=")


def decode_cursor(cursor: str, *, parts: int | tuple[int, ...]) -> list[bytes]:
    """Return the parts that encode_cursor() joined; raise BadCursor for any other text or number of parts."""
    if len(cursor) > CURSOR_MAX_CHARS:
        raise BadCursor()
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise BadCursor() from None
    found = raw.split(b"\0")
    if len(found) not in (parts if isinstance(parts, tuple) else (parts,)):
        raise BadCursor()
    return found


def decode_number(part: bytes, *, digits_max: int = 18) -> int:
    """Return a non-negative number of a cursor; raise BadCursor when it is none."""
    if not part.isdigit() or len(part) > digits_max:
        raise BadCursor()
    return int(part)
