"""What can be made again from the packs of a repository: idx, rev and multi-pack-index. All of it is made here.

A pack is the truth, and nothing here changes or deletes one. What stands beside it is checked by the hash that each
of these files ends with, and by what the pack itself says. Source: gitformat-pack(5); git-index-pack(1).
"""

import contextlib
import hashlib
import itertools
import os
import struct
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from packhouse import limits
from packhouse.errors import Corrupt, PackhouseError, Unavailable
from packhouse.git.oid import Oid
from packhouse.git.pack_idx import PackIdx
from packhouse.git.process import run_git
from packhouse.storage.files import fsync_path
from packhouse.storage.pack_file import PackFile

T = TypeVar("T")

MIDX_NAME: Final = "multi-pack-index"
MISSING: Final = "listed pack is missing"
FOLDER_MISSING: Final = "folder of the repository is missing"
_UNOPENED: Final = "pack cannot be opened"
_HASH_BYTES: Final = 20
_PACK_HEADER: Final = struct.Struct(">4sII")
_SOUND_MAX: Final = 50_000
_TRUST_S: Final = 10.0
_FORGOTTEN_MAX: Final = 10_000
_INDEX_MAX_S: Final = 3600


@dataclass(frozen=True, slots=True)
class PackFault:
    """A listed pack that cannot be used as it should, and why, in constant words; "" stands for all of them."""

    pack: str
    reason: str


@dataclass(slots=True)
class Mended:
    """`rebuilt` names the files that were made anew or removed, `faults` the packs that stay unusable."""

    rebuilt: list[str] = field(default_factory=list)
    faults: list[PackFault] = field(default_factory=list)


Stamp = tuple[int, int, int]
"""What changes when a file is replaced or written to: inode, size, time of change."""


