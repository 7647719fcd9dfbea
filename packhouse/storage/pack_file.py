"""What a pack says of itself as a file."""

import os
import struct

from packhouse.errors import Corrupt
from packhouse.git.pack import Pack


def describe_pack(pack: str) -> Pack:
    """Return what a pack's name, header and size say.

    Raises FileNotFoundError, and Corrupt for a file that does not begin as a pack does.
    """
    with open(pack, "rb") as file:
        header = file.read(12)
        size_bytes = os.fstat(file.fileno()).st_size
    name = os.path.basename(pack).removesuffix(".pack")
    if len(header) < 12 or header[:4] != b"PACK":
        raise Corrupt("not a pack", file=name)
    return Pack(name.removeprefix("pack-"), size_bytes, struct.unpack(">I", header[8:])[0])
