"""Joins small packs into one by copying their stored entries. Nothing is inflated or hashed again.

This works only for packs without deltas, such as those of `PackWriter`. A delta may name its base by the distance in
its own pack, or by an id of which another copy comes first. Git repacks such packs.
"""

import os
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, Final

from packhouse import limits
from packhouse.git.packs.errors import (
    PackEndsEarly,
    PackHeaderWrong,
    PackHoldsDeltas,
    PackIdxOffsetsWrong,
    PackTrailerWrong,
)
from packhouse.git.packs.idx import PackIdx
from packhouse.git.packs.writer import KIND_NUMBERS, PACK_HEADER, PackEntry, PackWriter

_TRAILER_BYTES: Final = 20
_WHOLE_KINDS: Final = frozenset(KIND_NUMBERS.values())


def concatenate_packs(packs: Iterable[Path], writer: PackWriter) -> None:
    """Add every object of `packs` to `writer`, each once, in the order of the packs and of their entries.

    Raises Invalid for a pack with a delta, before any of its entries is copied. Raises Corrupt if a pack and its idx
    disagree, or an entry has another CRC than the idx says.
    """
    for pack in packs:
        with pack.open("rb", buffering=limits.copy_buffer_bytes) as file:
            with PackIdx(pack.with_suffix(".idx")) as idx:
                idx.verify()
                entries = _list_entries(file, idx, pack)
            if not _holds_only_whole_objects(file, entries):
                raise PackHoldsDeltas(pack.name)
            for entry, size_bytes in entries:
                file.seek(entry.offset)
                writer.copy_entry(entry, _iter_pieces(file, size_bytes))


def _list_entries(file: BinaryIO, idx: PackIdx, pack: Path) -> list[tuple[PackEntry, int]]:
    """Return (entry, its bytes in the pack) sorted by offset. Checks that pack and idx fit together."""
    size = os.fstat(file.fileno()).st_size
    header = file.read(PACK_HEADER.size)
    if size < PACK_HEADER.size + _TRAILER_BYTES or header != PACK_HEADER.pack(b"PACK", 2, len(idx)):
        raise PackHeaderWrong(pack.name)
    file.seek(size - _TRAILER_BYTES)
    if file.read(_TRAILER_BYTES).hex() != idx.pack_name:
        raise PackTrailerWrong(pack.name)
    entries = sorted(idx, key=lambda entry: entry.offset)
    starts = [entry.offset for entry in entries] + [size - _TRAILER_BYTES]
    sizes = [end - start for start, end in pairwise(starts)]
    if starts[0] != PACK_HEADER.size or any(size_bytes <= 0 for size_bytes in sizes):
        raise PackIdxOffsetsWrong(pack.name)
    return list(zip(entries, sizes, strict=True))


def _holds_only_whole_objects(file: BinaryIO, entries: list[tuple[PackEntry, int]]) -> bool:
    descriptor = file.fileno()
    return all(os.pread(descriptor, 1, entry.offset)[0] >> 4 & 7 in _WHOLE_KINDS for entry, _ in entries)


def _iter_pieces(file: BinaryIO, size_bytes: int) -> Iterator[bytes]:
    while size_bytes > 0:
        piece = file.read(min(size_bytes, limits.copy_buffer_bytes))
        if not piece:
            raise PackEndsEarly()
        size_bytes -= len(piece)
        yield piece
