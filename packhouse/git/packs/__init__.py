"""Packs and their indexes: reading and writing both."""

from packhouse.git.packs.concat import concatenate_packs
from packhouse.git.packs.errors import (
    NotAPack,
    PackCorrupt,
    PackCountWrong,
    PackHashWrong,
    PackInflatesTooMuch,
)
from packhouse.git.packs.idx import PackIdx, read_idx_facts
from packhouse.git.packs.join import join_packs
from packhouse.git.packs.memory_pack import MemoryPack
from packhouse.git.packs.pack import Pack
from packhouse.git.packs.writer import FinishedPack, PackWriter, write_idx

__all__ = [
    "FinishedPack",
    "MemoryPack",
    "NotAPack",
    "Pack",
    "PackCorrupt",
    "PackCountWrong",
    "PackHashWrong",
    "PackIdx",
    "PackInflatesTooMuch",
    "PackWriter",
    "concatenate_packs",
    "join_packs",
    "read_idx_facts",
    "write_idx",
]
