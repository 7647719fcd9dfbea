"""Files that are written completely or not at all."""

import contextlib
import os
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Put a file in place in one step. Readers see the old content or the new one. A power cut may lose both.

    Raises OSError, and then the disk is as it was: no temporary file takes room on a full disk.
    """
    temporary = _temporary_beside(path)
    try:
        temporary.write_bytes(content)
        temporary.rename(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def write_private_file(path: Path, content: bytes) -> Path:
    """Write a file beside `path` that only its owner may read, and sync it to the disk. Return its path.

    The caller renames it to `path`, or links it there. Raises OSError, and then no file is left.
    """
    temporary = _temporary_beside(path)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        temporary.unlink()
        raise
    return temporary


def fsync_path(path: Path) -> None:
    """Sync a file's bytes, or a folder's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _temporary_beside(path: Path) -> Path:
    """Return a name that no other thread or process uses, in the same folder, so that a rename is one step."""
    return path.with_name(f".{path.name}.{os.urandom(6).hex()}")
