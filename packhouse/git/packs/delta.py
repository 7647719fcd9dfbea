"""Applies deltas. Source: gitformat-pack(5), "Deltified representation"."""

from typing import Final

_COPY: Final = 0x80
_COPY_SHIFTS: Final = tuple(tuple(8 * bit for bit in range(7) if bits >> bit & 1) for bits in range(_COPY))
"""The places of the bytes behind a copy instruction, by its lower bits: four for the start, three for the size."""
_COPY_SIZE_OF_ZERO: Final = 0x10000
_SIZE_SHIFT_MAX: Final = 63  # a size has 64 bits at most


def read_result_size(delta: bytes) -> int | None:
    """Return the size in bytes of the object that the delta makes; None if the delta is malformed."""
    header = _read_sizes(delta)
    return None if header is None else header[1]


def apply_delta(base: bytes, delta: bytes) -> bytes | None:
    """Return the object that the delta makes of `base`; None if the delta is malformed or was made for another base.

    Memory is bounded by twice the announced size and the size of the base.
    """
    header = _read_sizes(delta)
    if header is None or header[0] != len(base):
        return None
    _, result_size, at = header
    result = bytearray()
    try:
        while at < len(delta):
            instruction = delta[at]
            at += 1
            if instruction & _COPY:
                numbers = 0
                for shift in _COPY_SHIFTS[instruction & ~_COPY]:
                    numbers |= delta[at] << shift
                    at += 1
                start = numbers & 0xFFFF_FFFF
                end = start + (numbers >> 32 or _COPY_SIZE_OF_ZERO)
                if end > len(base):
                    return None
                result += base[start:end]
            else:  # that many new bytes come next
                end = at + instruction
                if end == at or end > len(delta):
                    return None
                result += delta[at:end]
                at = end
            if len(result) > result_size:
                return None
    except IndexError:  # the delta ends within an instruction
        return None
    return bytes(result) if len(result) == result_size else None


def _read_sizes(delta: bytes) -> tuple[int, int, int] | None:
    """Return (size of the base, size of the result, position of the first instruction)."""
    sizes = []
    at = 0
    for _ in range(2):
        size = shift = 0
        while True:
            if at >= len(delta) or shift > _SIZE_SHIFT_MAX:
                return None
            byte = delta[at]
            at += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        sizes.append(size)
    return sizes[0], sizes[1], at
