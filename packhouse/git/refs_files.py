"""`HEAD` and `packed-refs` of a repository folder, written from SQL for git processes to read.

The first line of packed-refs has the version and state of the refs in it. Git ignores unknown words there
(refs/packed-backend.c, "perhaps other traits later as well"). The line also has the boot id of the machine. The files
are not synced to the disk, which would cost a fetch milliseconds. So after a power cut they are not trusted and are
written anew. Source of the format: git-pack-refs(1), gitrepository-layout(5).
"""

import fcntl
import functools
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packhouse.git.oid import Oid
from packhouse.git.refname import EPHEMERAL, RefName

NAMESPACES_PREFIX: Final = b"refs/namespaces/"
EPHEMERAL_PREFIX: Final = NAMESPACES_PREFIX + EPHEMERAL.encode("ascii") + b"/"

_HEADER: Final = b"# pack-refs with: peeled fully-peeled sorted boot=%b refs-version=%d refs-state=%d \n"
_STAMP: Final = re.compile(rb"# pack-refs with: .* boot=(\S+) refs-version=(\d+) refs-state=(\d+) \n")
_STAMP_LINE_MAX_BYTES: Final = 220
_BOOT_ID_PATH: Final = Path("/proc/sys/kernel/random/boot_id")
_LOCK_NAME: Final = "refs.lock"

StoredRef = tuple[str, RefName, Oid, Oid | None]
"""Namespace, name inside it, value, and the peeled value of an annotated tag (None for other refs)."""


@dataclass(frozen=True, slots=True)
class RefsState:
    """The refs of a repository at one version, and the random state written with it. `refs` may be left out."""

    version: int
    state: int
    head_target: RefName
    refs: Sequence[StoredRef] = ()


def stored_name(namespace: str, refname: RefName) -> bytes:
    """Return the name of the ref in the repository folder (gitnamespaces(7))."""
    return EPHEMERAL_PREFIX + refname if namespace == EPHEMERAL else refname


def are_current(git_dir: Path, state: RefsState) -> bool:
    """Tell whether the files show the refs of that state, and its HEAD."""
    try:
        with (git_dir / "packed-refs").open("rb") as file:
            stamp = _STAMP.fullmatch(file.readline(_STAMP_LINE_MAX_BYTES))
        return (
            stamp is not None
            and stamp[1] == _boot_id()
            and (int(stamp[2]), int(stamp[3])) == (state.version, state.state)
            and (git_dir / "HEAD").read_bytes() == _head(state.head_target)
        )
    except FileNotFoundError:
        return False


def write_ref_files(git_dir: Path, read: Callable[[], RefsState]) -> None:
    """Write both files, each in one step. Calls `read` for their content once no other process writes them.

    So the files never become older: another process has written what it had read before.
    """
    descriptor = os.open(git_dir / _LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        now = read()
        if are_current(git_dir, now):
            return
        lines = sorted(_line(ref) for ref in now.refs)
        content = _HEADER % (_boot_id(), now.version, now.state) + b"".join(line for _, line in lines)
        _replace(git_dir / "HEAD", _head(now.head_target))
        _replace(git_dir / "packed-refs", content)
    finally:
        os.close(descriptor)


def _head(target: RefName) -> bytes:
    return b"ref: " + target + b"\n"


def _line(ref: StoredRef) -> tuple[bytes, bytes]:
    namespace, refname, oid, peeled_oid = ref
    name = stored_name(namespace, refname)
    line = oid.encode("ascii") + b" " + name + b"\n"
    if peeled_oid is not None:
        line += b"^" + peeled_oid.encode("ascii") + b"\n"
    return name, line


@functools.cache
def _boot_id() -> bytes:
    """Return an id that changes with each start of the machine (random(4)); with the process if there is none."""
    try:
        return _BOOT_ID_PATH.read_bytes().strip()
    except OSError:
        return b"process-%d" % os.getpid()


def _replace(path: Path, content: bytes) -> None:
    """Put the file in place in one step. The caller holds the lock."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.write_bytes(content)
        temporary.rename(path)
    except OSError:
        temporary.unlink(missing_ok=True)  # free what the file took of a full disk
        raise
