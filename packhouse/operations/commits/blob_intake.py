"""Taking contents of files that arrive in pieces, in any order, with bounded memory.

Incomplete contents wait in memory. When they exceed the bound together, the largest move to temporary files. A complete
content goes into the pack at once.
"""

from collections.abc import Iterator
from enum import Enum, auto

from packhouse import limits
from packhouse.endings import Discarding
from packhouse.errors import Code, Invalid, LimitExceeded
from packhouse.git import ZERO_OID, Oid, parse_oid
from packhouse.repository import Write
from packhouse.storage import SpillFile


class ChunkUnknown(Invalid):
    """A chunk is for a content that no file of the commit has. `content_id` is its start."""

    code = Code.CHUNK_UNKNOWN
    content_id: str


class ChunkAfterLast(Invalid):
    """A chunk follows the last one of its content, the one with `eof`. `content_id` is its start."""

    code = Code.CHUNK_AFTER_LAST
    content_id: str


class ContentUnfinished(Invalid):
    """The request ended before the last chunk of a content. `content_id` is its start."""

    code = Code.CONTENT_UNFINISHED
    content_id: str


class FileTooLarge(LimitExceeded):
    """One file of a commit is larger than the bound."""

    code = Code.FILE_TOO_LARGE
    max_bytes: int


class SubmoduleInvalid(Invalid):
    """The content of a submodule is not 40 hex digits, the id of a commit elsewhere."""

    code = Code.SUBMODULE_INVALID


class SubmoduleZero(Invalid):
    """The content of a submodule is the zero id, which git refuses in a tree."""

    code = Code.SUBMODULE_ZERO


class ContentUse(Enum):
    """The use of a content: for a blob, for the id of a gitlink, or for nothing (its path is deleted)."""

    BLOB = auto()
    GITLINK = auto()
    IGNORED = auto()


_GITLINK_MAX_BYTES = 256
_PIECE_COST_BYTES = 64
"""The memory for a piece besides its bytes. It counts, because a client may send a file byte by byte."""


class _Partial:
    """An incomplete content."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self.waiting: list[bytes] = []
        self.waiting_bytes = 0
        self.file: SpillFile | None = None

    def add(self, data: bytes) -> None:
        self.waiting.append(data)
        self.waiting_bytes += len(data) + _PIECE_COST_BYTES
        self.size_bytes += len(data)

    def spill(self, write: Write) -> None:
        if self.file is None:
            self.file = write.new_spill()
        self.file.append(self.waiting)
        self.waiting, self.waiting_bytes = [], 0

    def iter_pieces(self) -> Iterator[bytes]:
        if self.file is not None:
            yield from self.file.iter_pieces()
        yield from self.waiting

    def discard(self) -> None:
        if self.file is not None:
            self.file.discard()


class BlobIntake(Discarding):
    """Takes the chunks of a commit stream and puts complete contents into the write's pack.

    `uses` has every content id that may come, with all its uses. Leaving the `with` block removes temporary files.
    """

    def __init__(self, write: Write, uses: dict[str, frozenset[ContentUse]], *, blob_max_bytes: int) -> None:
        self._write = write
        self._uses = uses
        self._blob_max_bytes = blob_max_bytes
        self._partial: dict[str, _Partial] = {}
        self._waiting_bytes = 0
        self._complete: set[str] = set()
        self.blobs: dict[str, Oid] = {}
        self.gitlinks: dict[str, Oid] = {}

    def discard(self) -> None:
        """Remove the temporary files of incomplete contents. Harmless when done before."""
        for partial in self._partial.values():
            partial.discard()
        self._partial.clear()

    def add_chunk(self, content_id: str, data: bytes, *, eof: bool) -> None:
        """Append to a content; with `eof` the content is complete.

        Raises Invalid for an id that no file uses, for a chunk after the last one and for a gitlink that is not an
        object id, LimitExceeded for a content over the size limit.
        """
        uses = self._uses.get(content_id)
        if uses is None:
            raise ChunkUnknown(content_id[:200])
        if uses == {ContentUse.IGNORED}:
            return
        if content_id in self._complete:
            raise ChunkAfterLast(content_id[:200])
        partial = self._partial.get(content_id)
        if partial is None:
            partial = self._partial[content_id] = _Partial()
        self._waiting_bytes -= partial.waiting_bytes
        partial.add(data)
        self._waiting_bytes += partial.waiting_bytes
        if partial.size_bytes > self._blob_max_bytes:
            raise FileTooLarge(self._blob_max_bytes)
        if eof:
            self._finish_content(content_id, partial, uses)
        elif self._waiting_bytes > limits.blob_in_memory_max_bytes:
            self._spill()

    def require_complete(self) -> None:
        """Raise Invalid when a needed content is missing, or its last chunk."""
        for content_id, uses in self._uses.items():
            if uses != {ContentUse.IGNORED} and content_id not in self._complete:
                raise ContentUnfinished(content_id[:200])

    def _finish_content(self, content_id: str, partial: _Partial, uses: frozenset[ContentUse]) -> None:
        del self._partial[content_id]
        self._waiting_bytes -= partial.waiting_bytes
        try:
            if ContentUse.GITLINK in uses:
                self.gitlinks[content_id] = _parse_gitlink(partial)
            if ContentUse.BLOB in uses:
                self.blobs[content_id] = self._write_blob(partial)
        finally:
            partial.discard()
        self._complete.add(content_id)

    def _write_blob(self, partial: _Partial) -> Oid:
        if partial.file is None:
            return self._write.writer.add_object("blob", b"".join(partial.waiting))
        return self._write.writer.add_blob_chunks(partial.size_bytes, partial.iter_pieces())

    def _spill(self) -> None:
        """Move the largest contents to files until half of the bound is free.

        If it moved one at a time, each chunk would cost a look through all contents: a quarter of an hour for a hundred
        thousand small files whose chunks alternate.
        """
        for partial in sorted(
            self._partial.values(), key=lambda partial: partial.waiting_bytes, reverse=True
        ):
            if self._waiting_bytes <= limits.blob_in_memory_max_bytes // 2:
                break
            self._waiting_bytes -= partial.waiting_bytes
            partial.spill(self._write)


def _parse_gitlink(partial: _Partial) -> Oid:
    if partial.size_bytes > _GITLINK_MAX_BYTES:
        raise SubmoduleInvalid()
    content = b"".join(partial.iter_pieces()).strip()
    try:
        oid = parse_oid(content.decode("ascii"))
    except (UnicodeDecodeError, Invalid):
        raise SubmoduleInvalid() from None
    if oid == ZERO_OID:
        raise SubmoduleZero()
    return oid
