"""The place for files that git needs and that SQL holds: in memory, if there is a memory file system.

    RUNTIME/packhouse-<uid>-<hash of the data folder>/
        lock                    flock: shared by the processes that use the folder
        refs/<repo id>/         a bare repository: HEAD and packed-refs from SQL, objects a link to the packs
        scratch/<random>/       packs of the journal; quarantines of reads while the disk is full or read-only

RUNTIME is a memory file system if there is one, else DATA/cache. All of it may be deleted while nobody uses it.
"""

import contextlib
import errno
import hashlib
import os
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

from packhouse import limits
from packhouse.limits import DEFAULT_LIMITS, Limits
from packhouse.storage.bare_repo import BARE_CONFIG, HEAD
from packhouse.storage.files import UNWRITABLE, try_lock
from packhouse.storage.quarantine import Quarantine, sweep_quarantines
from packhouse.whole_files import replace_file

# These errors also mean that the place is no folder and cannot become one; a setting may name such a place.
_UNUSABLE: Final = UNWRITABLE | {errno.ENOENT, errno.ENOTDIR, errno.EEXIST}

_LOCK_NAME: Final = "lock"
_PREFIX: Final = "packhouse-"
_MEMORY_FOLDERS: Final = (Path("/dev/shm"), Path("/run"))  # noqa: S108  # we make a folder of our own there
_MEMORY_MIN_FREE_BYTES: Final = 16 * limits.MIB
_LOOK_EVERY: Final = 64

T = TypeVar("T")

WriteRefs = Callable[[Path], None]
"""Brings HEAD and packed-refs of a folder up to date."""


