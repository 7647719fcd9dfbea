"""The files that are derived from a stored pack: idx and rev. This module makes all of them.

The pack is the truth; nothing here changes or deletes one. The files beside it end with a hash of their content. They
are checked by this hash and against the pack. Source: gitformat-pack(5); git-index-pack(1).
"""

import contextlib
import hashlib
import os
import struct
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from packhouse import limits
from packhouse.errors import Code, Corrupt, PackhouseError, Unavailable
from packhouse.git import Oid
from packhouse.git.commands.index_pack import make_idx
from packhouse.git.packs import Pack, PackCountWrong, PackHashWrong, PackIdx, read_idx_facts
from packhouse.storage.store import MISSING, Mended, PackFault
from packhouse.whole_files import fsync_path

_UNOPENED: Final = "pack cannot be opened"
_HASH_BYTES: Final = 20
_PACK_HEADER: Final = struct.Struct(">4sII")
_SOUND_MAX: Final = 50_000
_TRUST_S: Final = 10.0
_FORGOTTEN_MAX: Final = 10_000
_INDEX_MAX_S: Final = 3600


Stamp = tuple[int, int, int]
"""Inode, size and time of change. They change when a file is replaced or written to."""


class PackIdxNotRebuilt(Unavailable, kw_only=True):
    """The idx of a sound pack cannot be rebuilt now, because the disk is full for example. `reason` may name files."""

    code = Code.PACK_IDX_NOT_REBUILT
    pack: str
    reason: str


class SoundFiles:
    """Files that were found sound. Each is hashed once in a process, as long as it does not change.

    A file is known by its stamp, so all its links count as one file.
    """

    def __init__(self) -> None:
        self._known: set[Stamp] = set()
        self._forgotten: dict[str, float] = {}

    def is_sound(self, path: str) -> bool:
        """Tell whether the file ends with the hash of its other bytes. Raises FileNotFoundError."""
        stamp = read_stamp(os.stat(path))
        if stamp in self._known:
            return True
        if not ends_with_its_hash(path):
            return False
        if len(self._known) >= _SOUND_MAX:
            self._known.clear()
        self._known.add(stamp)
        return True

    def forget(self, folder: str) -> None:
        """Let the files of a folder be hashed again, unless that was done a moment ago."""
        now = time.monotonic()
        if now - self._forgotten.get(folder, -_TRUST_S) < _TRUST_S:
            return
        if len(self._forgotten) >= _FORGOTTEN_MAX:
            self._forgotten.clear()
        self._forgotten[folder] = now
        stamps = set()
        with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    stamps.add(read_stamp(entry.stat()))
        self._known -= stamps


def read_stamp(status: os.stat_result) -> Stamp:
    """Return the stamp of a file."""
    return status.st_ino, status.st_size, status.st_mtime_ns


def ends_with_its_hash(path: str | Path) -> bool:
    """Tell whether the last 20 bytes are the SHA-1 of all others, as in packs and their derived files."""
    digest = hashlib.sha1(usedforsecurity=False)
    with open(path, "rb", buffering=0) as file:
        left = os.fstat(file.fileno()).st_size - _HASH_BYTES
        while left > 0 and (piece := file.read(min(left, limits.MIB))):
            digest.update(piece)
            left -= len(piece)
        return left == 0 and file.read(_HASH_BYTES + 1) == digest.digest()


def looks_unchanged(shown_dir: Path, names: Iterable[str], sound: SoundFiles) -> bool:
    """Tell whether each of the packs has a sound idx and rev in the folder. A quick check before git runs."""
    try:
        there = set(os.listdir(shown_dir))
        for name in names:
            base = f"pack-{name}"
            if f"{base}.pack" not in there or not sound.is_sound(f"{shown_dir}/{base}.idx"):
                return False
            if f"{base}.rev" in there and not sound.is_sound(f"{shown_dir}/{base}.rev"):
                return False
    except FileNotFoundError:
        return False
    return True


def mend_pack(
    pack_dir: Path, pack: Pack, sound: SoundFiles, mended: Mended, *, scratch: Callable[[], Path]
) -> bool:
    """Make the missing or damaged files beside a pack. Note them in `mended`, with the faults that remain.

    Returns whether the pack can be used. `scratch` gives a folder on the same disk for temporary files. Raises
    Unavailable and OSError if something else prevents it, such as a full disk.
    """
    try:
        fault, trailer = _look_at_pack(pack_dir, pack)
        if fault is None and not _is_idx_of(pack_dir, pack, trailer, sound):
            _rebuild_idx(pack_dir, pack, scratch)
            mended.rebuilt.append(f"pack-{pack.name}.idx")
        if fault is None and _drop_unsound_rev(pack_dir, pack, sound):
            mended.rebuilt.append(f"pack-{pack.name}.rev")
    except FileNotFoundError:
        fault = MISSING
    except (IsADirectoryError, PermissionError):
        fault = _UNOPENED
    except Corrupt as error:
        fault = error.code.value
    if fault is not None:
        mended.faults.append(PackFault(pack.name, fault))
    return fault is None


