"""The name and size of a pack: the one record of a pack, from the writer to SQL."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack. `name` is the 40 hex digits in `pack-<name>.pack`; `size_bytes` is the size of that file."""

    name: str
    size_bytes: int
    objects: int
