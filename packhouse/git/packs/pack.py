"""What a pack is called and how large it is: the one record of it, from the writer to SQL."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack: `name` are the 40 hex digits in `pack-<name>.pack`, `size_bytes` is the size of that file."""

    name: str
    size_bytes: int
    objects: int
