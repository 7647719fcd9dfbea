"""Texts on their way into SQL: what can be stored at all, and searching names alike on both engines."""

from typing import Final

_ESCAPES: Final = str.maketrans({"\\": "\\\\", "%": "\\%", "_": "\\_"})


def is_storable(text: str) -> bool:
    """Tell whether both engines can hold `text`: no NUL (PostgreSQL), no lone surrogate (UTF-8).

    What is not storable was never stored, so a look-up may answer "absent" without asking.
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
    """Return `text` for comparing without regard to case; stored, since engines fold differently."""
    return text.casefold()


def substring_pattern(text: str) -> str:
    """Return a LIKE pattern, for use with `ESCAPE '\\'`, that finds `text` literally anywhere."""
    return f"%{text.translate(_ESCAPES)}%"
