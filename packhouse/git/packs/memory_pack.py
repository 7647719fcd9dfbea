"""A whole pack in memory."""

import hashlib
from collections.abc import Iterable, Iterator
from itertools import chain, pairwise
from typing import Final, NamedTuple, Self

from isal import isal_zlib

from packhouse.git import Oid
from packhouse.git.packs.delta import apply_delta, read_result_size
from packhouse.git.packs.errors import NotAPack, PackHashWrong
from packhouse.git.packs.pack import Pack
from packhouse.git.packs.pack_bytes import KINDS, TRAILER_BYTES, PackBytes
from packhouse.git.packs.scan import find_offsets
from packhouse.git.packs.writer import PACK_HEADER, PackEntry, encode_idx

_OWN_BYTES: Final = 1000  # a pack without objects
_OBJECT_BYTES: Final = 230  # an id, an offset, and their share of the table


class StoredEntry(NamedTuple):
    """An entry as it is stored in its pack. `base` is the base of a delta, and None for a whole object.

    `size_bytes` is the size of the inflated data: of the object, or of the delta. `stored` is the whole entry, and its
    last part `deflated` is the deflated data.
    """

    oid: Oid
    base: Oid | None
    size_bytes: int
    stored: bytes
    deflated: bytes


class MemoryPack:
    """A pack held as bytes. It never changes, and threads share it.

    A read costs one inflation for the object and one for each delta under it. Memory is that of the bytes and a small
    record for each object.
    """

    __slots__ = ("_bytes", "_offsets", "_pack")

    def __init__(self, stored: PackBytes, offsets: dict[Oid, int]) -> None:
        """Use parse() or of(). `offsets` has every object of the pack, in the order of the entries."""
        self._bytes = stored
        self._offsets = offsets
        self._pack = Pack(stored.name, len(stored.data), len(offsets))

    @classmethod
    def parse(cls, name: str, data: bytes, *, inflated_max_bytes: int) -> Self:
        """Return the pack in `data`, which may come from anybody. `name` is for errors.

        Checks all that `git index-pack` checks, and that the pack holds no object twice, as its `--strict` does.
        Does not check the contents of the objects.

        Raises PackCorrupt if the pack is damaged, or lacks the base of a delta. Raises PackInflatesTooMuch if its
        objects have more than `inflated_max_bytes` together, or would take too long to be read (see find_offsets).
        Memory is bounded by a small multiple of `inflated_max_bytes`.
        """
        if len(data) < PACK_HEADER.size + TRAILER_BYTES:
            raise NotAPack(name)
        magic, version, objects = PACK_HEADER.unpack_from(data)
        if magic != b"PACK" or version != 2:
            raise NotAPack(name)
        if (
            hashlib.sha1(memoryview(data)[:-TRAILER_BYTES], usedforsecurity=False).digest()
            != data[-TRAILER_BYTES:]
        ):
            raise PackHashWrong(name)
        stored = PackBytes(name, data)
        return cls(stored, find_offsets(stored, objects=objects, inflated_max_bytes=inflated_max_bytes))

    @classmethod
    def of(cls, name: str, data: bytes, entries: Iterable[PackEntry]) -> Self:
        """Return the pack that our writer has just finished, with its entries. Nothing is checked."""
        offsets = {entry.oid: entry.offset for entry in sorted(entries, key=lambda entry: entry.offset)}
        return cls(PackBytes(name, data), offsets)

    @property
    def pack(self) -> Pack:
        """The name and the sizes."""
        return self._pack

    @property
    def data(self) -> bytes:
        """The bytes of the pack, as in its file."""
        return self._bytes.data

    @property
    def weight_bytes(self) -> int:
        """About the memory that the pack takes. For bounded caches."""
        return _OWN_BYTES + len(self._bytes.data) + _OBJECT_BYTES * len(self._offsets)

    def __contains__(self, oid: Oid) -> bool:
        return oid in self._offsets

    def __len__(self) -> int:
        return len(self._offsets)

    def iter_oids(self) -> Iterator[Oid]:
        """Yield the ids of all objects in the order of the entries."""
        return iter(self._offsets)

    def kind_and_size(self, oid: Oid) -> tuple[str, int] | None:
        """Return kind and size in bytes of an object; None if it is not in the pack. Of deltas, one is inflated."""
        offset = self._offsets.get(oid)
        if offset is None:
            return None
        deltas, number, size, _ = self._find_base(offset)
        if not deltas:
            return KINDS[number], size
        at, delta_size = deltas[0]
        result_size = read_result_size(self._bytes.inflate_checked(at, size_bytes=delta_size))
        assert result_size is not None, "parse() has read this delta"
        return KINDS[number], result_size

    def read(self, oid: Oid) -> tuple[str, bytes] | None:
        """Return kind and content of an object; None if it is not in the pack."""
        offset = self._offsets.get(oid)
        if offset is None:
            return None
        deltas, number, size, at = self._find_base(offset)
        content = self._bytes.inflate_checked(at, size_bytes=size)
        for delta_at, delta_size in reversed(deltas):
            result = apply_delta(content, self._bytes.inflate_checked(delta_at, size_bytes=delta_size))
            assert result is not None, "parse() has applied this delta"
            content = result
        return KINDS[number], content

    def iter_entries(self) -> Iterator[StoredEntry]:
        """Yield the entries in their order, to be copied."""
        oids = {offset: oid for oid, offset in self._offsets.items()}
        for oid, offset, end in self._iter_bounds():
            number, size, at = self._bytes.read_header(offset)
            base_oid = None
            if number not in KINDS:
                base, at = self._bytes.read_base(offset, number=number, at=at)
                base_oid = oids[base] if isinstance(base, int) else base
            yield StoredEntry(oid, base_oid, size, self.data[offset:end], self.data[at:end])

    def idx(self) -> bytes:
        """Return the idx of the pack, version 2, as git writes it."""
        view = memoryview(self.data)
        return encode_idx(
            (
                PackEntry(oid, isal_zlib.crc32(view[start:end]), start)
                for oid, start, end in self._iter_bounds()
            ),
            pack_name=self.data[-TRAILER_BYTES:].hex(),
        )

    def _iter_bounds(self) -> Iterator[tuple[Oid, int, int]]:
        """Yield (id, start, end) of each entry."""
        starts = chain(self._offsets.values(), (self._bytes.end,))
        for oid, (start, end) in zip(self._offsets, pairwise(starts), strict=True):
            yield oid, start, end

    def _find_base(self, offset: int) -> tuple[list[tuple[int, int]], int, int, int]:
        """Return the whole object under the entry at `offset`, and the deltas on the way to it.

        A delta is (position of its deflated data, its size). The object is the number of its kind, its size and the
        position of its deflated data.
        """
        deltas: list[tuple[int, int]] = []
        while True:
            number, size, at = self._bytes.read_header(offset)
            if number in KINDS:
                return deltas, number, size, at
            base, at = self._bytes.read_base(offset, number=number, at=at)
            deltas.append((at, size))
            offset = base if isinstance(base, int) else self._offsets[base]