def find_file_fault(pack_dir: Path, pack: Pack) -> str | None:
    """Check a pack's size and header. Return their fault, or None."""
    try:
        return _look_at_pack(pack_dir, pack)[0]
    except FileNotFoundError:
        return MISSING
    except (IsADirectoryError, PermissionError):
        return _UNOPENED


def find_content_fault(pack_dir: Path, pack: Pack) -> str | None:
    """Read the whole pack. Return its fault; None if it is as it was written."""
    try:
        fault, _trailer = _look_at_pack(pack_dir, pack)
        if fault is None and not ends_with_its_hash(pack_dir / f"pack-{pack.name}.pack"):
            fault = "pack has another hash than it was written with"
    except FileNotFoundError:
        fault = MISSING
    except (IsADirectoryError, PermissionError):
        fault = _UNOPENED
    return fault


def has_object(pack_dir: Path, name: str, oid: Oid) -> bool:
    """Tell whether the idx of a pack has the object. An unreadable idx has none."""
    with contextlib.suppress(FileNotFoundError, Corrupt), PackIdx(pack_dir / f"pack-{name}.idx") as idx:
        return oid in idx
    return False


def _look_at_pack(pack_dir: Path, pack: Pack) -> tuple[str | None, bytes]:
    """Return the fault of size and header, or None, and the trailer. Raises FileNotFoundError without the file."""
    with open(f"{pack_dir}/pack-{pack.name}.pack", "rb", buffering=0) as file:
        header = file.read(_PACK_HEADER.size)
        size_bytes = os.fstat(file.fileno()).st_size
        trailer = os.pread(file.fileno(), _HASH_BYTES, max(size_bytes - _HASH_BYTES, 0))
    if size_bytes != pack.size_bytes:
        return "pack has another size than listed", trailer
    magic, _version, objects = _PACK_HEADER.unpack(header)
    if magic != b"PACK" or objects != pack.objects:
        return "pack has another header than it was written with", trailer
    return None, trailer


def _rebuild_idx(pack_dir: Path, pack: Pack, scratch: Callable[[], Path]) -> None:
    """Make the idx anew.

    Raises Corrupt if the pack cannot be indexed, or has another number of objects than SQL lists. Raises Unavailable if
    the pack is sound and something else prevents it, such as a full disk.
    """
    idx = pack_dir / f"pack-{pack.name}.idx"
    rebuilt = scratch() / f"rebuilt-{pack.name}-{os.urandom(4).hex()}.idx"
    try:
        _index_pack(idx.with_suffix(".pack"), rebuilt)
        with PackIdx(rebuilt) as made:
            if len(made) != pack.objects:
                raise PackCountWrong()
        # After a power cut only this idx may make the pack readable, so it must survive the next one.
        fsync_path(rebuilt)
        rebuilt.rename(idx)
    finally:
        rebuilt.unlink(missing_ok=True)
    # A reverse index names positions in the idx. The old one may belong to an idx that was never right.
    idx.with_suffix(".rev").unlink(missing_ok=True)


def _index_pack(pack: Path, idx: Path) -> None:
    try:
        make_idx(pack, idx=idx, timeout_s=_INDEX_MAX_S)
    except PackhouseError as error:
        if ends_with_its_hash(pack):
            raise PackIdxNotRebuilt(pack=pack.name, reason=str(error)) from error
        raise PackHashWrong(pack.name) from error


def _is_idx_of(pack_dir: Path, pack: Pack, trailer: bytes, sound: SoundFiles) -> bool:
    """Tell whether the idx is sound and belongs to the pack."""
    path = f"{pack_dir}/pack-{pack.name}.idx"
    try:
        return sound.is_sound(path) and read_idx_facts(path) == (pack.objects, trailer)
    except (FileNotFoundError, Corrupt):
        return False


def _drop_unsound_rev(pack_dir: Path, pack: Pack, sound: SoundFiles) -> bool:
    """Remove a damaged reverse index; git then makes it in memory. Return whether there was one."""
    rev = f"{pack_dir}/pack-{pack.name}.rev"
    try:
        if sound.is_sound(rev):
            return False
    except FileNotFoundError:
        return False
    Path(rev).unlink(missing_ok=True)
    return True
