"""Joins packs that are in memory into one by copying their stored entries. Hardly anything is deflated again."""

from collections.abc import Iterable, Mapping
from typing import Final

from packhouse.git import Oid
from packhouse.git.packs.memory_pack import MemoryPack, StoredEntry
from packhouse.git.packs.writer import PackWriter

_CHAIN_MAX: Final = 50
"""The longest chain of deltas, as in packs that git makes (git-config(1), pack.depth)."""


def join_packs(packs: Iterable[MemoryPack], writer: PackWriter) -> None:
    """Add every object of `packs` to `writer`, each once, in the order of the packs and of their entries.

    The base of a delta is added before the delta, also if it stands behind it in its pack, as in thin packs that git
    has completed. So every delta can name its base by the distance, and deltas of two packs never form a cycle. The
    base may be the copy of another pack, since an id names one content. A delta at the end of a chain of 50 is written
    as a whole object.
    """
    depths: dict[Oid, int] = {}
    for pack in packs:
        entries = {entry.oid: entry for entry in pack.iter_entries()}
        for oid in entries:
            for entry in _list_missing(entries, oid, writer):
                if entry.base is None:
                    writer.copy_whole(entry.oid, entry.stored)
                    continue
                depth = depths.get(entry.base, 0) + 1
                if depth <= _CHAIN_MAX:
                    writer.copy_delta(
                        entry.oid, base=entry.base, size_bytes=entry.size_bytes, deflated=entry.deflated
                    )
                    depths[entry.oid] = depth
                    continue
                found = pack.read(entry.oid)
                assert found is not None, "the entry is of this pack"
                writer.add_object(*found)


def _list_missing(entries: Mapping[Oid, StoredEntry], oid: Oid, writer: PackWriter) -> list[StoredEntry]:
    """Return the entry of an object and those under it, base first, as far as `writer` lacks them."""
    missing = []
    wanted: Oid | None = oid
    while wanted is not None and wanted not in writer:
        entry = entries[wanted]
        missing.append(entry)
        wanted = entry.base
    return missing[::-1]
