"""Rebuildable files under DATA/cache: bounded in bytes, written completely or not at all, deletable at any time."""

import contextlib
import hashlib
import os
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from packhouse.storage.files import lock_file
from packhouse.whole_files import replace_file

_DIGEST_BYTES: Final = 20
_LOCKS: Final = 1024
_LOCK_WAIT_MAX_S: Final = 20.0
_SCANS_PER_FILL: Final = 16
_KEEP_SHARE: Final = 0.8  # of the bound; the part that remains after files were dropped


class FileCache:
    """Small files by (folder, name). Several processes may share a cache. A damaged file counts as absent."""

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._guard = threading.Lock()
        self._unscanned_bytes = max_bytes  # the first write measures the cache

    def has(self, folder: str, name: str) -> bool:
        """Tell whether there is such a file, also a damaged one."""
        return (self._folder / folder / name).exists()

    def read(self, folder: str, name: str) -> bytes | None:
        """Return the content; None if it is absent or not as it was written."""
        path = self._folder / folder / name
        try:
            stored = path.read_bytes()
        except OSError:
            return None
        with contextlib.suppress(OSError):  # a read-only disk drops no files anyway
            os.utime(path)  # the least recently used files are dropped first
        digest, content = stored[:_DIGEST_BYTES], stored[_DIGEST_BYTES:]
        return content if _digest(content) == digest else None

    def write(self, folder: str, name: str, content: bytes) -> None:
        """Keep a file. On a full or unwritable disk nothing is kept, and the next reader finds nothing."""
        path = self._folder / folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, _digest(content) + content)
        except OSError:
            return
        with self._guard:
            self._unscanned_bytes += len(content)
            due = self._unscanned_bytes >= self._max_bytes // _SCANS_PER_FILL
            if due:
                self._unscanned_bytes = 0
        if due:
            self._shrink()

    @contextlib.contextmanager
    def lock(self, folder: str, name: str) -> Iterator[None]:
        """Keep other processes from making the same file meanwhile.

        After too long a wait, the caller goes on without the lock. Several files share a lock. If two processes make
        the same file, only work is lost.
        """
        number = zlib.crc32(f"{folder}/{name}".encode()) % _LOCKS
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / f".lock-{number:03x}"
            stack = contextlib.ExitStack()
            stack.enter_context(lock_file(path, exclusive=True, wait=False, poll_max_s=_LOCK_WAIT_MAX_S))
        except OSError:  # the folder was deleted just now
            stack = contextlib.ExitStack()
        with stack:
            yield

    def _shrink(self) -> None:
        """Drop the least recently used files, and leftovers of crashes, until the bound holds."""
        files = []
        for folder in _entries(self._folder):
            if folder.is_dir(follow_symlinks=False):
                files += [entry for entry in _entries(Path(folder.path)) if entry.is_file()]
        aged = []
        for entry in files:
            with contextlib.suppress(FileNotFoundError):
                status = entry.stat()
                aged.append((status.st_mtime_ns, status.st_size, entry.path))
        total = sum(size for _, size, _ in aged)
        if total <= self._max_bytes:
            return
        for _, size, path in sorted(aged):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            total -= size
            if total <= self._max_bytes * _KEEP_SHARE:
                return


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except FileNotFoundError:
        return []


def _digest(content: bytes) -> bytes:
    return hashlib.sha1(content, usedforsecurity=False).digest()
