"""Writes packs and their idx, as data arrives. New objects are written whole; deltas are copied from other packs.

Source: gitformat-pack(5), version 2 of both files.

The trailer of a pack is the hash of everything before it, also of its header. The header has the number of objects,
which is known only at the end. So nothing is hashed while writing. A small pack is hashed in memory when it is
finished; a large one is read back once. Both are one pass of SHA-1. Reading back costs a copy out of the page cache, a
tenth of the hashing.
"""

import contextlib
import hashlib
import os
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from isal import isal_zlib

from packhouse import limits
from packhouse.git import Oid
from packhouse.git.packs.errors import BlobLengthWrong, PackEntryWrong
from packhouse.git.packs.pack import Pack

KIND_NUMBERS: Final = {"commit": 1, "tree": 2, "blob": 3, "tag": 4}

OFS_DELTA: Final = 6
"""The kind of a delta that names its base by the distance."""

PACK_HEADER: Final = struct.Struct(">4sII")
IDX_MAGIC: Final = b"\xfftOc\x00\x00\x00\x02"
_LEVEL: Final = 1
"""Level 1 of isal packs text as well as zlib's fast levels, and stores random bytes almost unchanged."""


class PackEntry(NamedTuple):
    """The position of one object in a pack, as in its idx. `crc32` is over the stored entry."""

    oid: Oid
    crc32: int
    offset: int


@dataclass(frozen=True, slots=True)
class FinishedPack:
    """A written pack, and the data for its idx. The name is its trailer in hex."""

    pack: Pack
    entries: tuple[PackEntry, ...]


class PackWriter:
    """Collects objects into one pack. Each object is stored once, however often it is added.

    `open_file` returns an empty file opened for reading and writing in binary. It is called once, and only if the pack
    is written to a file. The writer does not sync or close the file. Memory is bounded by
    `limits.pack_buffer_max_bytes` plus a small record for each object.
    """

    def __init__(self, open_file: Callable[[], BinaryIO]) -> None:
        self._open_file = open_file
        self._opened: BinaryIO | None = None
        self._offset = PACK_HEADER.size
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._spilled = False
        self._entries: dict[Oid, PackEntry] = {}
        self._new_bytes = 0

    @property
    def new_bytes(self) -> int:
        """The size of all objects that were added, without the copied ones."""
        return self._new_bytes

    def __contains__(self, oid: Oid) -> bool:
        return oid in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def add_object(self, kind: str, content: bytes) -> Oid:
        """Add one object that is in memory. Return its id."""
        digest = hashlib.sha1(b"%s %d\0" % (kind.encode(), len(content)), usedforsecurity=False)
        digest.update(content)
        oid = Oid(digest.hexdigest())
        if oid not in self._entries:
            self._new_bytes += len(content)
            self._add_stored(
                oid, encode_entry_header(kind, len(content)) + isal_zlib.compress(content, _LEVEL)
            )
        return oid

    def add_blob_chunks(self, size_bytes: int, chunks: Iterable[bytes]) -> Oid:
        """Add a blob that arrives in pieces, with memory for one piece. Return its id.

        Raises Corrupt if the pieces do not add up to `size_bytes`. The pack is then as before the call.
        """
        digest = hashlib.sha1(b"blob %d\0" % size_bytes, usedforsecurity=False)
        deflate = isal_zlib.compressobj(_LEVEL)
        received = 0

        def entry_pieces() -> Iterator[bytes]:
            nonlocal received
            yield encode_entry_header("blob", size_bytes)
            for chunk in chunks:
                received += len(chunk)
                digest.update(chunk)
                yield deflate.compress(chunk)
            yield deflate.flush()

        with self._undone_on_error():
            crc32, offset = self._append_pieces(entry_pieces())
            if received != size_bytes:
                raise BlobLengthWrong(announced=size_bytes, received=received)
        oid = Oid(digest.hexdigest())
        if oid in self._entries:
            self._go_back(offset)
        else:
            self._entries[oid] = PackEntry(oid, crc32, offset)
            self._new_bytes += size_bytes
        return oid

    def copy_entry(self, entry: PackEntry, pieces: Iterable[bytes]) -> None:
        """Copy an object's stored entry (header and deflated data) from another pack, unless it is here already.

        Raises Corrupt if the pieces have another CRC than the other pack's idx says. The pack is then as before the
        call.
        """
        if entry.oid in self._entries:
            return
        with self._undone_on_error():
            crc32, offset = self._append_pieces(pieces)
            if crc32 != entry.crc32:
                raise PackEntryWrong(entry.oid)
        self._entries[entry.oid] = PackEntry(entry.oid, crc32, offset)

    def copy_whole(self, oid: Oid, stored: bytes) -> None:
        """Copy the stored entry of a whole object that is in memory, unless the object is here already."""
        if oid not in self._entries:
            self._add_stored(oid, stored)

    def copy_delta(self, oid: Oid, *, base: Oid, size_bytes: int, deflated: bytes) -> None:
        """Copy the deflated data of a delta, unless its object is here already.

        `size_bytes` is the size of the inflated delta. The base must be here. It stands before the delta, so deltas
        never form a cycle.
        """
        if oid not in self._entries:
            distance = self._offset - self._entries[base].offset
            self._add_stored(oid, encode_delta_header(size_bytes, distance=distance) + deflated)

    def finish(self) -> FinishedPack:
        """Write the rest of the pack, flush, and return the data for idx and file names.

        May be called again, also after more objects were added. The pack is then another one.
        """
        finished = self.finish_in_memory()
        if finished is not None:
            self._file.seek(0)
            self._file.write(finished[1])
            self._file.flush()
            self._spilled, self._pending, self._pending_bytes = True, [], 0
            return finished[0]
        trailer = self._finish_spilled(PACK_HEADER.pack(b"PACK", 2, len(self._entries)))
        self._file.flush()
        return FinishedPack(
            Pack(trailer.hex(), self._offset + len(trailer), len(self._entries)),
            tuple(self._entries.values()),
        )

    def finish_in_memory(self) -> tuple[FinishedPack, bytes] | None:
        """Return the pack with its bytes; None if a part of it has been written to the file. May be called again."""
        if self._spilled:
            return None
        body = b"".join((PACK_HEADER.pack(b"PACK", 2, len(self._entries)), *self._pending))
        trailer = hashlib.sha1(body, usedforsecurity=False).digest()
        pack = Pack(trailer.hex(), self._offset + len(trailer), len(self._entries))
        return FinishedPack(pack, tuple(self._entries.values())), body + trailer

    @property
    def _file(self) -> BinaryIO:
        if self._opened is None:
            self._opened = self._open_file()
        return self._opened

    def _finish_spilled(self, header: bytes) -> bytes:
        self._spill()
        self._file.seek(0)
        self._file.write(header)
        self._file.truncate(self._offset)
        self._file.seek(0)
        digest = hashlib.sha1(usedforsecurity=False)
        while piece := self._file.read(limits.copy_buffer_bytes):
            digest.update(piece)
        self._file.write(digest.digest())
        return digest.digest()

    def _add_stored(self, oid: Oid, stored: bytes) -> None:
        self._entries[oid] = PackEntry(oid, isal_zlib.crc32(stored), self._offset)
        self._append(stored)

    def _append_pieces(self, pieces: Iterable[bytes]) -> tuple[int, int]:
        """Append one entry and return its (crc32, offset)."""
        offset = self._offset
        crc32 = 0
        for piece in pieces:
            crc32 = isal_zlib.crc32(piece, crc32)
            self._append(piece)
        return crc32, offset

    def _append(self, data: bytes) -> None:
        self._pending.append(data)
        self._pending_bytes += len(data)
        self._offset += len(data)
        if self._pending_bytes > limits.pack_buffer_max_bytes:
            self._spill()

    def _spill(self) -> None:
        """Write the bytes that wait in memory."""
        self._file.seek(self._offset - self._pending_bytes)
        self._file.write(b"".join(self._pending))
        self._pending, self._pending_bytes, self._spilled = [], 0, True

    @contextlib.contextmanager
    def _undone_on_error(self) -> Iterator[None]:
        offset = self._offset
        try:
            yield
        except BaseException:
            self._go_back(offset)
            raise

    def _go_back(self, offset: int) -> None:
        """Continue at `offset`. Later bytes of the file are overwritten, or cut off by finish()."""
        self._spill()
        self._offset = offset


