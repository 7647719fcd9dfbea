"""Packs of the journal for tests."""

from collections.abc import Iterable

from packhouse.git.packs.memory_pack import MemoryPack
from packhouse.git.packs.writer import PackWriter


def _no_file() -> object:
    raise AssertionError("a small pack needs no file")


def small_pack(name: str, *blobs: bytes) -> MemoryPack:
    """Return a pack of blobs. `name` is filled up to the length of a name."""
    return pack_of(name, (("blob", content) for content in blobs))


def pack_of(name: str, objects: Iterable[tuple[str, bytes]]) -> MemoryPack:
    """Return a pack of (kind, content) pairs."""
    writer = PackWriter(_no_file)  # type: ignore[arg-type]  # it is never called
    for kind, content in objects:
        writer.add_object(kind, content)
    finished = writer.finish_in_memory()
    assert finished is not None, "it is small"
    return MemoryPack.of(name.ljust(40, "0"), finished[1], finished[0].entries)
