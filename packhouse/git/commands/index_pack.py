"""git index-pack: takes a pack and checks its objects with git's fsck, as strictly as old histories allow.

Its output is the ids of the `.gitmodules` that it could not read, followed by the name of the pack.
"""

import functools
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from packhouse.errors import Code, PackhouseError
from packhouse.fault_names import ALWAYS_ALLOWED, FATAL, MAY_BE_ALLOWED, NEVER_ALLOWED, ONLY_WARNED_OF
from packhouse.git import Oid, is_oid
from packhouse.git.commands.environment import NOWHERE
from packhouse.git.commands.kill_switch import KillSwitch
from packhouse.git.commands.process import GitProcess, spawn_git
from packhouse.git.commands.pump import pump
from packhouse.git.commands.run import GitFailed, Runner, check_answer, run_git

_KNOWN_SINCE_2_38: Final = frozenset({*MAY_BE_ALLOWED, *NEVER_ALLOWED}) - {
    *("badGpgsig", "badHeaderContinuation", "largePathname"),
}
_FAULT_NAME: Final = re.compile(rb"^fsck\.([A-Za-z0-9]+)$", re.MULTILINE)
_REFUSED: Final = re.compile(r"^error: (object [0-9a-f]{40}: .{1,300})", re.MULTILINE)
_NO_ROOM: Final = re.compile(r"No space left on device|Disk quota exceeded|Read-only file system")
_TOLD_MAX_BYTES: Final = 2000
_REASON_MAX_CHARS: Final = 300
_NOT_FORCED: Final = {
    "core.fsync": "none"
}  # publishing forces a pack to the disk, and a refused pack need not get there

REFUSABLE: Final = (MAY_BE_ALLOWED | NEVER_ALLOWED) - ONLY_WARNED_OF - FATAL
"""The faults for which git refuses an object by default, and which it only reports with telling_option()."""


class PackRefused(PackhouseError):
    """Git refuses the pack. `reason` is git's message about the first object that it refuses."""

    code = Code.PACK_REFUSED
    reason: str


class NoRoomForPack(PackhouseError):
    """Git could not write the pack or its idx. `messages` are git's."""

    code = Code.NO_ROOM_FOR_PACK
    messages: str


class UnpackFailed(GitFailed):
    """An index-pack that read from a client ended as it should not."""

    @property
    def refused(self) -> str | None:
        """The first object that git has refused, and why, in its words; None when it has refused none."""
        return _find_refused(self.messages)


def start_unpacking(
    runner: Runner, *, allowed: Iterable[str], max_bytes: int, shows_progress: bool
) -> GitProcess:
    """Start taking a pack from a client. The caller feeds it to git, which completes thin packs.

    Git reports faulty objects and accepts them all the same: see telling_option(). Raises OSError when no process can
    be started.
    """
    return spawn_git(
        runner.place(),
        *("index-pack", "--stdin", "--fix-thin", telling_option(allowed), f"--max-input-size={max_bytes}"),
        *(["--show-resolving-progress"] if shows_progress else []),
        config=_NOT_FORCED,
        large_pipes=True,
    )


def unpack_failure(messages: str) -> UnpackFailed:
    """Return the failure of an index-pack that wrote these messages."""
    return UnpackFailed("index-pack", messages=messages)


def find_unread_files(output: bytes) -> list[Oid]:
    """Return the ids of `.gitmodules` that index-pack could not read: missing objects, and objects that are not blobs.

    Source: git's fetch-pack.c, which checks them elsewhere.
    """
    lines = (line.decode("ascii", "replace") for line in output.splitlines())
    return [Oid(line) for line in lines if is_oid(line)]


