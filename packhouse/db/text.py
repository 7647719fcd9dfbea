"""Texts for SQL: which texts can be stored, and how to search names alike on both engines."""

from typing import Final

_LAST_CHARACTER: Final = "\U0010ffff"
_BEHIND_ALL_NAMES: Final = _LAST_CHARACTER * 64  # longer than any name, and each character is the last one
_SURROGATES: Final = (0xD800, 0xDFFF)
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "%": "\\%", "_": "\\_"})


def is_storable(text: str) -> bool:
    """Tell whether both engines can store `text`: no NUL (PostgreSQL), no lone surrogate (UTF-8).

    Other texts were never stored, so a look-up may answer "absent" without a query.
    """
    if "\0" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def fold_case(text: str) -> str:
    """Return `text` for comparing without regard to case. It is stored, since the engines fold differently."""
    return text.casefold()


def substring_pattern(text: str) -> str:
    """Return a LIKE pattern, for use with `ESCAPE '\\'`, that finds `text` literally at any place."""
    return f"%{text.translate(_ESCAPES)}%"


def after_prefix(prefix: str) -> str:
    """Return the least text, compared as bytes, that comes after every repository name that starts with `prefix`.

    UTF-8 keeps the order of code points, so it is the prefix with its last character raised by one.
    """
    rest = prefix.rstrip(_LAST_CHARACTER)
    if not rest:
        return _BEHIND_ALL_NAMES
    following = ord(rest[-1]) + 1
    if following == _SURROGATES[0]:
        following = _SURROGATES[1] + 1
    return rest[:-1] + chr(following)
