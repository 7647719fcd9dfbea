"""Fetching from an upstream into a quarantine, within bounds, and reading the refs that came."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from packhouse import limits
from packhouse.git import Oid, RefName
from packhouse.git.commands.transport.remote import RemoteFailed
from packhouse.repository.upstream.access import SENT_TOO_MUCH, UpstreamAccess, UpstreamAway, explain_fault
from packhouse.repository.upstream.mirror import MIRRORED, is_mirrored
from packhouse.repository.write import Write

_REFS: Final = b"refs/"
_FETCHED: Final = b"refs/fetched/"
_LOOK_EVERY_S: Final = 1.0
_TOO_MANY_REFS: Final = "upstream has too many refs"


@dataclass(frozen=True, slots=True)
class FetchWatch:
    """The bounds of a fetch: `look` raises to end it early; at most `max_bytes` and `refs_max` refs may arrive."""

    look: Callable[[], None]
    max_bytes: int
    refs_max: int


def fetch_upstream(
    access: UpstreamAccess,
    write: Write,
    *,
    known: Sequence[Oid],
    scope: Sequence[RefName] | None,
    allowed_faults: Sequence[str],
    watch: FetchWatch,
) -> dict[RefName, Oid]:
    """Fetch branches and tags, or those in `scope`, and return them. Objects are checked like those of an import.

    A user of this server cannot correct an upstream's history: if its old faults were refused, it could not be
    followed. `allowed_faults` are the faults that are let through; `known` are local values, for the negotiation.
    Raises UpstreamAway and the errors of `watch.look`.
    """
    _prepare(write, known)
    call = _Caller(access, write, watch)
    if scope is None:
        wanted = [(name + b"*", _FETCHED + name.removeprefix(_REFS) + b"*") for name in MIRRORED]
    else:
        there = call.list_refs(scope)
        wanted = [(bytes(name), _FETCHED + name.removeprefix(_REFS)) for name in scope if name in there]
    if wanted:
        call.fetch(wanted, allowed_faults)
    return _read_fetched(write, refs_max=watch.refs_max)


class _Caller:
    """Asks the upstream, and checks the bounds while its answer arrives."""

    def __init__(self, access: UpstreamAccess, write: Write, watch: FetchWatch) -> None:
        self._remote = access.remote
        self._write = write
        self._watch = watch
        self._node = write.node
        self._looked_at = self._node.monotonic()

    def list_refs(self, names: Sequence[RefName]) -> set[bytes]:
        """Return the `names` that the upstream has; raise UpstreamAway."""
        try:
            return self._write.git.list_remote_refs(
                self._remote, names, timeout_s=limits.sync_max_s, watch=self._look
            )
        except RemoteFailed as failed:
            raise explain_fault(failed.fault) from failed

    def fetch(self, wanted: Sequence[tuple[bytes, bytes]], allowed_faults: Sequence[str]) -> None:
        """Let git fetch the wanted refs into the quarantine; raise UpstreamAway."""
        try:
            self._write.git.fetch_refs(
                self._remote,
                wanted,
                allowed_faults=allowed_faults,
                timeout_s=limits.sync_max_s,
                watch=self._look,
            )
        except RemoteFailed as failed:
            raise explain_fault(failed.fault) from failed

    def _look(self) -> None:
        if self._write.folder_bytes() > self._watch.max_bytes:
            raise UpstreamAway(SENT_TOO_MUCH, is_lasting=True)
        now = self._node.monotonic()
        if now - self._looked_at >= _LOOK_EVERY_S:
            self._looked_at = now
            if self._write.count_loose_refs("fetched") > self._watch.refs_max:
                raise UpstreamAway(_TOO_MANY_REFS, is_lasting=True)
            self._watch.look()


def _prepare(write: Write, known: Sequence[Oid]) -> None:
    """Write local values as refs: in the negotiation git names refs as the objects that it has."""
    write.make_folder()
    lines = (f"{oid} refs/known/{number}" for number, oid in enumerate(dict.fromkeys(known)))
    write.write_refs(line.encode("ascii") for line in lines)


def _read_fetched(write: Write, *, refs_max: int) -> dict[RefName, Oid]:
    listed = write.git.list_refs("refs/fetched")
    if len(listed) > refs_max:
        raise UpstreamAway(_TOO_MANY_REFS, is_lasting=True)
    refs: dict[RefName, Oid] = {}
    for name, oid in listed:
        refname = _REFS + name.removeprefix(_FETCHED)
        if is_mirrored(refname):
            refs[RefName(refname)] = oid
    return refs


def mirrored_only(refs: Mapping[RefName, Oid]) -> dict[RefName, Oid]:
    """Return the refs that an upstream and its mirror share."""
    return {name: oid for name, oid in refs.items() if is_mirrored(name)}
