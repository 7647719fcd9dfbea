"""git push: moving refs of another server, each from its known value."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from packhouse.git import Oid, RefName
from packhouse.git.commands.run import Runner
from packhouse.git.commands.transport.remote import Remote, RemoteFailed, find_fault, run_remote_git

# git-push(1), "OUTPUT": flag, refs and summary of one ref, between tabs.
_REPORT: Final = re.compile(rb"^([ +*!=-])\t([^\t]*):([^\t:]+)\t(.*)$", re.MULTILINE)
_REFUSED: Final = b"!"


@dataclass(frozen=True, slots=True)
class PushedRef:
    """A ref to move from `old_oid` to `new_oid`. None means that the ref does not exist before, or afterwards."""

    refname: RefName
    old_oid: Oid | None
    new_oid: Oid | None


def push_refs(
    runner: Runner, remote: Remote, refs: Sequence[PushedRef], *, atomic: bool, timeout_s: float
) -> set[RefName]:
    """Move refs of the other server; return the refs that it moved and those that were at the new value already.

    A ref with another value than `old_oid` stays. With `atomic`, all refs move or none. Raises RemoteFailed when the
    result is unknown.
    """
    leases, specs = [], []
    for ref in refs:
        name = ref.refname.decode("utf-8")
        leases.append(f"--force-with-lease={name}:{ref.old_oid or ''}")
        specs.append(f"{ref.new_oid or ''}:{name}")
    together = ["--atomic"] if atomic and len(refs) > 1 else []
    done = run_remote_git(
        runner,
        *("push", "--porcelain", "--no-verify", *together, *leases, remote.server.url, *specs),
        remote=remote,
        timeout_s=timeout_s,
        watch=_no_watch,
    )
    reports = {match[3]: match[1] for match in _REPORT.finditer(done.stdout)}
    if not reports:
        raise RemoteFailed(find_fault(done.stderr))
    return {ref.refname for ref in refs if reports.get(bytes(ref.refname), _REFUSED) != _REFUSED}


def _no_watch() -> None:
    """Never end a push early: only its time limit does, and then its result is unknown."""
