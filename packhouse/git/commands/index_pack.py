"""How incoming objects are judged: git's own fsck, as strict as old histories allow."""

import functools
import re
from collections.abc import Iterable
from typing import Final

from packhouse.fault_names import ALWAYS_ALLOWED, FATAL, MAY_BE_ALLOWED, NEVER_ALLOWED, ONLY_WARNED_OF
from packhouse.git.commands.environment import NOWHERE
from packhouse.git.commands.run import run_git

_KNOWN_SINCE_2_38: Final = frozenset({*MAY_BE_ALLOWED, *NEVER_ALLOWED}) - {
    *("badGpgsig", "badHeaderContinuation", "largePathname"),
}
_FAULT_NAME: Final = re.compile(rb"^fsck\.([A-Za-z0-9]+)$", re.MULTILINE)
_REFUSED: Final = re.compile(r"^error: (object [0-9a-f]{40}: .{1,300})", re.MULTILINE)

REFUSABLE: Final = (MAY_BE_ALLOWED | NEVER_ALLOWED) - ONLY_WARNED_OF - FATAL
"""The faults for which git refuses an object, and can be asked to tell of it and go on instead."""


def strict_option(allowed: Iterable[str] = ()) -> str:
    """Return an option of git-index-pack(1): fsck in full, its warnings made errors, less what is always allowed.

    `allowed` are names of further faults. At the first object that is refused index-pack ends.
    """
    return _option(_ignored(allowed))


STRICT_OPTION: Final = f"--strict={','.join(f'{name}=ignore' for name in (*ALWAYS_ALLOWED, 'nullSha1'))}"
"""The same for objects that this server makes. A null gitlink in them is one that was in place; new ones are
refused before."""


def telling_option(allowed: Iterable[str]) -> str:
    """Return the option with which index-pack judges the same, but tells of faulty objects and goes on.

    The names are those in REFUSABLE; FaultLog reads what is told. Such a pack must not be published as it is.
    """
    ignored = _ignored(allowed)
    told = {name: "warn" for name in sorted(REFUSABLE & known_faults()) if name not in ignored}
    return _option({**ignored, **told})


@functools.cache
def known_faults() -> frozenset[str]:
    """Return the names that the installed git knows; of any other it dies. Source: git-help(1), --config."""
    listed = run_git(NOWHERE, "help", "--config-for-completion", ok_codes=frozenset(range(256))).stdout
    names = frozenset(name.decode("ascii") for name in _FAULT_NAME.findall(listed))
    return names if "hasDotgit" in names else _KNOWN_SINCE_2_38


def find_refused(messages: str) -> str | None:
    """Return the first object that git has refused, and why, in its words; None when it has refused none."""
    judged = _REFUSED.search(messages)
    return None if judged is None else judged[1]


def _ignored(allowed: Iterable[str]) -> dict[str, str]:
    names = [*ALWAYS_ALLOWED, *(name for name in allowed if name in known_faults())]
    return dict.fromkeys(dict.fromkeys(names), "ignore")


def _option(levels: dict[str, str]) -> str:
    return "--strict=" + ",".join(f"{name}={level}" for name, level in levels.items())
