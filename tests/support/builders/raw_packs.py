"""Packs made byte by byte, right or wrong, and packs made by git."""

import hashlib
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

from packhouse.git.oid import Oid
from tests.support.clients.git import Git

COMMIT, TREE, BLOB, TAG, OFS_DELTA, REF_DELTA = 1, 2, 3, 4, 6, 7


def entry(
    number: int, content: bytes, *, base: bytes = b"", announced: int | None = None, level: int = -1
) -> bytes:
    """Return the entry of an object or a delta. `base` is the encoded distance of the base, or its id."""
    return (
        header(number, len(content) if announced is None else announced)
        + base
        + zlib.compress(content, level)
    )


def header(number: int, size: int) -> bytes:
    """Return what stands before the data of an entry."""
    encoded = bytearray([number << 4 | size & 15])
    size >>= 4
    while size:
        encoded[-1] |= 0x80
        encoded.append(size & 0x7F)
        size >>= 7
    return bytes(encoded)


def ofs_delta(distance: int, delta: bytes) -> bytes:
    """Return the entry of a delta whose base is `distance` bytes before it."""
    encoded = [distance & 0x7F]
    while distance := distance >> 7:
        distance -= 1
        encoded.insert(0, 0x80 | distance & 0x7F)
    return entry(OFS_DELTA, delta, base=bytes(encoded))


def ref_delta(base: Oid, delta: bytes) -> bytes:
    """Return the entry of a delta that names its base by id."""
    return entry(REF_DELTA, delta, base=bytes.fromhex(base))


def varint(number: int) -> bytes:
    """Return a size as it stands at the start of a delta."""
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(0x80 | number & 0x7F)
        number >>= 7
    return bytes([*encoded, number])


def delta(base_size: int, *instructions: bytes, result_size: int) -> bytes:
    """Return a delta of these instructions."""
    return varint(base_size) + varint(result_size) + b"".join(instructions)


def copy(start: int, size: int) -> bytes:
    """Return the instruction that copies from the base. All bytes of both numbers are written."""
    return b"\xff" + struct.pack("<I", start) + struct.pack("<I", size)[:3]


def insert(data: bytes) -> bytes:
    """Return the instruction that adds 1 to 127 new bytes."""
    return bytes([len(data)]) + data


def append_delta(base: bytes, added: bytes) -> bytes:
    """Return the delta that appends 1 to 127 bytes to a base that is not empty."""
    return delta(len(base), copy(0, len(base)), insert(added), result_size=len(base) + len(added))


def pack_of(entries: Iterable[bytes], *, count: int | None = None, version: int = 2) -> bytes:
    """Return the pack of these entries."""
    entries = list(entries)
    body = struct.pack(">4sII", b"PACK", version, len(entries) if count is None else count) + b"".join(
        entries
    )
    return seal(body)


def seal(body: bytes) -> bytes:
    """Return header and entries of a pack with the trailer."""
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


def index_pack(git: Git, data: bytes, folder: Path, *options: str) -> tuple[str, bytes]:
    """Have git make the idx of a pack. Return the name and the idx. Raises GitError if git refuses the pack."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "judged.pack"
    path.write_bytes(data)
    idx = folder / "judged.idx"
    idx.unlink(missing_ok=True)
    name = git.run("index-pack", *options, "-o", idx, path)
    return name, idx.read_bytes()
