"""The file map of a commit: every file with the commit that last touched it. As a value, and as stored bytes."""

import sys
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from packhouse.git import Oid, is_oid
from packhouse.git.objects import FILE_MODES, MODE_GITLINK, MODE_SYMLINK

_EDITS_IN_PLACE_MAX: Final = 1000
_KINDS: Final = {MODE_GITLINK: "submodule", MODE_SYMLINK: "symlink"}


class FileRecord(msgspec.Struct, frozen=True, gc=False):
    """A file, symlink or submodule. `path` is for display: bytes that are not UTF-8 are U+FFFD.

    `mode` is six octal digits. A submodule has size 0.
    """

    path: str
    mode: str
    kind: str
    size_bytes: int
    last_commit: Oid


@dataclass(frozen=True, slots=True)
class FileMap:
    """All files of a commit in git's order. `paths[i]` is the key of `records[i]`.

    `chain` is the number of stored files that must be read to build the map: 1 for a map stored whole, 0 for a map that
    is not stored.
    """

    paths: list[bytes]
    records: list[FileRecord]
    chain: int = field(default=0, compare=False)

    def find(self, path: bytes) -> FileRecord | None:
        """Return the record at `path`, or None."""
        place = bisect_left(self.paths, path)
        return self.records[place] if place < len(self.paths) and self.paths[place] == path else None


Edits = Mapping[bytes, FileRecord | None]
"""The new record of each path; None removes the path."""


def make_record(path: bytes, mode: int, size_bytes: int, last_commit: Oid) -> FileRecord:
    """Return the record of a file from its values in the tree."""
    kind = _KINDS.get(mode, "blob")
    return FileRecord(path.decode("utf-8", "replace"), f"{mode:06o}", kind, size_bytes, last_commit)


def make_map(listed: Iterable[tuple[bytes, bytes, bytes]], last_commits: Mapping[bytes, Oid]) -> FileMap:
    """Return the map of a listing of (mode, size, path), as list_sized_files() returns it."""
    spelled = {mode: (f"{mode:06o}", _KINDS.get(mode, "blob")) for mode in FILE_MODES}
    paths, records = [], []
    for mode, size, path in listed:
        octal, kind = spelled[int(mode, 8)]
        size_bytes = 0 if size == b"-" else int(size)
        paths.append(path)
        records.append(
            FileRecord(path.decode("utf-8", "replace"), octal, kind, size_bytes, last_commits[path])
        )
    return FileMap(paths, records)


def edit_map(base: FileMap, edits: Edits) -> FileMap:
    """Return `base` with the edits. All other records are shared."""
    if len(edits) > _EDITS_IN_PLACE_MAX:
        return _edit_many(base, edits)
    paths, records = list(base.paths), list(base.records)
    for path, record in edits.items():
        place = bisect_left(paths, path)
        exists = place < len(paths) and paths[place] == path
        if record is None and exists:
            del paths[place], records[place]
        elif record is not None and exists:
            records[place] = record
        elif record is not None:
            paths.insert(place, path)
            records.insert(place, record)
    return FileMap(paths, records)


def _edit_many(base: FileMap, edits: Edits) -> FileMap:
    table = dict(zip(base.paths, base.records, strict=True))
    for path, record in edits.items():
        if record is None:
            table.pop(path, None)
        else:
            table[path] = record
    paths = sorted(table)
    return FileMap(paths, [table[path] for path in paths])


class StoredMap(msgspec.Struct, array_like=True):
    """A map as stored: whole, or as its differences from the map of the commit `base`.

    A row is path, mode, kind, size in bytes, and the position of its commit in `commits`.
    """

    base: str | None
    chain: int
    commits: list[str]
    rows: list[tuple[bytes, str, str, int, int]]
    removed: list[bytes]

    def edits(self) -> dict[bytes, FileRecord | None]:
        """Return the rows as edits of the base, or of an empty map."""
        edits: dict[bytes, FileRecord | None] = dict.fromkeys(self.removed)
        edits.update(zip((row[0] for row in self.rows), self._records(), strict=True))
        return edits

    def whole(self) -> FileMap:
        """Return the map of a file that was stored whole."""
        return FileMap([row[0] for row in self.rows], self._records(), 1)

    def _records(self) -> list[FileRecord]:
        commits = [Oid(oid) for oid in self.commits]
        return [
            FileRecord(
                path.decode("utf-8", "replace"), sys.intern(mode), sys.intern(kind), size, commits[place]
            )
            for path, mode, kind, size, place in self.rows
        ]


_decoder = msgspec.msgpack.Decoder(StoredMap)
_encoder = msgspec.msgpack.Encoder()


def encode_edits(edits: Edits, *, base: Oid | None, chain: int) -> bytes:
    """Return bytes for decode_stored(). `chain` counts this file and the files that it builds on."""
    commits: dict[Oid, int] = {}
    rows = [
        (path, r.mode, r.kind, r.size_bytes, commits.setdefault(r.last_commit, len(commits)))
        for path, r in edits.items()
        if r is not None
    ]
    removed = [path for path, record in edits.items() if record is None]
    return _encoder.encode(StoredMap(base, chain, list(commits), rows, removed))


def decode_stored(content: bytes) -> StoredMap | None:
    """Return the map that encode_edits() encoded; None for other bytes."""
    try:
        stored = _decoder.decode(content)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
        return None
    fits = all(0 <= row[4] < len(stored.commits) for row in stored.rows)
    oids = stored.commits if stored.base is None else [*stored.commits, stored.base]
    return stored if fits and all(map(is_oid, oids)) else None
