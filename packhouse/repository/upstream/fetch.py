"""Fetching what an upstream has into a quarantine, within bounds, and reading the refs that came."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from packhouse import limits
from packhouse.errors import LimitExceeded, TimedOut
from packhouse.git.commands.remote import run_remote_git
from packhouse.git.oid import Oid
from packhouse.git.refname import RefName
from packhouse.repository.upstream.access import UpstreamAccess, UpstreamAway, explain_failure
from packhouse.repository.upstream.mirror import is_mirrored
from packhouse.repository.write import Write

_FETCHED: Final = b"refs/fetched/"
_LOOK_EVERY_S: Final = 1.0
_TOO_MANY_REFS: Final = "upstream has too many refs"


@dataclass(frozen=True, slots=True)
class FetchWatch:
    """What may end a fetch early: `look` raises to do so; at most `max_bytes` and `refs_max` refs may arrive."""

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
    """Fetch branches and tags, or those in `scope`, and return them; objects are judged as those of an import.

    Nobody here can mend an upstream's history: if its old faults were refused, it could never be followed.
    `allowed_faults` are those that are let through; `known` are local values, for the negotiation. Raises
    UpstreamAway and what `watch.look` raises.
    """
    _prepare(write, known)
    call = _Caller(access, write, watch)
    if scope is None:
        wanted = ["+refs/heads/*:refs/fetched/heads/*", "+refs/tags/*:refs/fetched/tags/*"]
    else:
        there = call.list_refs(scope)
        names = [name.decode("utf-8") for name in scope if name in there]
        wanted = [f"+{name}:refs/fetched/{name.removeprefix('refs/')}" for name in names]
    if wanted:
        call.run(
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-auto-maintenance",
            "--no-recurse-submodules",
            "--no-show-forced-updates",
            access.server.url,
            *wanted,
            config={f"fetch.fsck.{name}": "ignore" for name in allowed_faults},
        )
    return _read_fetched(write, refs_max=watch.refs_max)


@dataclass(frozen=True, slots=True)
class _Caller:
    access: UpstreamAccess
    write: Write
    watch: FetchWatch

    def run(self, *args: str, config: Mapping[str, str] | None = None) -> bytes:
        """Run git on the new objects; return its output or raise UpstreamAway."""
        looked_at = time.monotonic()

        def look() -> None:
            nonlocal looked_at
            if self.write.folder_bytes() > self.watch.max_bytes:
                raise UpstreamAway("upstream sent too much", is_lasting=True)
            if time.monotonic() - looked_at >= _LOOK_EVERY_S:
                looked_at = time.monotonic()
                if self.write.count_loose_refs("fetched") > self.watch.refs_max:
                    raise UpstreamAway(_TOO_MANY_REFS, is_lasting=True)
                self.watch.look()

        try:
            done = run_remote_git(
                self.write.place(),
                *args,
                server=self.access.server,
                login=self.access.login,
                config=config,
                timeout_s=limits.sync_max_s,
                watch=look,
            )
        except TimedOut:
            raise UpstreamAway("timed out") from None
        except LimitExceeded:
            raise UpstreamAway("upstream sent too much", is_lasting=True) from None
        if done.code != 0:
            raise explain_failure(done.stderr)
        return done.stdout

    def list_refs(self, names: Sequence[RefName]) -> set[bytes]:
        """Return those of `names` that the upstream has."""
        patterns = [name.decode("utf-8") for name in names]
        lines = self.run("ls-remote", "--refs", self.access.server.url, *patterns).splitlines()
        return {line.split(b"\t", 1)[-1] for line in lines}


def _prepare(write: Write, known: Sequence[Oid]) -> None:
    """Make local values visible as refs, which is what git tells the other side that it has."""
    write.make_folder()
    lines = (f"{oid} refs/known/{number}" for number, oid in enumerate(dict.fromkeys(known)))
    write.write_refs(line.encode("ascii") for line in lines)


def _read_fetched(write: Write, *, refs_max: int) -> dict[RefName, Oid]:
    listed = write.git.list_refs("refs/fetched")
    if len(listed) > refs_max:
        raise UpstreamAway(_TOO_MANY_REFS, is_lasting=True)
    refs: dict[RefName, Oid] = {}
    for name, oid in listed:
        refname = b"refs/" + name.removeprefix(_FETCHED)
        if is_mirrored(refname):
            refs[RefName(refname)] = oid
    return refs


def mirrored_only(refs: Mapping[RefName, Oid]) -> dict[RefName, Oid]:
    """Return the refs that an upstream can have."""
    return {name: oid for name, oid in refs.items() if is_mirrored(name)}
