"""Joins packs that are in memory into one by copying their stored entries. Nothing is deflated that need not be."""

from collections.abc import Iterable
from typing import Final

from packhouse.git import Oid
from packhouse.git.packs.memory_pack import MemoryPack
from packhouse.git.packs.writer import PackWriter

_CHAIN_MAX: Final = 50
"""The longest chain of deltas, as in packs that git makes (git-config(1), pack.depth)."""


def join_packs(packs: Iterable[MemoryPack], writer: PackWriter) -> None:
    """Add every object of `packs` to `writer`, each once, in the order of the packs and of their entries.

    A delta stays a delta if its base was added before it, from whichever pack: an id names one content. It names its
    base by the distance then, so it always stands behind its base. All other deltas are written as whole objects. Such
    a delta may stand before its base, or have been the base of its own base in another pack.
    """
    depths: dict[Oid, int] = {}
    for pack in packs:
        for entry in pack.iter_entries():
            if entry.oid in writer:
                continue
            if entry.base is None:
                writer.copy_whole(entry.oid, entry.stored)
                continue
            depth = depths.get(entry.base, 0) + 1
            if entry.base in writer and depth <= _CHAIN_MAX:
                writer.copy_delta(
                    entry.oid, base=entry.base, size_bytes=entry.size_bytes, deflated=entry.deflated
                )
                depths[entry.oid] = depth
                continue
            found = pack.read(entry.oid)
            assert found is not None, "the entry is in this pack"
            writer.add_object(*found)
