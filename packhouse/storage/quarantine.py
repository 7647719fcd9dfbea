"""A folder in which the objects of a write wait until the write is accepted. Nobody else reads it.

It has `objects/` in git's layout, so that git works in it, over the repository's objects. Its lock is held while the
process that made it lives. The sweeper removes folders whose lock is free.
"""

import os
import shutil
import time
from pathlib import Path

from packhouse.endings import Discarding
from packhouse.storage.files import try_lock

LOCK_NAME = "lock"


class Quarantine(Discarding):
    """One set of objects. The end of the `with` block removes objects that were not published."""

    def __init__(self, root: Path) -> None:
        self.path, self._lock = _make_locked_folder(root)
        self.object_dir = self.path / "objects"
        self.pack_dir = self.object_dir / "pack"
        self.object_dir.mkdir()
        self.pack_dir.mkdir()
        self._is_repository = False

    @property
    def descriptor(self) -> int:
        """The descriptor of the folder's lock. A git child that inherits it keeps the folder from the sweeper."""
        return self._lock

    def make_repository(self) -> Path:
        """Make the folder a repository for git, for work on a repository that has no folder yet."""
        if not self._is_repository:
            (self.path / "refs").mkdir(exist_ok=True)
            (self.path / "HEAD").write_bytes(b"ref: refs/heads/main\n")
            self._is_repository = True
        return self.path

    def discard(self) -> None:
        """Remove the folder and everything in it. A second call is harmless."""
        if self._lock >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1

    def let_go(self) -> None:
        """Remove the folder unless a git child still holds its lock. Then the sweeper removes it later."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
            _remove_if_free(self.path)


def _make_locked_folder(root: Path) -> tuple[Path, int]:
    """Return a new folder and the descriptor of its held lock.

    Before we hold the lock, a sweeper may take the folder for one of a dead process and remove it. We notice that once
    we hold the lock, and make another folder.
    """
    while True:
        path = root / os.urandom(12).hex()
        path.mkdir()
        try:
            lock = os.open(path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue
        try_lock(lock, exclusive=True, wait=True)
        if (path / LOCK_NAME).exists():
            return path, lock
        os.close(lock)


def sweep_quarantines(root: Path) -> int:
    """Remove the quarantines of dead processes. Return their number."""
    removed = 0
    for folder in root.iterdir():
        removed += _remove_if_free(folder)
    return removed


def _remove_if_free(folder: Path) -> bool:
    """Remove a quarantine whose lock is free. Return whether it was removed."""
    try:
        descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        # The folder is being removed (perhaps by a crashed process), or is new and still empty. Then wait an hour.
        is_left_over = _has_entries(folder) or _age_s(folder) > 3600
        if is_left_over:
            shutil.rmtree(folder, ignore_errors=True)
        return is_left_over
    try:
        is_free = try_lock(descriptor, exclusive=True, wait=False)
        if is_free:
            shutil.rmtree(folder, ignore_errors=True)
        return is_free
    finally:
        os.close(descriptor)


def _has_entries(folder: Path) -> bool:
    try:
        return any(folder.iterdir())
    except FileNotFoundError:
        return False


def _age_s(path: Path) -> float:
    try:
        changed = path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
    return time.time() - changed
