"""The refs that hold notes, in the spellings that callers use (git-notes(1))."""

from typing import Final

from packhouse.errors import Code, Invalid
from packhouse.git.refname import NOTES, RefName, find_refname

DEFAULT_NOTES_REF: Final = "refs/notes/commits"


class NotesRefInvalid(Invalid):
    """The text names no ref below `refs/notes/`. `notes_name` is its start."""

    code = Code.NOTES_REF_INVALID
    notes_name: str


def notes_refname(text: str | None) -> RefName:
    """Return the full name of a notes ref that a caller spells `reviews`, `notes/reviews` or in full.

    None means the ref that git uses by default. Raises Invalid for other `refs/` and for names that git refuses.
    """
    return _check(text, _place(text or DEFAULT_NOTES_REF))


def notes_prefix(text: str | None) -> bytes:
    """Return the beginning of full names for a prefix that a caller spells; None means all notes refs.

    Raises Invalid for a prefix outside `refs/notes/` and for one that no refname can have.
    """
    if text is None or text in ("refs/notes", "refs/notes/", "notes/"):
        return NOTES
    prefix = _place(text)
    _check(text, prefix + b"x")
    return prefix


def _place(text: str) -> bytes:
    """Return the caller's text as a full name below `refs/notes/`."""
    if text.startswith("refs/"):
        whole = text
    elif text.startswith("notes/"):
        whole = f"refs/{text}"
    else:
        whole = f"refs/notes/{text}"
    try:
        return whole.encode("utf-8")
    except UnicodeEncodeError:
        raise NotesRefInvalid(text[:200]) from None


def _check(text: str | None, refname: bytes) -> RefName:
    known = find_refname(refname)
    if known is None or not known.startswith(NOTES):
        # The field is not `notes_ref`. In the failure of a note write, that field means that the ref itself was the
        # reason.
        raise NotesRefInvalid((text or "")[:200])
    return known