def encode_entry_header(kind: str, size_bytes: int) -> bytes:
    """Return the kind and length before a pack entry's data: four bits of length first, then seven in each byte."""
    return _encode_header(KIND_NUMBERS[kind], size_bytes)


def encode_delta_header(size_bytes: int, *, distance: int) -> bytes:
    """Return what stands before the data of a delta whose base begins `distance` bytes before it in the same pack.

    `size_bytes` is the size of the inflated delta. Source: gitformat-pack(5), "offset encoding".
    """
    encoded = bytearray([distance & 0x7F])
    while distance := distance >> 7:
        distance -= 1
        encoded.append(0x80 | distance & 0x7F)
    return _encode_header(OFS_DELTA, size_bytes) + encoded[::-1]


def _encode_header(number: int, size_bytes: int) -> bytes:
    byte = number << 4 | size_bytes & 0x0F
    size_bytes >>= 4
    header = bytearray()
    while size_bytes:
        header.append(byte | 0x80)
        byte = size_bytes & 0x7F
        size_bytes >>= 7
    header.append(byte)
    return bytes(header)


def encode_idx(entries: Iterable[PackEntry], *, pack_name: str) -> bytes:
    """Return the idx, version 2, of a pack with these entries."""
    rows = sorted(entries)
    counts = [0] * 256
    for row in rows:
        counts[int(row.oid[:2], 16)] += 1
    large: list[int] = []
    offsets: list[int] = []
    for row in rows:
        if row.offset < 0x8000_0000:
            offsets.append(row.offset)
        else:
            offsets.append(0x8000_0000 | len(large))
            large.append(row.offset)
    body = b"".join(
        (
            IDX_MAGIC,
            struct.pack(">256I", *accumulate(counts)),
            bytes.fromhex("".join(row.oid for row in rows)),
            struct.pack(f">{len(rows)}I", *(row.crc32 for row in rows)),
            struct.pack(f">{len(rows)}I", *offsets),
            struct.pack(f">{len(large)}Q", *large),
            bytes.fromhex(pack_name),
        )
    )
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


def write_idx(path: Path, info: FinishedPack) -> None:
    """Write the idx of a finished pack as a new, read-only file. It can be made again, so it is not synced."""
    with path.open("xb") as file:
        file.write(encode_idx(info.entries, pack_name=info.pack.name))
        file.flush()
        os.fchmod(file.fileno(), 0o444)
