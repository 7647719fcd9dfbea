"""A bound on git processes that compile a caller's regular expression."""

import contextlib
import resource

from packhouse import limits
from packhouse.git.process import GitProcess


def limit_regex_memory(git: GitProcess) -> None:
    """Bound the memory of a git that has just started: `(a{1,30000}){1,30000}` takes all there is."""
    bound = limits.regex_memory_max_bytes
    with contextlib.suppress(ProcessLookupError):  # it has ended already
        resource.prlimit(git.pid, resource.RLIMIT_AS, (bound, bound))
