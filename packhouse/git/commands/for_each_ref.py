"""git for-each-ref: the refs in git's own files."""

from packhouse.git import Oid
from packhouse.git.commands.run import Runner, run_git


def list_refs(runner: Runner, prefix: str) -> list[tuple[bytes, Oid]]:
    """Return (full name, object) of each ref at or below `prefix`, by name."""
    shown = ("for-each-ref", "--format=%(objectname) %(refname)", prefix)
    rows = (line.partition(b" ") for line in run_git(runner.place(), *shown).stdout.splitlines())
    return [(name, Oid(oid.decode("ascii"))) for oid, _, name in rows]
