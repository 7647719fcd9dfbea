"""Reads the idx of a pack: which objects the pack has, and at which offsets.

Source: gitformat-pack(5), "Version 2 pack-*.idx files".
"""

import hashlib
import mmap
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from packhouse.endings import Closing
from packhouse.errors import Corrupt
from packhouse.git import Oid
from packhouse.git.packs.errors import (
    NotAPackIdx,
    PackIdxChecksumWrong,
    PackIdxFanoutUnsorted,
    PackIdxOffsetOutside,
    PackIdxSizeWrong,
    PackIdxUnsorted,
    PackIdxVersionUnknown,
)
from packhouse.git.packs.writer import IDX_MAGIC, PackEntry

_OIDS_AT: Final = len(IDX_MAGIC) + 256 * 4
_ROW_BYTES: Final = 20 + 4 + 4
_TRAILERS_BYTES: Final = 20 + 20
_UINT32: Final = struct.Struct(">I")
_UINT64: Final = struct.Struct(">Q")
_LARGE: Final = 0x8000_0000


def read_idx_facts(path: str) -> tuple[int, bytes]:
    """Return the number of objects of an idx and the trailer of its pack. Checks nothing else.

    Raises FileNotFoundError. Raises Corrupt if the file is not an idx.
    """
    with open(path, "rb", buffering=0) as file:
        head = file.read(_OIDS_AT)
        size_bytes = os.fstat(file.fileno()).st_size
        if len(head) < _OIDS_AT or not head.startswith(IDX_MAGIC) or size_bytes < _OIDS_AT + _TRAILERS_BYTES:
            raise NotAPackIdx(os.path.basename(path))
        return _UINT32.unpack(head[-4:])[0], os.pread(file.fileno(), 20, size_bytes - _TRAILERS_BYTES)


class PackIdx(Closing):
    """An open idx, sorted by object id. Its size and fan-out are checked; verify() checks everything."""

    def __init__(self, path: Path) -> None:
        self._name = path.name
        with path.open("rb") as file:
            try:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except ValueError as error:  # an empty file cannot be mapped
                raise NotAPackIdx(self._name) from error
        try:
            self._fanout = self._read_fanout()
        except Corrupt:
            self._map.close()
            raise
        self._count = self._fanout[-1]
        self._crcs_at = _OIDS_AT + 20 * self._count
        self._offsets_at = self._crcs_at + 4 * self._count
        self._large_at = self._offsets_at + 4 * self._count

    def close(self) -> None:
        """Unmap the file."""
        self._map.close()

    def __len__(self) -> int:
        return self._count

    def __contains__(self, oid: Oid) -> bool:
        return self.find_row(oid) is not None

    def __iter__(self) -> Iterator[PackEntry]:
        return map(self._entry, range(self._count))

    @property
    def pack_name(self) -> str:
        """The trailer of the pack that this idx belongs to, in hex."""
        return self._map[-_TRAILERS_BYTES : -_TRAILERS_BYTES + 20].hex()

    def iter_oids(self) -> Iterator[Oid]:
        """Yield the ids of all objects in order."""
        for at in range(_OIDS_AT, self._crcs_at, 20):
            yield Oid(self._map[at : at + 20].hex())

    def find(self, oid: Oid) -> PackEntry | None:
        """Return the entry of the object, or None. Raises Corrupt if its offset is outside the idx."""
        row = self.find_row(oid)
        return None if row is None else self._entry(row)

    def verify(self) -> None:
        """Check the checksum at the end of the idx, and the order of its ids. Raises Corrupt."""
        size = len(self._map)
        if hashlib.sha1(self._map[: size - 20], usedforsecurity=False).digest() != self._map[size - 20 :]:
            raise PackIdxChecksumWrong(self._name)
        previous = b""
        for at in range(_OIDS_AT, self._crcs_at, 20):
            oid = self._map[at : at + 20]
            if oid <= previous:
                raise PackIdxUnsorted(self._name)
            previous = oid

    def _read_fanout(self) -> tuple[int, ...]:
        size = len(self._map)
        if size < _OIDS_AT + _TRAILERS_BYTES or self._map[: len(IDX_MAGIC)] != IDX_MAGIC:
            raise PackIdxVersionUnknown(self._name)
        fanout = struct.unpack_from(">256I", self._map, len(IDX_MAGIC))
        if list(fanout) != sorted(fanout):
            raise PackIdxFanoutUnsorted(self._name)
        large_bytes = size - _OIDS_AT - _TRAILERS_BYTES - fanout[-1] * _ROW_BYTES
        if large_bytes < 0 or large_bytes % 8 or large_bytes > 8 * fanout[-1]:
            raise PackIdxSizeWrong(self._name)
        return fanout

    def find_row(self, oid: Oid) -> int | None:
        """Return the position of an object in the idx, from 0; None if it is not in the idx."""
        wanted = bytes.fromhex(oid)
        low = self._fanout[wanted[0] - 1] if wanted[0] else 0
        high = self._fanout[wanted[0]]
        while low < high:
            middle = (low + high) // 2
            at = _OIDS_AT + 20 * middle
            found = self._map[at : at + 20]
            if found == wanted:
                return middle
            if found < wanted:
                low = middle + 1
            else:
                high = middle
        return None

    def _entry(self, row: int) -> PackEntry:
        at = _OIDS_AT + 20 * row
        crc32 = _UINT32.unpack_from(self._map, self._crcs_at + 4 * row)[0]
        offset = _UINT32.unpack_from(self._map, self._offsets_at + 4 * row)[0]
        if offset & _LARGE:
            large_at = self._large_at + 8 * (offset & ~_LARGE)
            if large_at + 8 > len(self._map) - _TRAILERS_BYTES:
                raise PackIdxOffsetOutside(self._name)
            offset = _UINT64.unpack_from(self._map, large_at)[0]
        return PackEntry(Oid(self._map[at : at + 20].hex()), crc32, offset)
