"""Texts for SQL: which texts can be stored, and how to search names alike on both engines."""

from typing import Final

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
