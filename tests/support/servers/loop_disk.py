"""A disk that a test can remove: an ext4 file system in a file, mounted by the loop device."""

import contextlib
import fcntl
import os
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.servers.programs import need_programs
from tests.support.skips import NOT_PERMITTED

_SIZE_BYTES: Final = 128 * 1024 * 1024
# include/uapi/linux/ext4.h, EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH: every later access fails with EIO.
_SHUTDOWN: Final = 0x8004587D
_NO_LOG_FLUSH: Final = struct.pack("I", 2)
_GET_FREE: Final = 0x4C82  # include/uapi/linux/loop.h, LOOP_CTL_GET_FREE


class LoopDisk:
    """The disk is mounted at `path`."""

    def __init__(self, folder: Path) -> None:
        self._image = folder / "disk.img"
        self.path = folder / "disk"

    def format(self) -> None:
        """Make an empty file system and mount it. Skip the test if that is not permitted."""
        if os.geteuid() != 0:
            pytest.skip(NOT_PERMITTED + "mounting a disk needs root")
        if not _kernel_gives_a_loop_device():
            pytest.skip(NOT_PERMITTED + "the kernel gives no loop devices")
        need_programs("mkfs.ext4", "mount")
        self.path.mkdir()
        with self._image.open("wb") as image:
            image.truncate(_SIZE_BYTES)
        subprocess.run(["mkfs.ext4", "-q", self._image], check=True)
        try:
            self.plug_in()
        except subprocess.CalledProcessError as error:
            if b"permi" not in error.stderr:  # permitted, permission denied
                raise
            pytest.skip(NOT_PERMITTED + "mounting a loop device, also for root")

    def plug_in(self) -> None:
        """Mount the disk."""
        subprocess.run(
            ["mount", "-o", "loop,commit=300", self._image, self.path], check=True, capture_output=True
        )

    def vanish(self) -> None:
        """Let every later access fail, as if the cable was pulled. Data that was not synced is lost."""
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, _NO_LOG_FLUSH)
        finally:
            os.close(descriptor)

    def pull_out(self) -> None:
        """Unmount the disk. This fails while a file on it is open."""
        subprocess.run(["umount", self.path], check=True, capture_output=True)


def _kernel_gives_a_loop_device() -> bool:
    """Ask the kernel for a free device, like mount(8): loop(4), "/dev/loop-control".

    Root gets none if the kernel has no loop driver, or in a container without its devices.
    """
    try:
        control = os.open("/dev/loop-control", os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.ioctl(control, _GET_FREE)
    except OSError:
        return False
    finally:
        os.close(control)
    return True


@contextlib.contextmanager
def loop_disk(folder: Path) -> Iterator[LoopDisk]:
    """Give a mounted disk for the duration of a test."""
    disk = LoopDisk(folder)
    disk.format()
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", disk.path], check=False, capture_output=True)
