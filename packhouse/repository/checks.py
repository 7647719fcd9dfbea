"""Questions to git about new objects before they are accepted: their kinds, their ancestors, and missing objects."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from packhouse import limits
from packhouse.db import RefUpdate
from packhouse.errors import Code, LimitExceeded
from packhouse.git import Oid
from packhouse.git.commands.kill_switch import KillSwitch
from packhouse.git.commands.rev_list import Revisions
from packhouse.git.objects import Objects, tag_target
from packhouse.repository.damage import require_sound
from packhouse.repository.write import Write

_TIPS_JUDGED_ONE_BY_ONE_MAX = 100
_LOOKED_FOR_AGAIN_MAX = 10


class TagTooLarge(LimitExceeded):
    """A push brings an annotated tag that is too large to be read."""

    code = Code.TAG_TOO_LARGE
    max_bytes: int


class TagChainTooLong(LimitExceeded):
    """A push brings a longer chain of tags than is followed."""

    code = Code.TAG_CHAIN_TOO_LONG
    max_tags: int


@dataclass(frozen=True, slots=True)
class ObjectKind:
    """Kind of a new value. `peeled_oid` is the object at the end of a chain of annotated tags; None for other kinds."""

    kind: str
    peeled_oid: Oid | None


def read_kinds(write: Write, oids: Collection[Oid]) -> dict[Oid, ObjectKind]:
    """Return the kinds of `oids`; leaves out missing objects, and tags that lead to a missing object.

    Raises LimitExceeded for an annotated tag that is too large to be read in process.
    """
    if not oids or write.is_empty:
        return {}
    with write.telling_damage():
        reader = write.reader()
        kinds = {oid: _read_kind(reader, oid) for oid in oids}
        if absent := [oid for oid, kind in kinds.items() if kind is None]:
            require_sound(write.node, write.view.repo)
            fresh = write.fresh_reader()
            kinds |= {oid: _read_kind(fresh, oid) for oid in absent[:_LOOKED_FOR_AGAIN_MAX]}
    return {oid: kind for oid, kind in kinds.items() if kind is not None}


def is_connected(write: Write, tips: Sequence[Oid], known: Sequence[Oid], switch: KillSwitch) -> bool:
    """Tell whether no object below `tips` is missing. The objects below `known` are complete and not looked at."""
    with write.telling_damage():
        return write.git.is_connected(Revisions(tips, known), switch=switch)


def moves_forward(write: Write, update: RefUpdate, switch: KillSwitch) -> bool:
    """Tell whether the new value of a ref descends from its old one; False when one of them is not a commit."""
    assert update.old_oid is not None and update.new_oid is not None, "the ref exists before and after"
    with write.telling_damage():
        return write.git.is_ancestor(update.old_oid, update.new_oid, switch=switch)


def _read_kind(reader: Objects, oid: Oid) -> ObjectKind | None:
    """Return the kind of an object and follow annotated tags; None when an object of the chain is missing."""
    at = oid
    for _ in range(limits.tag_chain_max):
        header = reader.kind_and_size(at)
        if header is None:
            return None
        kind, size = header
        if kind != "tag":
            return ObjectKind(kind, None) if at == oid else ObjectKind("tag", at)
        if size > limits.object_in_process_max_bytes:
            raise TagTooLarge(limits.object_in_process_max_bytes)
        at = tag_target(reader.read(at)[1])
    raise TagChainTooLong(limits.tag_chain_max)


def find_unconnected(write: Write, tips: Sequence[Oid], known: Sequence[Oid], switch: KillSwitch) -> set[Oid]:
    """Return the `tips` below which an object is missing.

    One walk proves them all. When it fails, each tip is judged alone, so that the good refs of a push proceed. When
    there are very many tips, a failed walk refuses them all.
    """
    if not tips or is_connected(write, tips, known, switch):
        return set()
    if len(tips) == 1 or len(tips) > _TIPS_JUDGED_ONE_BY_ONE_MAX:
        return set(tips)
    return {tip for tip in tips if not is_connected(write, [tip], known, switch)}
