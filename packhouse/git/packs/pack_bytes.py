"""Reads the entries of a pack that is in memory. Source: gitformat-pack(5), "pack-*.pack files"."""

import zlib
from typing import Final

from isal import isal_zlib

from packhouse.git import Oid
from packhouse.git.packs.errors import PackEntryUnreadable
from packhouse.git.packs.writer import KIND_NUMBERS, OFS_DELTA

KINDS: Final = {number: kind for kind, number in KIND_NUMBERS.items()}
REF_DELTA: Final = 7

TRAILER_BYTES: Final = 20
_SHIFT_MAX: Final = 57  # git reads sizes of 64 bits (packfile.c, unpack_object_header_buffer)
_DISTANCE_BYTES_MAX: Final = 9


class PackBytes:
    """The bytes of a pack, and how its entries are read. `name` is for errors."""

    __slots__ = ("_view", "data", "end", "name")

    def __init__(self, name: str, data: bytes) -> None:
        self.name = name
        self.data = data
        self.end = len(data) - TRAILER_BYTES
        """Where the entries end and the trailer begins."""
        self._view = memoryview(data)

    def read_header(self, offset: int) -> tuple[int, int, int]:
        """Return (number of the kind, size of the inflated data, position behind this) of the entry at `offset`."""
        data, end = self.data, self.end
        if offset >= end:
            raise PackEntryUnreadable(self.name, offset)
        byte = data[offset]
        number = byte >> 4 & 7
        size = byte & 0x0F
        at = offset + 1
        shift = 4
        while byte & 0x80:
            if at >= end or shift > _SHIFT_MAX:
                raise PackEntryUnreadable(self.name, offset)
            byte = data[at]
            size |= (byte & 0x7F) << shift
            at += 1
            shift += 7
        return number, size, at

    def read_base(self, offset: int, *, number: int, at: int) -> tuple[int | Oid, int]:
        """Return (offset or id of the base, position of the deflated delta) of the delta whose entry is at `offset`.

        `number` and `at` are from read_header(). Raises Corrupt if the entry is no delta, or has no base before it.
        """
        data, end = self.data, self.end
        if number == REF_DELTA and at + 20 <= end:
            return Oid(data[at : at + 20].hex()), at + 20
        if number == OFS_DELTA:
            distance = -1
            for position in range(at, min(at + _DISTANCE_BYTES_MAX, end)):
                byte = data[position]
                distance = distance + 1 << 7 | byte & 0x7F
                if byte < 0x80:
                    if 0 < distance < offset:
                        return offset - distance, position + 1
                    break
        raise PackEntryUnreadable(self.name, offset)

    def inflate(self, offset: int, *, at: int, size_bytes: int) -> tuple[bytes, int]:
        """Return the data of the entry at `offset`, and the end of the entry. The deflated data begins at `at`.

        Never holds more than `size_bytes` + 1 bytes of data. Raises Corrupt if the data has another size. Inflates by
        zlib, as git does: isal takes a few streams that git refuses.
        """
        inflater = zlib.decompressobj()
        window = (
            size_bytes + (size_bytes >> 8) + 64
        )  # more than deflated data takes, unless it was made by an attacker
        pieces: list[bytes] = []
        missing = size_bytes
        while not inflater.eof:
            deflated = self._view[at : min(at + window, self.end)]
            if not deflated:
                raise PackEntryUnreadable(self.name, offset)
            try:
                piece = inflater.decompress(deflated, missing + 1)
            except zlib.error as error:
                raise PackEntryUnreadable(self.name, offset) from error
            missing -= len(piece)
            if missing < 0:
                raise PackEntryUnreadable(self.name, offset)
            at += len(deflated) - len(inflater.unused_data)
            pieces.append(piece)
        if missing:
            raise PackEntryUnreadable(self.name, offset)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces), at

    def inflate_checked(self, at: int, *, size_bytes: int) -> bytes:
        """Return the data of an entry that inflate() has read before, or that our writer made. Inflates by isal."""
        return isal_zlib.decompress(self._view[at : self.end], isal_zlib.MAX_WBITS, size_bytes + 1)
