"""The lock that whoever reads a repository's packs holds, and how to know which packs nobody can have open.

Readers hold flock(2) shared on `packhouse.lock`; git children inherit it. Nobody takes it exclusively for
long: a clone may last for hours, and short readers may follow each other without a gap. Instead a lock file
that is held is set aside, under another name and with a list of the packs that its readers may have open, and
readers that come later use a new one. The new one lists the packs that were replaced before any of its readers
began: those they do not need.
"""

import fcntl
import os
import stat
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from packhouse.storage.files import UNWRITABLE, try_lock

LOCK_NAME: Final = "packhouse.lock"
_ASIDE_PREFIX: Final = LOCK_NAME + "."
_LIST_END: Final = "end"
_POLL_S: Final = 0.005


def open_reading_lock(repo_path: Path) -> int:
    """Return the descriptor of the lock file, held shared."""
    while True:
        descriptor = _open_lock(repo_path)
        if hold_again(repo_path, descriptor):
            return descriptor
        os.close(descriptor)


def _open_lock(repo_path: Path) -> int:
    """Open the lock file; the folder itself where the disk takes no new file, which pins every pack."""
    try:
        return os.open(f"{repo_path}/{LOCK_NAME}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
    try:
        return os.open(f"{repo_path}/{LOCK_NAME}", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return os.open(repo_path, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)


def hold_again(repo_path: Path, descriptor: int) -> bool:
    """Take the lock on an open file shared; False when it was set aside meanwhile: open the new one then."""
    try_lock(descriptor, exclusive=False, wait=True)
    held = os.fstat(descriptor)
    if stat.S_ISDIR(held.st_mode):
        return True
    try:
        current = os.stat(f"{repo_path}/{LOCK_NAME}")
    except FileNotFoundError:
        current = None
    if current is not None and os.path.samestat(current, held):
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def find_pinned(repo_path: Path, pack_names: Iterable[str], *, wait_max_s: float) -> set[str]:
    """Return those of `pack_names` that a reader may still have open.

    They were replaced before this call and no multi-pack-index names them, so readers that begin now find
    every object elsewhere. Readers at work are given `wait_max_s` seconds to end. Only one process at a time
    may call this for a repository: the one that holds its maintenance lock.
    """
    names = set(pack_names)
    if not _is_free(repo_path):
        return names
    lock = repo_path / LOCK_NAME
    if not names <= (_read_list(lock) or set()) and not _is_free(lock):
        _set_aside(repo_path, names)
    deadline = time.monotonic() + wait_max_s
    while (pinned := _pinned_by_old_readers(repo_path, names)) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    if unneeded := _read_list(lock):
        # A pack that goes now may come again, when the same objects are written once more; then it counts anew.
        _write_list(lock, unneeded - (names - pinned))
    return pinned


def _is_free(path: Path) -> bool:
    """Tell whether nobody holds the lock at this moment."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        return try_lock(descriptor, exclusive=True, wait=False)
    finally:
        os.close(descriptor)


def _set_aside(repo_path: Path, replaced: set[str]) -> None:
    lock = repo_path / LOCK_NAME
    unneeded = _read_list(lock) or set()
    aside = repo_path / f"{_ASIDE_PREFIX}{time.time_ns()}"
    lock.rename(aside)
    # Listed after the rename: a reader that was in time to hold the old file saw no pack that came later.
    packs = {path.stem.removeprefix("pack-") for path in (repo_path / "objects" / "pack").glob("pack-*.pack")}
    _write_list(aside, packs - unneeded)
    _write_list(lock, replaced)


def _pinned_by_old_readers(repo_path: Path, names: set[str]) -> set[str]:
    """Return those of `names` that files set aside list, and remove the files that nobody holds any more."""
    pinned: set[str] = set()
    for aside in repo_path.glob(f"{_ASIDE_PREFIX}*"):
        if _is_free(aside):
            aside.unlink()
            continue
        listed = _read_list(aside)
        pinned |= names if listed is None else names & listed
    return pinned


def _write_list(path: Path, names: set[str]) -> None:
    """Write into the file itself, which readers hold. Not to the disk: no reader survives a power cut."""
    path.write_text("".join(f"{name}\n" for name in (*sorted(names), _LIST_END)))


def _read_list(path: Path) -> set[str] | None:
    """Return the names in the file; None when it has no whole list: it is new, or a crash came between."""
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        return None
    return set(lines[:-1]) if lines and lines[-1] == _LIST_END else None
