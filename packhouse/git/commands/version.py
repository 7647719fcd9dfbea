"""git version: the git that the server would run."""

from packhouse.errors import PackhouseError
from packhouse.git.commands.environment import NOWHERE
from packhouse.git.commands.run import run_git


def find_git_version(*, timeout_s: float) -> str | None:
    """Return git's version, such as `2.39.5`; None when no git runs."""
    try:
        done = run_git(NOWHERE, "version", timeout_s=timeout_s)
    except (PackhouseError, OSError):
        return None
    return done.stdout.decode("utf-8", "replace").strip().removeprefix("git version ")
