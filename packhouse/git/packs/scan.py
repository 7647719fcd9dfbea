"""Finds the objects of a pack that has no idx: inflates every entry, resolves the deltas, hashes the objects."""

from typing import Final

from packhouse.git import Oid
from packhouse.git.oid import hash_object
from packhouse.git.packs.delta import apply_delta, read_result_size
from packhouse.git.packs.errors import (
    PackBaseMissing,
    PackDeltaWrong,
    PackEndsElsewhere,
    PackHoldsTwice,
    PackInflatesTooMuch,
)
from packhouse.git.packs.pack_bytes import KINDS, PackBytes
from packhouse.git.packs.writer import PACK_HEADER

_READS_MAX: Final = 32
_READ_BYTES: Final = 500
"""Reading an entry takes as long as inflating this many bytes, beside its data."""
_DELTA_WEIGHT: Final = 100
"""Applying a delta takes at most as long as inflating this many bytes for each of its own: an instruction of two bytes
may make one byte."""


def find_offsets(pack: PackBytes, *, objects: int, inflated_max_bytes: int) -> dict[Oid, int]:
    """Return the offset of each of the `objects` in the pack, by id, in the order of the entries.

    Memory and work are bounded by `inflated_max_bytes`. Raises PackCorrupt. Raises PackInflatesTooMuch if the objects,
    or the data of the entries, have more bytes than that. Raises it also if reading each object once would cost 32
    times as much, as with many deltas on a large base, long chains, and deltas of very many instructions.
    """
    scan = _Scan(pack, inflated_max_bytes)
    at = PACK_HEADER.size
    for _ in range(objects):
        at = scan.read_entry(at)
    if at != pack.end:
        raise PackEndsElsewhere(pack.name)
    scan.resolve_deltas()
    return dict(sorted(scan.offsets.items(), key=lambda item: item[1]))


class _Scan:
    """What is known of a pack while it is scanned."""

    def __init__(self, pack: PackBytes, inflated_max_bytes: int) -> None:
        self.offsets: dict[Oid, int] = {}
        self._pack = pack
        self._inflated_max_bytes = inflated_max_bytes
        self._entry_bytes = 0
        self._object_bytes = 0
        self._read_bytes = 0
        self._deltas: dict[int | Oid, list[int]] = {}
        """Offsets of the deltas that are not resolved, by the offset or the id of their base."""

    def read_entry(self, offset: int) -> int:
        """Read the entry at `offset`. Note a delta, and record any other object. Return the end of the entry."""
        number, size, at = self._pack.read_header(offset)
        kind = KINDS.get(number)
        base: int | Oid | None = None
        if kind is None:
            base, at = self._pack.read_base(offset, number=number, at=at)
        self._entry_bytes += size
        self._check_size(self._entry_bytes)
        data, end = self._pack.inflate(offset, at=at, size_bytes=size)
        if base is not None:
            result_size = read_result_size(data)
            if result_size is None:
                raise PackDeltaWrong(self._pack.name, offset)
            self._deltas.setdefault(base, []).append(offset)
        else:
            result_size = size
        self._object_bytes += result_size
        self._check_size(self._object_bytes)
        if kind is not None:
            self._record(kind, data, offset)
        return end

    def resolve_deltas(self) -> None:
        """Resolve and record all deltas. Each base is held until the deltas against it are applied."""
        for oid, offset in list(self.offsets.items()) if self._deltas else ():
            waiting = self._take_deltas(oid, offset)
            if not waiting:
                continue
            number, size, at = self._pack.read_header(offset)
            content, _ = self._pack.inflate(offset, at=at, size_bytes=size)
            bases = [(content, waiting, size + _READ_BYTES)]
            while bases:
                content, waiting, base_cost = bases.pop()
                for delta_offset in waiting:
                    result, cost = self._resolve(content, base_cost, delta_offset)
                    result_oid = self._record(KINDS[number], result, delta_offset)
                    further = self._take_deltas(result_oid, delta_offset)
                    if further:
                        bases.append((result, further, cost))
        if self._deltas:  # the base is absent, or needs one of these deltas itself
            raise PackBaseMissing(self._pack.name, min(min(waiting) for waiting in self._deltas.values()))

    def _take_deltas(self, oid: Oid, offset: int) -> list[int]:
        return self._deltas.pop(offset, []) + self._deltas.pop(oid, [])

    def _resolve(self, base: bytes, base_cost: int, offset: int) -> tuple[bytes, int]:
        """Return the object that the delta at `offset` makes of its base, and the cost of reading it."""
        number, size, at = self._pack.read_header(offset)
        _, at = self._pack.read_base(offset, number=number, at=at)
        delta, _ = self._pack.inflate(offset, at=at, size_bytes=size)
        cost = base_cost + (read_result_size(delta) or 0) + _DELTA_WEIGHT * size + _READ_BYTES
        self._read_bytes += cost
        self._check_size(self._read_bytes // _READS_MAX)
        result = apply_delta(base, delta)
        if result is None:
            raise PackDeltaWrong(self._pack.name, offset)
        return result, cost

    def _record(self, kind: str, content: bytes, offset: int) -> Oid:
        oid = hash_object(kind, content)
        if self.offsets.setdefault(oid, offset) != offset:
            raise PackHoldsTwice(self._pack.name, oid)
        return oid

    def _check_size(self, size_bytes: int) -> None:
        if size_bytes > self._inflated_max_bytes:
            raise PackInflatesTooMuch(self._pack.name, self._inflated_max_bytes)
