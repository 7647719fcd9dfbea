"""Bounds on what a caller's regular expression may cost git."""

import contextlib
import math
import re
import resource
from typing import Final

from packhouse import limits
from packhouse.git.process import GitProcess

_REPETITION: Final = re.compile(r"\{([0-9]{1,9})(?:,([0-9]{0,9}))?\\?\}")


def repeats_too_often(expression: str) -> bool:
    """Tell whether the counts in `{n,m}`, or `\\{n,m\\}`, multiply to more than a compiler should write out.

    glibc copies what is repeated, so nested repetitions multiply. Those side by side count as if nested.
    """
    counts = (max(int(low), int(high or 0)) for low, high in _REPETITION.findall(expression))
    return math.prod(max(count, 1) for count in counts) > limits.regex_repetitions_max


def limit_regex_cost(git: GitProcess) -> None:
    """Bound memory and processor time of a git that has just started: an expression can take all there is.

    Whoever waits for it ends it far earlier, unless this process is killed first.
    """
    memory, cpu = limits.regex_memory_max_bytes, limits.regex_cpu_max_s
    with contextlib.suppress(ProcessLookupError):  # it has ended already
        resource.prlimit(git.pid, resource.RLIMIT_AS, (memory, memory))
        resource.prlimit(git.pid, resource.RLIMIT_CPU, (cpu, cpu))
