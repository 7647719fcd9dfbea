"""The cost of a caller's regular expression in a program that compiles and matches it."""

import math
import re
from typing import Final

from packhouse import limits

_REPETITION: Final = re.compile(r"\{([0-9]{1,9})(?:,([0-9]{0,9}))?\\?\}")
_BACK_REFERENCE: Final = re.compile(r"(?<!\\)(?:\\\\)*\\[1-9]")
_CLASS: Final = re.compile(r"\[\^?\]?[^]]*\]")


def repeats_too_often(expression: str) -> bool:
    """Tell whether the counts in `{n,m}`, or `\\{n,m\\}`, multiply to more than a compiler should write out.

    glibc copies the repeated text, so nested repetitions multiply. Adjacent repetitions are counted as if nested.
    """
    counts = (max(int(low), int(high or 0)) for low, high in _REPETITION.findall(expression))
    return math.prod(max(count, 1) for count in counts) > limits.regex_repetitions_max


def has_back_reference(expression: str) -> bool:
    """Tell whether an expression refers to a text that it matched before, as `\\1` does.

    Only with a back-reference may the time for a line grow without bound with its length: regex(7), BUGS.
    """
    return _BACK_REFERENCE.search(_CLASS.sub("", expression)) is not None


def regex_cpu_s(expression: str) -> int:
    """Return the processor time in seconds that the use of a caller's expression may take."""
    return limits.back_reference_cpu_max_s if has_back_reference(expression) else limits.regex_cpu_max_s
