"""Facts about a pack from its file."""

import os
import struct
from typing import Final

from packhouse.git.packs import NotAPack, Pack

_HASH_BYTES: Final = 20


def has_hash_for_name(pack: str) -> bool:
    """Tell whether the file's name is the hash at the end of the pack. Raises FileNotFoundError."""
    with open(pack, "rb") as file:
        file.seek(max(os.fstat(file.fileno()).st_size - _HASH_BYTES, 0))
        return os.path.basename(pack) == f"pack-{file.read(_HASH_BYTES).hex()}.pack"


def describe_pack(pack: str) -> Pack:
    """Return the facts in a pack's name, header and size.

    Raises FileNotFoundError. Raises Corrupt for a file that does not begin like a pack.
    """
    with open(pack, "rb") as file:
        header = file.read(12)
        size_bytes = os.fstat(file.fileno()).st_size
    name = os.path.basename(pack).removesuffix(".pack")
    if len(header) < 12 or header[:4] != b"PACK":
        raise NotAPack(name)
    return Pack(name.removeprefix("pack-"), size_bytes, struct.unpack(">I", header[8:])[0])