class SoundFiles:
    """Files found sound before, so that each is hashed once a process for as long as it stays as it is."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._known: OrderedDict[str, Stamp] = OrderedDict()
        self._fitting: OrderedDict[str, tuple[Stamp, Stamp]] = OrderedDict()
        self._forgotten: dict[str, float] = {}

    def is_sound(self, path: str, stamp: Stamp | None = None) -> bool:
        """Tell whether the file ends with the hash of what stands before. Raises FileNotFoundError."""
        stamp = stamp or read_stamp(os.stat(path))
        # Without the guard, which parts writers: a look is one step of the interpreter.
        if self._known.get(path) == stamp:
            return True
        if not ends_with_its_hash(path):
            return False
        self._keep(self._known, path, stamp)
        return True

    def forget(self, folder: str) -> None:
        """Let the files of a folder be hashed again, unless that was done a moment ago: hashing costs their size."""
        now = time.monotonic()
        with self._guard:
            if now - self._forgotten.get(folder, -_TRUST_S) < _TRUST_S:
                return
            if len(self._forgotten) >= _FORGOTTEN_MAX:
                self._forgotten.clear()
            self._forgotten[folder] = now
            for known in (self._known, self._fitting):
                for path in [path for path in known if path.startswith(folder)]:
                    del known[path]

    def is_known_to_fit(self, base: str) -> bool:
        """Tell whether pack and idx were found to belong together as they are. Raises FileNotFoundError."""
        known = self._fitting.get(base)
        return known is not None and known == self._stamps(base)

    def keep_fitting(self, base: str) -> None:
        """Remember that pack and idx belong together."""
        self._keep(self._fitting, base, self._stamps(base))

    @staticmethod
    def _stamps(base: str) -> tuple[Stamp, Stamp]:
        return read_stamp(os.stat(f"{base}.pack")), read_stamp(os.stat(f"{base}.idx"))

    def _keep(self, known: OrderedDict[str, T], path: str, value: T) -> None:
        with self._guard:
            known[path] = value
            known.move_to_end(path)
            if len(known) > _SOUND_MAX:
                known.popitem(last=False)


def read_stamp(status: os.stat_result) -> Stamp:
    """Return the stamp of a file."""
    return status.st_ino, status.st_size, status.st_mtime_ns


def ends_with_its_hash(path: str | Path) -> bool:
    """Tell whether the last 20 bytes are the SHA-1 of all others, as in packs and what belongs to them."""
    digest = hashlib.sha1(usedforsecurity=False)
    with open(path, "rb", buffering=0) as file:
        left = os.fstat(file.fileno()).st_size - _HASH_BYTES
        while left > 0 and (piece := file.read(min(left, limits.MIB))):
            digest.update(piece)
            left -= len(piece)
        return left == 0 and file.read(_HASH_BYTES + 1) == digest.digest()


def looks_whole(pack_dir: Path, sound: SoundFiles) -> bool:
    """Tell whether every pack in the folder has a sound idx and every idx a pack: one look before git runs.

    A pack that is missing together with its idx does not show.
    """
    packs, idxs = 0, 0
    stems = set()
    try:
        with os.scandir(pack_dir) as entries:
            for entry in entries:
                stem, dot, suffix = entry.name.rpartition(".")
                if suffix == "pack":
                    packs += 1
                    stems.add(stem)
                elif suffix == "idx":
                    idxs += 1
                    stems.add(stem)
                if suffix not in ("idx", "rev") and (dot or entry.name != MIDX_NAME):
                    continue
                with contextlib.suppress(FileNotFoundError):  # unlinked by maintenance since it was listed
                    if not sound.is_sound(entry.path, read_stamp(entry.stat())):
                        return False
    except FileNotFoundError:
        return True
    return packs == idxs == len(stems)


def looks_complete(pack_dir: Path) -> bool:
    """Tell whether every pack in the folder has an idx that can be opened and names it, without reading either whole.

    For a look at many repositories at once: what a deeper look would find is found before the first use.
    """
    for name in _list_names(pack_dir):
        if not name.endswith(".pack"):
            continue
        base = f"{pack_dir}/{name.removesuffix('.pack')}"
        try:
            with PackIdx(Path(f"{base}.idx")) as idx:
                if bytes.fromhex(idx.pack_name) != _read_trailer(f"{base}.pack"):
                    return False
        except (OSError, Corrupt):
            return False
    return True


def mend_derived_files(
    pack_dir: Path,
    listed: Sequence[PackFile],
    sound: SoundFiles,
    mended: Mended,
    *,
    scratch: Callable[[], Path],
    may_drop_midx: bool,
) -> None:
    """Make what is missing or damaged beside the `listed` packs; note in `mended` what was done and what stays.

    `scratch` gives a folder on the same disk for files in the making. `may_drop_midx`: the caller holds the
    maintenance lock, so that nobody writes a multi-pack-index meanwhile. Raises Unavailable and OSError when a full
    disk or the like prevents it.
    """
    for pack in listed:
        try:
            fault = _find_pack_fault(pack_dir, pack)
            if fault is None and not _is_idx_of(pack_dir, pack, sound):
                _rebuild_idx(pack_dir, pack, scratch)
                mended.rebuilt.append(f"pack-{pack.name}.idx")
            if fault is None and _drop_unsound_rev(pack_dir, pack, sound):
                mended.rebuilt.append(f"pack-{pack.name}.rev")
        except FileNotFoundError:
            fault = MISSING
        except (IsADirectoryError, PermissionError):
            fault = _UNOPENED
        except Corrupt as error:
            fault = error.message
        if fault is not None:
            mended.faults.append(PackFault(pack.name, fault))
    if may_drop_midx and _drop_unsound_midx(pack_dir, sound):
        mended.rebuilt.append(MIDX_NAME)
    if mended.rebuilt:
        fsync_path(pack_dir)


def find_content_fault(pack_dir: Path, pack: PackFile) -> str | None:
    """Read the whole pack; return what is wrong with it, None when it is what was written."""
    try:
        fault = _find_pack_fault(pack_dir, pack)
        if fault is None and not ends_with_its_hash(pack_dir / f"pack-{pack.name}.pack"):
            fault = "pack has another hash than it was written with"
    except FileNotFoundError:
        fault = MISSING
    except (IsADirectoryError, PermissionError):
        fault = _UNOPENED
    return fault


def find_holders(pack_dir: Path, oid: Oid) -> list[str]:
    """Return the names of the packs whose idx has the object; what cannot be read is left out."""
    holders = []
    for name in sorted(_list_names(pack_dir)):
        if name.startswith("pack-") and name.endswith(".idx"):
            with contextlib.suppress(FileNotFoundError, Corrupt), PackIdx(pack_dir / name) as idx:
                if oid in idx:
                    holders.append(name.removeprefix("pack-").removesuffix(".idx"))
    return holders


def _list_names(pack_dir: Path) -> set[str]:
    try:
        return set(os.listdir(pack_dir))
    except FileNotFoundError:
        return set()


def _find_pack_fault(pack_dir: Path, pack: PackFile) -> str | None:
    """Look at size and header; raise FileNotFoundError without the file."""
    with open(pack_dir / f"pack-{pack.name}.pack", "rb") as file:
        header = file.read(_PACK_HEADER.size)
        size_bytes = os.fstat(file.fileno()).st_size
    if size_bytes != pack.size_bytes:
        return "pack has another size than listed"
    magic, _version, objects = _PACK_HEADER.unpack(header)
    if magic != b"PACK" or objects != pack.objects:
        return "pack has another header than it was written with"
    return None


def _rebuild_idx(pack_dir: Path, pack: PackFile, scratch: Callable[[], Path]) -> None:
    """Make the idx anew.

    Raises Corrupt when the pack cannot be indexed, or holds another number of objects than listed, and Unavailable
    when the pack is sound and something else prevents it, such as a full disk.
    """
    idx = pack_dir / f"pack-{pack.name}.idx"
    rebuilt = scratch() / f"rebuilt-{pack.name}-{os.urandom(4).hex()}.idx"
    try:
        _index_pack(idx.with_suffix(".pack"), rebuilt)
        with PackIdx(rebuilt) as made:
            if len(made) != pack.objects:
                raise Corrupt("pack holds another number of objects than listed")
        fsync_path(rebuilt)
        rebuilt.rename(idx)
    finally:
        rebuilt.unlink(missing_ok=True)
    # A reverse index names positions in the idx: the old one may be of an idx that never was right.
    idx.with_suffix(".rev").unlink(missing_ok=True)


def _index_pack(pack: Path, idx: Path) -> None:
    try:
        run_git(
            None,
            "index-pack",
            "-o",
            str(idx),
            str(pack),
            config={"pack.writeReverseIndex": "false"},
            timeout_s=_INDEX_MAX_S,
        )
    except PackhouseError as error:
        if ends_with_its_hash(pack):
            raise Unavailable("pack idx cannot be rebuilt", pack=pack.name, reason=str(error)) from error
        raise Corrupt("pack has another hash than it was written with", file=pack.name) from error


def _is_idx_of(pack_dir: Path, pack: PackFile, sound: SoundFiles) -> bool:
    """Tell whether the idx is sound and that of the pack."""
    base = f"{pack_dir}/pack-{pack.name}"
    try:
        if not sound.is_sound(f"{base}.idx"):
            return False
        if sound.is_known_to_fit(base):
            return True
        with PackIdx(Path(f"{base}.idx")) as idx:
            fits = len(idx) == pack.objects and bytes.fromhex(idx.pack_name) == _read_trailer(f"{base}.pack")
    except (FileNotFoundError, Corrupt):
        return False
    if fits:
        sound.keep_fitting(base)
    return fits


def _read_trailer(path: str) -> bytes:
    with open(path, "rb") as file:
        file.seek(-_HASH_BYTES, os.SEEK_END)
        return file.read(_HASH_BYTES)


def _drop_unsound_rev(pack_dir: Path, pack: PackFile, sound: SoundFiles) -> bool:
    """Remove a damaged reverse index, which git then makes in memory; tell whether there was one."""
    rev = f"{pack_dir}/pack-{pack.name}.rev"
    try:
        if sound.is_sound(rev):
            return False
    except FileNotFoundError:
        return False
    Path(rev).unlink(missing_ok=True)
    return True


def _drop_unsound_midx(pack_dir: Path, sound: SoundFiles) -> bool:
    """Remove a multi-pack-index that is damaged or names a pack that is not there; tell whether there was one.

    One that names a missing pack hides what other packs hold; without any, each idx is looked at.
    """
    path = pack_dir / MIDX_NAME
    try:
        if sound.is_sound(str(path)) and set(_read_midx_names(path)) <= _list_names(pack_dir):
            return False
    except FileNotFoundError:
        return False
    path.unlink(missing_ok=True)
    return True


def _read_midx_names(path: Path) -> Iterable[str]:
    """Return the names of the idx files that a multi-pack-index names (gitformat-pack(5), chunk PNAM)."""
    with path.open("rb") as file:
        chunk_count = file.read(12)[6]
        table = [struct.unpack(">4sQ", file.read(12)) for _ in range(chunk_count + 1)]
        for (chunk, start), (_, end) in itertools.pairwise(table):
            if chunk == b"PNAM":
                file.seek(start)
                return [name.decode("ascii") for name in file.read(end - start).split(b"\0") if name]
    return []
