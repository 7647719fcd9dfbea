"""Faults of a pack or its idx."""

from packhouse.errors import Code, Corrupt, Invalid, LimitExceeded
from packhouse.git import Oid
from packhouse.git.objects import ObjectCorrupt


class PackCorrupt(Corrupt):
    """A pack, or the idx beside it, is not as it was written. `file` is its name."""

    file: str


class NotAPackIdx(PackCorrupt):
    """The file is too short, or has no mark of an idx."""

    code = Code.NOT_A_PACK_IDX


class PackIdxVersionUnknown(PackCorrupt):
    """The file is an idx of another version, or no idx at all."""

    code = Code.PACK_IDX_VERSION_UNKNOWN


class PackIdxFanoutUnsorted(PackCorrupt):
    """The idx's table of first bytes is not sorted."""

    code = Code.PACK_IDX_FANOUT_UNSORTED


class PackIdxSizeWrong(PackCorrupt):
    """The idx is longer or shorter than its number of objects says."""

    code = Code.PACK_IDX_SIZE_WRONG


class PackIdxOffsetOutside(PackCorrupt):
    """The idx names a large offset behind the end of its table of large offsets."""

    code = Code.PACK_IDX_OFFSET_OUTSIDE


class PackIdxChecksumWrong(PackCorrupt):
    """A byte of the idx has changed."""

    code = Code.PACK_IDX_CHECKSUM_WRONG


class PackIdxUnsorted(PackCorrupt):
    """The ids in the idx are not sorted."""

    code = Code.PACK_IDX_UNSORTED


class PackIdxOffsetsWrong(PackCorrupt):
    """Objects of the idx overlap, or are outside the pack."""

    code = Code.PACK_IDX_OFFSETS_WRONG


class PackHeaderWrong(PackCorrupt):
    """The header of the pack has another version or number of objects than the idx."""

    code = Code.PACK_HEADER_WRONG


class PackTrailerWrong(PackCorrupt):
    """The checksum at the end of the pack is not the one in the idx. Pack and idx do not belong together."""

    code = Code.PACK_TRAILER_WRONG


class PackHashWrong(PackCorrupt):
    """A byte of the pack has changed."""

    code = Code.PACK_HASH_WRONG


class NotAPack(PackCorrupt):
    """The file does not begin like a pack."""

    code = Code.NOT_A_PACK


class PackEntryUnreadable(PackCorrupt):
    """The entry at `offset` is malformed, ends early, or has data of another size than it says."""

    code = Code.PACK_ENTRY_UNREADABLE
    offset: int


class PackDeltaWrong(PackCorrupt):
    """The delta at `offset` is malformed, or was made for another base."""

    code = Code.PACK_DELTA_WRONG
    offset: int


class PackBaseMissing(PackCorrupt):
    """The base of the delta at `offset` is not in the pack, or is made from this delta."""

    code = Code.PACK_BASE_MISSING
    offset: int


class PackEndsElsewhere(PackCorrupt):
    """The last entry does not end where the trailer begins."""

    code = Code.PACK_ENDS_ELSEWHERE


class PackHoldsTwice(PackCorrupt):
    """The pack holds an object twice. Git refuses such a pack if it checks strictly, and its idx would be ambiguous."""

    code = Code.PACK_HOLDS_TWICE
    oid: Oid


class PackInflatesTooMuch(LimitExceeded):
    """The objects of the pack are too large together to be held in memory, or take too long to be read there.

    `max_bytes` is the bound of the inflated bytes.
    """

    code = Code.PACK_INFLATES_TOO_MUCH
    file: str
    max_bytes: int


class PackHoldsDeltas(Invalid):
    """The pack holds deltas, so it cannot be joined without git."""

    code = Code.PACK_HOLDS_DELTAS
    file: str


class PackEndsEarly(Corrupt):
    """The pack lacks bytes that the idx names."""

    code = Code.PACK_ENDS_EARLY


class PackEntryWrong(ObjectCorrupt):
    """A byte of the stored object has changed."""

    code = Code.PACK_ENTRY_WRONG


class PackCountWrong(Corrupt):
    """The new idx has more or fewer objects than SQL lists."""

    code = Code.PACK_COUNT_WRONG


class BlobLengthWrong(Corrupt, kw_only=True):
    """The blob has more or fewer bytes than were announced."""

    code = Code.BLOB_LENGTH_WRONG
    announced: int
    received: int
