"""git merge-base: the common ancestors of two commits."""

from typing import Final

from packhouse import limits
from packhouse.git import Oid
from packhouse.git.commands.kill_switch import KillSwitch
from packhouse.git.commands.run import Runner, check_answer, run_git

_ANSWERS: Final = frozenset({0, 1, 128})  # yes, no, and an object that git cannot find


def is_ancestor(runner: Runner, ancestor: Oid, descendant: Oid, *, switch: KillSwitch | None = None) -> bool:
    """Tell whether `ancestor` is reachable from `descendant`; False when one of the two is not a commit."""
    if ancestor == descendant:
        return True
    done = run_git(
        runner.place(),
        *("merge-base", "--is-ancestor", ancestor, descendant),
        ok_codes=_ANSWERS,
        on_start=None if switch is None else switch.attach,
    )
    check_answer(runner, done, may_lack=True)
    return done.code == 0


def find_merge_base(runner: Runner, first: Oid, second: Oid) -> Oid | None:
    """Return the best common ancestor, or None. Of several equally good ones, return the first in git's order."""
    if first == second:
        return first
    done = run_git(
        runner.place(),
        *("merge-base", first, second),
        ok_codes=frozenset({0, 1}),
        timeout_s=limits.diff_max_s,
    )
    check_answer(runner, done)  # merge-base treats an unreadable commit as one without ancestors
    found = done.stdout.split()
    return Oid(found[0].decode("ascii")) if found else None
