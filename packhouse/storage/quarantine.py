"""Where new objects wait until a write is accepted: a folder of its own that nobody else reads.

It holds `objects/` in git's layout, so that git works in it with the repository's objects beneath. Its
lock is held as long as the process that made it lives; the sweeper removes folders whose lock is free.
"""

import os
import shutil
import time
from pathlib import Path
from types import TracebackType

from packhouse.storage.files import try_lock

LOCK_NAME = "lock"


class Quarantine:
    """One set of objects. Leaving the `with` block removes whatever was not published."""

    def __init__(self, root: Path) -> None:
        self.path, self._lock = _make_locked_folder(root)
        self.object_dir = self.path / "objects"
        self.pack_dir = self.object_dir / "pack"
        self.object_dir.mkdir()
        self.pack_dir.mkdir()
        self._is_repository = False

    def make_repository(self) -> Path:
        """Make the folder a repository in git's eyes, for work on a repository that has no folder yet."""
        if not self._is_repository:
            (self.path / "refs").mkdir(exist_ok=True)
            (self.path / "HEAD").write_bytes(b"ref: refs/heads/main\n")
            self._is_repository = True
        return self.path

    def discard(self) -> None:
        """Remove the folder and everything in it. Harmless when done before."""
        if self._lock >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> "Quarantine":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()


def _make_locked_folder(root: Path) -> tuple[Path, int]:
    """Return a new folder and the descriptor of its held lock.

    Between making the lock file and holding it, a sweeper may take the folder for a dead process's; then it is
    gone once we hold the lock, and another is made.
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
    """Remove the quarantines of processes that are gone; return how many."""
    removed = 0
    for folder in root.iterdir():
        try:
            descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            # Being removed, or a crash came amid that; or still empty, being made: then an hour must pass.
            if _has_entries(folder) or _age_s(folder) > 3600:
                shutil.rmtree(folder, ignore_errors=True)
                removed += 1
            continue
        try:
            if try_lock(descriptor, exclusive=True, wait=False):
                shutil.rmtree(folder, ignore_errors=True)
                removed += 1
        finally:
            os.close(descriptor)
    return removed


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
