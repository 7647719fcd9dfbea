"""Writing a new pack out of a push when some of its objects must not stay.

The new pack holds the objects of the push that the proceeding refs lead to, and no others. It is complete: a delta
against a removed object is written out. Git checks the new pack as strictly as a pack without faults, so a faulty
object that the tracing overlooked is refused here.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from packhouse import limits
from packhouse.errors import Code, LimitExceeded, PackhouseError, TimedOut
from packhouse.git import Oid
from packhouse.git.commands.index_pack import NoRoomForPack, PackRefused
from packhouse.git.commands.kill_switch import KillSwitch
from packhouse.git.commands.rev_list import Revisions
from packhouse.git.packs import PackIdx
from packhouse.log import log_event
from packhouse.node import Node
from packhouse.repository.write import Write

_LOGGED_MAX_CHARS: Final = 200


class JudgedAgain(PackhouseError):
    """Git refuses the pack that was made anew of the sound objects of a push. `reason` is for the user."""

    reason: str


class PackNotWritten(JudgedAgain):
    """The server has no room for the pack that is made anew."""

    code = Code.PACK_NOT_WRITTEN


class PushedObjectRefused(JudgedAgain):
    """The second check refuses an object that the first one let through."""

    code = Code.PUSHED_OBJECT_REFUSED


class PackedTooSlowly(TimedOut):
    """The time for packing the push anew is over. Push in parts."""

    code = Code.PACKED_TOO_SLOWLY
    seconds: float


@dataclass(frozen=True, slots=True)
class Kept:
    """The content of the new pack: all objects that `tips` lead to and `known` do not.

    `allowed` are the faults that are let through, `shallow` the commits at which the client's history is cut off.
    """

    tips: Sequence[Oid]
    known: Sequence[Oid]
    allowed: Sequence[str]
    shallow: Sequence[Oid]

    @property
    def revisions(self) -> Revisions:
        return Revisions(self.tips, self.known)


def keep_only(node: Node, write: Write, kept: Kept, switch: KillSwitch, *, must: bool) -> Write | None:
    """Remove from a push what is not kept. Returns the write that holds the rest; None when nothing is kept.

    The result is `write` itself when it holds nothing else, and, without `must`, when packing anew fails: then none of
    its objects is faulty, and objects that nothing needs only take space. Otherwise `write` is discarded. Raises
    GitFailed and, with `must`, JudgedAgain, LimitExceeded and TimedOut; then `write` stays.
    """
    try:
        fresh = _pack_anew(node, write, kept, switch, must=must) if kept.tips else None
    except (JudgedAgain, LimitExceeded, TimedOut):
        if must:
            raise
        return write
    if fresh is not write:
        write.discard()
    return fresh


def _pack_anew(node: Node, write: Write, kept: Kept, switch: KillSwitch, *, must: bool) -> Write | None:
    """Return a new write with the kept objects; None when there are none.

    Without `must`, returns `write` itself if all its objects are kept. Raises JudgedAgain, GitFailed and TimedOut.
    """
    with PackIdx(write.new_idx()) as idx:
        listed = _list_kept(write, idx, kept, switch)
        if listed is not None and not listed:
            return None
        if listed is not None and len(listed) == len(idx) and not must:
            return write
    fresh = Write(write.view)
    try:
        fresh.make_folder()
        wanted = kept.revisions if listed is None else listed
        pieces = write.git.iter_pack(wanted, timeout_s=limits.push_repack_max_s, switch=switch)
        _index(node, fresh, pieces, kept, switch)
    except BaseException:
        fresh.discard()
        raise
    return fresh


def _list_kept(write: Write, idx: PackIdx, kept: Kept, switch: KillSwitch) -> list[Oid] | None:
    """Return the ids of the kept objects of the pack; None when these are too many to keep in memory."""
    listed: list[Oid] = []
    for oid in write.git.iter_objects(kept.revisions, timeout_s=limits.push_repack_max_s, switch=switch):
        if oid in idx:
            listed.append(oid)
            if len(listed) > limits.fork_objects_in_memory_max:
                return None
    return listed


def _index(node: Node, write: Write, pieces: Iterator[bytes], kept: Kept, switch: KillSwitch) -> None:
    """Let git check the pack and write it, with its idx, into `write`."""
    deadline = node.monotonic() + limits.push_repack_max_s

    def time_left() -> float:
        left = deadline - node.monotonic()
        if left <= 0:
            raise PackedTooSlowly(limits.push_repack_max_s)
        return left

    git = write.git_with_roots(kept.shallow)
    try:
        git.index_stream(
            pieces,
            allowed=kept.allowed,
            max_bytes=node.config.push_max_bytes,
            time_left=time_left,
            switch=switch,
        )
    except NoRoomForPack as error:
        reason = error.messages[-_LOGGED_MAX_CHARS:]
        log_event("no room to pack the clean part of a push", level=logging.ERROR, reason=reason)
        raise PackNotWritten("the server has no room, please retry later") from error
    except PackRefused as error:
        raise PushedObjectRefused(error.reason) from error
