"""git rev-list: the commits and objects that are reachable from some objects and not from others."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from packhouse import limits
from packhouse.errors import Code, Corrupt
from packhouse.git import Oid
from packhouse.git.commands.environment import LITERAL_PATHS
from packhouse.git.commands.kill_switch import KillSwitch
from packhouse.git.commands.run import (
    GitResult,
    Runner,
    check_answer,
    iter_git_output,
    iter_lines,
    run_git,
)

_ANSWERS: Final = frozenset({0, 1, 128})  # yes, no, and an object that git cannot find
_REASON_MAX_CHARS: Final = 300


class HistoryUnreadable(Corrupt):
    """A commit of the history is missing or unreadable. `reason` is git's."""

    code = Code.HISTORY_UNREADABLE
    reason: str


@dataclass(frozen=True, slots=True)
class Revisions:
    """A walk over all that is reachable from `include` and not from `exclude`."""

    include: Sequence[Oid]
    exclude: Sequence[Oid] = ()

    @property
    def lines(self) -> bytes:
        """The walk as lines for git's standard input. git 2.39 accepts an exclusion there only in the form ^id."""
        return "".join(f"{line}\n" for line in (*self.include, *(f"^{oid}" for oid in self.exclude))).encode(
            "ascii"
        )


class WalkedCommit(NamedTuple):
    """A commit of a walk."""

    oid: Oid
    tree: Oid
    parents: tuple[Oid, ...]


def list_commits(
    runner: Runner,
    revisions: Revisions,
    *,
    count_max: int,
    timeout_s: float = limits.git_call_max_s,
) -> list[Oid]:
    """Return up to `count_max` commits, newest first; raise GitFailed when an object of `revisions` is missing."""
    if not revisions.include:
        return []
    asked = ("rev-list", f"--max-count={count_max}", "--stdin")
    listed = run_git(runner.place(), *asked, stdin=revisions.lines, timeout_s=timeout_s)
    return _parse_oids(listed)


def list_existing_commits(
    runner: Runner, revisions: Revisions, *, count_max: int, switch: KillSwitch
) -> list[Oid]:
    """Return commits like list_commits(), but ignore ids of missing objects, of blobs and of trees.

    Raises HistoryUnreadable.
    """
    asked = ("rev-list", "--ignore-missing", f"--max-count={count_max}", "--stdin")
    listed = run_git(runner.place(), *asked, stdin=revisions.lines, ok_codes=_ANSWERS, on_start=switch.attach)
    check_answer(runner, listed, may_lack=True)
    if listed.code != 0:
        raise HistoryUnreadable(listed.text[:_REASON_MAX_CHARS])
    return _parse_oids(listed)


def list_page(runner: Runner, tip: Oid, *, path: bytes | None, skip: int, count_max: int) -> list[Oid]:
    """Return up to `count_max` commits reachable from `tip`, in the order of `git log`, without the first `skip`.

    With a path, which is taken literally, only the commits that `git log -- <path>` shows.
    """
    paths = [] if path is None else [path.decode("utf-8", "surrogateescape")]
    listed = run_git(
        runner.place(),
        *("rev-list", f"--skip={skip}", f"--max-count={count_max}", "--end-of-options", tip, "--", *paths),
        env=LITERAL_PATHS,
    )
    return _parse_oids(listed)


def find_first_ancestor(runner: Runner, commit: Oid, *, steps: int) -> Oid | None:
    """Return the commit that is `steps` first parents away, None when history is shorter."""
    asked = ("rev-list", "--first-parent", f"--skip={steps}", "--max-count=1", "--end-of-options", commit)
    return next(iter(_parse_oids(run_git(runner.place(), *asked))), None)


def count_commits(runner: Runner, revisions: Revisions) -> int:
    """Return the number of commits in the walk."""
    return int(run_git(runner.place(), "rev-list", "--count", "--stdin", stdin=revisions.lines).stdout)


def list_history(runner: Runner, tips: Iterable[Oid]) -> list[tuple[Oid, tuple[Oid, ...]]]:
    """Return (commit, parents) of every commit reachable from `tips`, children before their parents."""
    listed = run_git(
        runner.place(),
        *("rev-list", "--topo-order", "--parents", "--stdin"),
        stdin=Revisions(list(tips)).lines,
        timeout_s=limits.history_pass_max_s,
        output_max_bytes=limits.history_output_max_bytes,
    ).stdout.decode("ascii")
    history = []
    for line in listed.splitlines():
        oid, *parents = line.split(" ")
        history.append((Oid(oid), tuple(map(Oid, parents))))
    return history


def iter_commits(runner: Runner, revisions: Revisions, *, timeout_s: float) -> Iterator[Oid]:
    """Yield the commits as git finds them, newest first; closing the iterator ends git."""
    return _iter_oids(runner, revisions, (), timeout_s=timeout_s)


def iter_objects(
    runner: Runner, revisions: Revisions, *, timeout_s: float, switch: KillSwitch | None = None
) -> Iterator[Oid]:
    """Yield every object, commits first; closing the iterator ends git."""
    options = ("--objects", "--no-object-names")
    return _iter_oids(runner, revisions, options, timeout_s=timeout_s, switch=switch)


def iter_ancestors_first(
    runner: Runner, revisions: Revisions, *, timeout_s: float, switch: KillSwitch
) -> Iterator[WalkedCommit]:
    """Yield the commits, each after its parents; closing the iterator ends git."""
    shown = ("--topo-order", "--reverse", "--no-commit-header", "--format=%H %T %P")
    pieces = iter_git_output(
        runner.place(),
        *("rev-list", *shown, "--stdin"),
        stdin=revisions.lines,
        timeout_s=timeout_s,
        on_start=switch.attach,
    )
    for line in iter_lines(pieces):
        oid, tree, *parents = map(Oid, line.decode("ascii").split())
        yield WalkedCommit(oid, tree, tuple(parents))


def is_connected(runner: Runner, revisions: Revisions, *, switch: KillSwitch) -> bool:
    """Tell whether no object of the walk is missing. Objects below `exclude` are assumed to be complete."""
    done = run_git(
        runner.place(),
        *("rev-list", "--objects", "--quiet", "--stdin"),
        stdin=revisions.lines,
        ok_codes=_ANSWERS,
        timeout_s=limits.connectivity_check_max_s,
        on_start=switch.attach,
    )
    check_answer(runner, done, may_lack=True)
    return done.code == 0


def lacks_objects(runner: Runner, revisions: Revisions) -> bool:
    """Tell whether an object is missing. Raises GitFailed when the missing object stops git's walk."""
    asked = ("rev-list", "--objects", "--quiet", "--missing=print", "--stdin")
    return b"?" in run_git(runner.place(), *asked, stdin=revisions.lines).stdout


def _iter_oids(
    runner: Runner,
    revisions: Revisions,
    options: Sequence[str],
    *,
    timeout_s: float,
    switch: KillSwitch | None = None,
) -> Iterator[Oid]:
    pieces = iter_git_output(
        runner.place(),
        *("rev-list", *options, "--stdin"),
        stdin=revisions.lines,
        timeout_s=timeout_s,
        on_start=None if switch is None else switch.attach,
    )
    for line in iter_lines(pieces):
        yield Oid(line.decode("ascii"))


def _parse_oids(listed: GitResult) -> list[Oid]:
    return [Oid(line.decode("ascii")) for line in listed.stdout.split()]
