"""git pack-objects: a pack of given objects, or of all objects reachable from given ones.

Source of its behaviour: git-pack-objects(1); without `--thin` every delta's base is in the same pack.
"""

from collections.abc import Iterable, Iterator

from packhouse import limits
from packhouse.git import Oid
from packhouse.git.commands.kill_switch import KillSwitch
from packhouse.git.commands.rev_list import Revisions
from packhouse.git.commands.run import Runner, iter_git_output, run_git

Wanted = Revisions | Iterable[Oid]
"""The objects to pack: all objects of a walk, or exactly the given ids."""

# Existing deltas are copied with their bases. A search for new deltas would take most of the time.
_COPYING = ("--quiet", "--threads=1", "--window=0")


def join_packs(runner: Runner, names: Iterable[str], *, prefix: str, timeout_s: float) -> None:
    """Write one pack with all objects of these packs, unreachable ones included; `prefix` begins its file names.

    Raises GitFailed when a pack is damaged.
    """
    run_git(
        runner.place(),
        *("pack-objects", "--stdin-packs", "--quiet", "--threads=1", prefix),
        stdin="".join(f"pack-{name}.pack\n" for name in names).encode("ascii"),
        timeout_s=timeout_s,
    )


def write_pack(runner: Runner, wanted: Wanted, *, prefix: str) -> None:
    """Write a pack; `prefix` begins its file names. The files are forced to the disk later, by publishing."""
    run_git(
        runner.place(),
        *("pack-objects", *_COPYING, *_walk_option(wanted), prefix),
        stdin=_lines(wanted),
        config={"core.fsync": "none"},
        timeout_s=limits.fork_max_s,
    )


def iter_pack(runner: Runner, wanted: Wanted, *, timeout_s: float, switch: KillSwitch) -> Iterator[bytes]:
    """Yield a pack in pieces; closing the iterator ends git."""
    return iter_git_output(
        runner.place(),
        *("pack-objects", *_COPYING, "--stdout", "--delta-base-offset", *_walk_option(wanted)),
        stdin=_lines(wanted),
        timeout_s=timeout_s,
        on_start=switch.attach,
    )


def _walk_option(wanted: Wanted) -> list[str]:
    return ["--revs"] if isinstance(wanted, Revisions) else []


def _lines(wanted: Wanted) -> bytes:
    if isinstance(wanted, Revisions):
        return wanted.lines
    return "".join(f"{oid}\n" for oid in wanted).encode("ascii")