def index_stream(
    runner: Runner,
    pieces: Iterable[bytes],
    *,
    allowed: Iterable[str],
    max_bytes: int,
    time_left: Callable[[], float],
    switch: KillSwitch,
) -> None:
    """Take a pack that comes in pieces, and check it strictly.

    `time_left` returns the seconds that git may still work, and raises when none are left. Raises PackRefused and
    NoRoomForPack.
    """
    told = named = b""
    options = ("--stdin", strict_option(allowed), f"--max-input-size={max_bytes}")
    with spawn_git(runner.place(), "index-pack", *options, config=_NOT_FORCED, large_pipes=True) as git:
        switch.attach(git)
        for pipe, piece in pump(git, pieces, time_left):
            if pipe is git.stderr:
                told = (told + piece)[-_TOLD_MAX_BYTES:]
            else:
                named = (named + piece)[:_TOLD_MAX_BYTES]
        code = git.wait(time_left())
    if code != 0 or named.count(b"\n") != 1:  # more lines are ids of unread files
        messages = told.decode("utf-8", "replace")
        if _NO_ROOM.search(messages):
            raise NoRoomForPack(messages)
        raise PackRefused(_find_refused(messages) or "objects are refused")


def judge_pack(runner: Runner, pack: Path) -> str | None:
    """Return git's reason for refusing an object of a pack that this server has made; None when it accepts them all.

    The check includes the contents of `.gitmodules` and `.gitattributes`. For these the pack must stand in a folder in
    which git looks for packs.
    """
    judged = run_git(runner.place(), *("index-pack", STRICT_OPTION, str(pack)), ok_codes=frozenset({0, 128}))
    if judged.code == 0:
        return None
    check_answer(runner, judged, may_lack=True)
    lines = judged.text.strip().splitlines() or [""]
    # The last line gives no reason.
    return next((line for line in lines if line.startswith("error:")), lines[-1])[:_REASON_MAX_CHARS]


def make_idx(pack: Path, *, idx: Path, timeout_s: float) -> None:
    """Write the idx of a pack, and no reverse index; raise GitFailed when the pack cannot be read."""
    run_git(
        NOWHERE,
        *("index-pack", "-o", str(idx), str(pack)),
        config={"pack.writeReverseIndex": "false"},
        timeout_s=timeout_s,
    )


def strict_option(allowed: Iterable[str] = ()) -> str:
    """Return git-index-pack's option for a full fsck that treats warnings as errors, but for the faults always allowed.

    `allowed` names further faults to allow. Index-pack ends at the first object that it refuses.
    """
    return _option(_ignored(allowed))


STRICT_OPTION: Final = f"--strict={','.join(f'{name}=ignore' for name in (*ALWAYS_ALLOWED, 'nullSha1'))}"
"""The same option for objects that this server makes. A null gitlink among them was in the parent's tree already; new
null gitlinks are refused before."""


def telling_option(allowed: Iterable[str]) -> str:
    """Return the option with which index-pack makes the same checks, but reports faulty objects and goes on.

    It reports the faults in REFUSABLE, and FaultLog reads the reports. The pack must not be published as it is.
    """
    ignored = _ignored(allowed)
    told = {name: "warn" for name in sorted(REFUSABLE & known_faults()) if name not in ignored}
    return _option({**ignored, **told})


@functools.cache
def known_faults() -> frozenset[str]:
    """Return the faults that the installed git knows; git dies of an unknown one. Source: git-help(1), --config."""
    listed = run_git(NOWHERE, "help", "--config-for-completion", ok_codes=frozenset(range(256))).stdout
    names = frozenset(name.decode("ascii") for name in _FAULT_NAME.findall(listed))
    return names if "hasDotgit" in names else _KNOWN_SINCE_2_38


def _find_refused(messages: str) -> str | None:
    judged = _REFUSED.search(messages)
    return None if judged is None else judged[1]


def _ignored(allowed: Iterable[str]) -> dict[str, str]:
    names = [*ALWAYS_ALLOWED, *(name for name in allowed if name in known_faults())]
    return dict.fromkeys(dict.fromkeys(names), "ignore")


def _option(levels: dict[str, str]) -> str:
    return "--strict=" + ",".join(f"{name}={level}" for name, level in levels.items())