class RuntimeFolder:
    """The runtime files of one data folder. Its processes share them. Nothing is made before it is needed."""

    def __init__(self, data: Path, chosen: Path | None, *, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._name = f"{_PREFIX}{os.geteuid()}-{_identify(data)}"
        self._bases = _list_bases(data, chosen)
        self._guard = threading.Lock()
        self._places: dict[Path, int] = {}
        self._made = 0

    @contextlib.contextmanager
    def refs(self, repo_id: str, objects: Path, write: WriteRefs) -> Iterator[tuple[Path, int]]:
        """Give the folder with the refs of a repository, and its lock, which git children inherit.

        `objects` is the folder of its objects. `write` is called to bring the refs up to date. Raises OSError if no
        place takes them.
        """

        def open_refs(place: Path) -> tuple[Path, int]:
            folder, lock = _open_locked(place / "refs" / repo_id)
            try:
                _complete(folder, objects)
                write(folder)
            except BaseException:
                os.close(lock)
                raise
            return folder, lock

        folder, lock = self._somewhere(open_refs)
        try:
            self._look_now_and_then(folder.parent)
            yield folder, lock
        finally:
            os.close(lock)

    def new_scratch(self, fill: Callable[[Quarantine], None] = lambda _folder: None) -> Quarantine:
        """Return a quarantine for a read, with what `fill` puts into it. Raises OSError if no place takes it."""

        def make(place: Path) -> Quarantine:
            root = place / "scratch"
            root.mkdir(exist_ok=True)
            quarantine = Quarantine(root)
            try:
                fill(quarantine)
            except BaseException:
                quarantine.discard()
                raise
            return quarantine

        return self._somewhere(make)

    def sweep(self) -> int:
        """Remove leftovers of dead processes in the places in use. Return their number."""
        with self._guard:
            scratches = [place / "scratch" for place in self._places]
        return sum(sweep_quarantines(scratch) for scratch in scratches if scratch.is_dir())

    def close(self) -> None:
        """Close the folders. The last process removes them."""
        with self._guard:
            for place, lock in self._places.items():
                if try_lock(lock, exclusive=True, wait=False):
                    _remove(place)
                os.close(lock)
            self._places.clear()

    def _somewhere(self, make: Callable[[Path], T]) -> T:
        """Return the result of `make` in the first place that takes it."""
        failure: OSError | None = None
        for base in self._bases:
            try:
                try:
                    return make(self._place(base))
                except FileNotFoundError:  # somebody has deleted our folder
                    self._forget_place(base)
                    return make(self._place(base))
            except OSError as error:
                if error.errno not in _UNUSABLE:
                    raise
                failure = error
        assert failure is not None, "there is a place to try"
        raise failure

    def _forget_place(self, base: Path) -> None:
        with self._guard:
            lock = self._places.pop(base / self._name, None)
        if lock is not None:
            os.close(lock)

    def _place(self, base: Path) -> Path:
        """Return our folder below `base`. The first use in this process makes and locks it."""
        place = base / self._name
        with self._guard:
            lock = self._places.get(place)
            if lock is not None and not _is_still_ours(place, lock):
                del self._places[place]
                os.close(lock)
            if place not in self._places:
                base.mkdir(parents=True, exist_ok=True)
                _sweep_places(base)
                _, self._places[place] = _open_locked(place)
                (place / "refs").mkdir(exist_ok=True)
            return place

    def _look_now_and_then(self, folder: Path) -> None:
        with self._guard:
            self._made += 1
            is_due = self._made % _LOOK_EVERY == 0
        if is_due:
            _drop_oldest(
                folder,
                count_max=self._limits.ref_folders_max,
                size_max_bytes=self._limits.ref_folders_max_bytes,
            )


def _list_bases(data: Path, chosen: Path | None) -> list[Path]:
    """Return the places where runtime files may be, the best first."""
    memory = [folder for folder in _MEMORY_FOLDERS if _is_usable(folder)] if chosen is None else [chosen]
    return [*memory, data / "cache"]


def _is_usable(folder: Path) -> bool:
    try:
        status = os.statvfs(folder)
    except OSError:
        return False
    free_bytes = status.f_bavail * status.f_frsize
    return os.path.ismount(folder) and os.access(folder, os.W_OK) and free_bytes >= _MEMORY_MIN_FREE_BYTES


def _identify(data: Path) -> str:
    """Return a text that is the same in all processes of one data folder, and differs between data folders."""
    status = data.stat()
    name = f"{data.resolve()}\0{status.st_dev}\0{status.st_ino}"
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _open_locked(folder: Path) -> tuple[Path, int]:
    """Return the folder, made if it is missing, and the descriptor of its lock, held shared.

    All users can write to memory folders. A folder that another user made, or may write to, is not used. If the folder
    is removed before we hold its lock, it is made again.
    """
    while True:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        try:
            _require_ours(folder)
            lock = os.open(folder / _LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue
        try_lock(lock, exclusive=False, wait=True)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.stat(folder / _LOCK_NAME), os.fstat(lock)):
                return folder, lock
        os.close(lock)


def _is_still_ours(place: Path, lock: int) -> bool:
    """Tell whether the folder is the one whose lock we hold. Somebody may have removed it and made another one."""
    try:
        _require_ours(place)
        return os.path.samestat(os.stat(place / _LOCK_NAME), os.fstat(lock))
    except OSError:
        return False


def _require_ours(folder: Path) -> None:
    status = os.lstat(folder)
    is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    if not is_ours or stat.S_IMODE(status.st_mode) & 0o077:
        raise PermissionError(errno.EPERM, "folder is not ours alone", str(folder))


def _complete(folder: Path, objects: Path) -> None:
    """Make the folder a repository for git."""
    if (folder / "config").exists():
        return
    (folder / "refs").mkdir(exist_ok=True)
    with contextlib.suppress(FileExistsError):
        (folder / "objects").symlink_to(objects.absolute())
    replace_file(folder / "HEAD", HEAD)
    replace_file(folder / "config", BARE_CONFIG)


def _drop_oldest(refs: Path, *, count_max: int, size_max_bytes: int) -> None:
    """Remove ref folders beyond the bounds, oldest write first, unless a process uses them."""
    aged = []
    for folder in refs.glob("repo_*"):
        with contextlib.suppress(FileNotFoundError):
            packed = (folder / "packed-refs").stat()
            aged.append((packed.st_mtime_ns, packed.st_size, folder))
    count, size_bytes = len(aged), sum(size for _, size, _ in aged)
    for _, size, folder in sorted(aged):
        if count <= count_max and size_bytes <= size_max_bytes:
            return
        if _remove_if_free(folder):
            count, size_bytes = count - 1, size_bytes - size


def _sweep_places(base: Path) -> None:
    """Remove the folders of dead servers, of any data folder."""
    for place in base.glob(f"{_PREFIX}{os.geteuid()}-*"):
        _remove_if_free(place)


def _remove_if_free(folder: Path) -> bool:
    """Remove a folder whose lock nobody holds. Return whether it is gone."""
    try:
        lock = os.open(folder / _LOCK_NAME, os.O_RDWR | os.O_CLOEXEC)
    except OSError:  # it is being made or removed, or is not ours
        return False
    try:
        if not try_lock(lock, exclusive=True, wait=False):
            return False
        _remove(folder)
        return True
    finally:
        os.close(lock)


def _remove(folder: Path) -> None:
    """Rename a folder whose lock we hold alone, then remove it. A process that needs the folder makes a new one."""
    gone = folder.with_name(f".gone-{os.urandom(8).hex()}")
    with contextlib.suppress(OSError):
        folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
