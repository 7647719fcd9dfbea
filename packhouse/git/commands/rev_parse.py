"""git rev-parse: the objects that abbreviated ids stand for."""

from packhouse.git import Oid
from packhouse.git.commands.run import Runner, run_git


def list_abbreviated(runner: Runner, prefix: str, *, count_max: int) -> list[Oid]:
    """Return up to `count_max` objects of any kind whose ids begin with `prefix`, which has at least 4 hex digits."""
    listed = run_git(runner.place(), "rev-parse", f"--disambiguate={prefix}").stdout.split()
    return [Oid(line.decode("ascii")) for line in listed[:count_max]]
