"""Damage as disks make it: files that are gone, cut short, or have one flipped bit."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.support.clients.repo import Repo

Fault = Callable[[Path], None]
"""Damages a repository, given the path of one of its packs."""


def find_pack(repo: Repo, oid: str) -> Path:
    """Return the pack with the object, as git reads each idx."""
    for idx in sorted(repo.folder().glob("objects/pack/pack-*.idx")):
        with idx.open("rb") as file:
            shown = subprocess.run(["git", "show-index"], stdin=file, capture_output=True, check=True)
        if oid.encode() in shown.stdout:
            return idx.with_suffix(".pack")
    raise AssertionError(f"no pack holds {oid}")


def remove(path: Path) -> None:
    """Lose the file."""
    path.unlink()


def cut(path: Path, left: int) -> None:
    """Keep only the first `left` bytes. A negative number is the count of lost bytes."""
    os.chmod(path, 0o644)
    os.truncate(path, left if left >= 0 else path.stat().st_size + left)


def flip(path: Path, at: int) -> None:
    """Change one bit of the byte at `at`. A negative `at` counts from the end."""
    os.chmod(path, 0o644)
    content = bytearray(path.read_bytes())
    content[at] ^= 0x10
    path.write_bytes(content)


def flip_content(pack: Path) -> None:
    """Change a bit inside the first object, behind the pack's header and the object's header."""
    flip(pack, 12 + 30)


def lose_pack_and_idx(pack: Path) -> None:
    """Lose both files."""
    remove(pack)
    remove(pack.with_suffix(".idx"))


def lose_folder(pack: Path) -> None:
    """Lose everything that the repository has on the disk."""
    shutil.rmtree(pack.parent.parent.parent)
