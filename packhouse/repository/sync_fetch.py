"""Fetching what an upstream has into a quarantine, within bounds, and reading the refs that came."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from packhouse import limits
from packhouse.errors import LimitExceeded, TimedOut
from packhouse.git.oid import Oid
from packhouse.git.process import run_git
from packhouse.git.refname import RefName
from packhouse.git.remote_call import run_remote_git
from packhouse.repository.push_checks import PushedObjects
from packhouse.repository.sync_mirror import is_mirrored
from packhouse.repository.upstream_access import UpstreamAccess, UpstreamAway, explain_failure
from packhouse.storage.quarantine import Quarantine

_FETCHED: Final = b"refs/fetched/"
_LOOK_EVERY_S: Final = 1.0
_TOO_MANY_REFS: Final = "upstream has too many refs"


@dataclass(frozen=True, slots=True)
class FetchWatch:
    """What may end a fetch early: `look` raises to do so; `max_bytes` is how much may arrive."""

    look: Callable[[], None]
    max_bytes: int


def fetch_upstream(
    access: UpstreamAccess,
    objects: PushedObjects,
    quarantine: Quarantine,
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
    _prepare(quarantine, known)
    call = _Caller(access, objects, quarantine, watch)
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
    return _read_fetched(quarantine, objects)


@dataclass(frozen=True, slots=True)
class _Caller:
    access: UpstreamAccess
    objects: PushedObjects
    quarantine: Quarantine
    watch: FetchWatch

    def run(self, *args: str, config: Mapping[str, str] | None = None) -> bytes:
        """Run git in the quarantine; return its output or raise UpstreamAway."""
        looked_at = time.monotonic()

        def look() -> None:
            nonlocal looked_at
            if _size_bytes(self.quarantine) > self.watch.max_bytes:
                raise UpstreamAway("upstream sent too much", is_lasting=True)
            if time.monotonic() - looked_at >= _LOOK_EVERY_S:
                looked_at = time.monotonic()
                if _count_loose_refs(self.quarantine) > limits.upstream_refs_max:
                    raise UpstreamAway(_TOO_MANY_REFS, is_lasting=True)
                self.watch.look()

        with self.objects.hold() as locks:
            try:
                done = run_remote_git(
                    self.quarantine.path,
                    *args,
                    server=self.access.server,
                    login=self.access.login,
                    config=config,
                    env=self.objects.environment,
                    pass_fds=locks,
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


def _prepare(quarantine: Quarantine, known: Sequence[Oid]) -> None:
    """Make local values visible as refs, which is what git tells the other side that it has."""
    (quarantine.path / "config").write_bytes(b"[core]\n\trepositoryformatversion = 0\n\tbare = true\n")
    lines = (f"{oid} refs/known/{number}\n" for number, oid in enumerate(dict.fromkeys(known)))
    (quarantine.path / "packed-refs").write_text("".join(lines))


def _size_bytes(quarantine: Quarantine) -> int:
    total = 0
    for path in quarantine.pack_dir.iterdir():
        try:
            total += path.stat().st_size
        except FileNotFoundError:  # renamed by git just now
            continue
    return total


def _count_loose_refs(quarantine: Quarantine) -> int:
    """Return how many refs git has written so far: each is a file, whatever the upstream makes up."""
    return sum(len(names) for _, _, names in os.walk(quarantine.path / "refs" / "fetched"))


def _read_fetched(quarantine: Quarantine, objects: PushedObjects) -> dict[RefName, Oid]:
    listed = run_git(
        quarantine.path,
        "for-each-ref",
        "--format=%(objectname) %(refname)",
        "refs/fetched",
        env=objects.environment,
    ).stdout.splitlines()
    if len(listed) > limits.upstream_refs_max:
        raise UpstreamAway(_TOO_MANY_REFS, is_lasting=True)
    refs: dict[RefName, Oid] = {}
    for line in listed:
        oid, _, name = line.partition(b" ")
        refname = b"refs/" + name.removeprefix(_FETCHED)
        if is_mirrored(refname):
            refs[RefName(refname)] = Oid(oid.decode("ascii"))
    return refs


def mirrored_only(refs: Mapping[RefName, Oid]) -> dict[RefName, Oid]:
    """Return the refs that an upstream can have."""
    return {name: oid for name, oid in refs.items() if is_mirrored(name)}
