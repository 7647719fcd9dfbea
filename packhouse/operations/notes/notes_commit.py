"""The notes of one notes commit, with their texts."""

from collections.abc import Callable

from packhouse import limits
from packhouse.errors import Code, LimitExceeded
from packhouse.git import Oid
from packhouse.git.objects import NotesTree, parse_commit
from packhouse.repository import RepoView


class NoteTooLarge(LimitExceeded):
    """A note is larger than an answer can hold. `oid` is the note, or the object that the note is for."""

    code = Code.NOTE_TOO_LARGE
    oid: Oid
    max_bytes: int


class NotesCommit:
    """The notes of a commit on a notes ref: `tree` finds them. `tip` None is a notes ref that does not exist yet.

    A tree of mixed layouts may hold two notes of one object. Git joins them when it reads them. `add_blob` gets the
    text of each joined note and returns its id.
    """

    def __init__(self, view: RepoView, tip: Oid | None, add_blob: Callable[[bytes], Oid]) -> None:
        self._view = view
        self._add_blob = add_blob
        self._joined: dict[Oid, bytes] = {}
        root = None if tip is None else parse_commit(view.read_kept(tip, "commit")).tree
        self.tree = NotesTree(view.read_tree, root, self._join)

    def read(self, blob: Oid) -> bytes:
        """Return the text of a note that the tree found; raise LimitExceeded when it is too large for an answer."""
        if blob in self._joined:
            return self._joined[blob]
        view = self._view
        header = view.kind_and_size(blob)
        if header is None or header[0] != "blob":
            return b""  # git reads an entry that is not a blob as an empty note
        if header[1] > limits.note_max_bytes:
            raise NoteTooLarge(oid=blob, max_bytes=limits.note_max_bytes)
        with view.telling_damage():
            return b"".join(view.iter_blob(blob, header[1]))

    def _join(self, first: Oid, second: Oid) -> Oid:
        text = join_notes(self.read(first), self.read(second))
        blob = self._add_blob(text)
        self._joined[blob] = text
        return blob


def join_notes(first: bytes, second: bytes) -> bytes:
    """Return both texts with one blank line between them. An empty text adds nothing."""
    if not first or not second:
        return first or second
    return first.removesuffix(b"\n") + b"\n\n" + second


def is_notes_commit(view: RepoView, tip: Oid) -> bool:
    """Tell whether a notes ref points to a commit. A push may have put any object there."""
    header = view.kind_and_size(tip)
    return header is not None and header[0] == "commit"
