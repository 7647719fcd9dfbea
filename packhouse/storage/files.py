"""Durable file work: a file that was written is on the disk, and so is its name."""

import contextlib
import errno
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from packhouse.whole_files import fsync_path

UNWRITABLE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM})
"""Errors of open(2) and other calls on a disk that takes no writes now. A read must not fail for them."""

# Errors of link(2) when a file has all the links it can have, or the file system makes none.
NO_LINK: Final = frozenset({errno.EMLINK, errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS})

_POLL_S: Final = 0.002


def make_folders(path: Path, *, stop: Path) -> None:
    """Make `path` and its missing parents below `stop`. Each entry is synced to the disk."""
    missing = []
    while path != stop and not path.is_dir():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        with contextlib.suppress(FileExistsError):  # another process may make it at the same moment
            folder.mkdir()
        fsync_path(folder.parent)


def link_or_copy(source: str | Path, target: str | Path) -> None:
    """Put a file at `target` too: by a hard link if the file system makes one, else by a copy.

    Raises FileNotFoundError without the source, and FileExistsError if the target exists.
    """
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in NO_LINK:
            raise
        name = os.path.basename(target)
        temporary = Path(target).with_name(f".{name}.{os.urandom(4).hex()}")
        try:
            shutil.copyfile(source, temporary)
            temporary.chmod(0o444)
            if os.path.exists(target):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
            temporary.rename(target)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def lock_file(
    path: Path, *, exclusive: bool, wait: bool = True, poll_max_s: float = 0.0
) -> Iterator[int | None]:
    """Hold flock(2) on `path` and give its descriptor; None if `wait` is off and another process holds it.

    An exclusive lock may wait for ever while shared ones come and go. So a caller may instead ask again and again for
    `poll_max_s` seconds.

    The lock belongs to the open file, so a child that inherits the descriptor keeps it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        deadline = time.monotonic() + poll_max_s
        held = try_lock(descriptor, exclusive=exclusive, wait=wait)
        while not held and time.monotonic() < deadline:
            time.sleep(_POLL_S)
            held = try_lock(descriptor, exclusive=exclusive, wait=wait)
        if held:
            yield descriptor
        else:
            yield None
    finally:
        os.close(descriptor)


def try_lock(descriptor: int, *, exclusive: bool, wait: bool) -> bool:
    """Take flock(2) on an open file. Return False if `wait` is off and another process holds it."""
    operation = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
    try:
        fcntl.flock(descriptor, operation if wait else operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
