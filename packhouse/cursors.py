"""Page cursors: the place where a page ended, as text that callers send back without reading it."""

import base64
import binascii

from packhouse.errors import Code, Invalid

CURSOR_MAX_CHARS = 8192


class BadCursor(Invalid):
    """No page of this listing ended with this cursor."""

    code = Code.BAD_CURSOR


def encode_cursor(*parts: bytes) -> str:
    """Return the sort key of a page's last item as URL-safe text. Parts must not contain NUL."""
    return base64.urlsafe_b64encode(b"\0".join(parts)).decode("ascii").rstrip("=")


def decode_cursor(cursor: str, *, parts: int | tuple[int, ...]) -> list[bytes]:
    """Return the parts that encode_cursor() joined. Raises BadCursor for other text, or another number of parts."""
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
    """Return a non-negative number in a cursor. Raises BadCursor if it is not one."""
    if not part.isdigit() or len(part) > digits_max:
        raise BadCursor()
    return int(part)
