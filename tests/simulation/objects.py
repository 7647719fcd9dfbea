"""The simulation's own knowledge of Git's objects, read from the bytes of packs and not through the server."""

import struct
import zlib
from typing import Final

from packhouse.git.objects.codec import parse_commit, parse_tree
from packhouse.git.oid import EMPTY_TREE_OID, Oid, hash_object

_KINDS: Final = {1: "commit", 2: "tree", 3: "blob", 4: "tag"}


class ObjectStore:
    """Every object that was ever in a pack of a run, and the objects that it names."""

    def __init__(self) -> None:
        self.contents: dict[Oid, tuple[str, bytes]] = {}
        self._closures: dict[Oid, frozenset[Oid]] = {EMPTY_TREE_OID: frozenset()}

    def learn(self, pack: bytes) -> frozenset[Oid]:
        """Read a pack of whole objects. Return their ids."""
        magic, version, count = struct.unpack_from(">4sII", pack)
        assert (magic, version) == (b"PACK", 2), "not a pack"
        at = 12
        oids = []
        for _ in range(count):
            kind, content, at = _read_entry(pack, at)
            oid = hash_object(kind, content)
            self.contents[oid] = kind, content
            oids.append(oid)
        assert at == len(pack) - 20, "a pack ends after its objects"
        return frozenset(oids)

    def closure(self, tip: Oid) -> frozenset[Oid]:
        """Return everything that an object reaches, with the object itself."""
        known = self._closures.get(tip)
        if known is None:
            known = frozenset({tip}).union(*(self.closure(oid) for oid in self._targets(tip)))
            self._closures[tip] = known
        return known

    def _targets(self, oid: Oid) -> list[Oid]:
        kind, content = self.contents[oid]
        if kind == "commit":
            commit = parse_commit(content)
            return [commit.tree, *commit.parents]
        if kind == "tree":
            return [entry.oid for entry in parse_tree(content)]
        assert kind == "blob", f"the simulation makes no {kind}"
        return []


def _read_entry(pack: bytes, at: int) -> tuple[str, bytes, int]:
    byte = pack[at]
    kind = _KINDS[byte >> 4 & 7]
    at += 1
    while byte & 0x80:
        byte = pack[at]
        at += 1
    inflate = zlib.decompressobj()
    content = inflate.decompress(pack[at:])
    return kind, content, len(pack) - len(inflate.unused_data)
