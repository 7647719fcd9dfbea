"""Folders that show chosen packs: hard links that live as long as somebody reads them.

    DATA/views/<repo id>/<generation>/pack/     links to the packs of the set, and their idx files

All processes of the machine share a folder. A user holds flock(2) shared on the folder itself, and git children inherit
the descriptor. A folder only gains packs: when a pack retires, the generation changes, and so does the folder. So a
stored pack may be unlinked at any time, and an upload-pack of hours reads on. Nothing here is synced to the disk. A
file that a power cut tore is repaired when its pack is shown again.

If no links can be made (a read-only or full disk, a file system without them), packs are read in the folder of the
stored packs. That folder is locked then, and nothing in it is unlinked meanwhile.
"""

import contextlib
import errno
import os
import shutil
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from packhouse.git.packs import Pack
from packhouse.storage.files import NO_LINK, UNWRITABLE, link_or_copy, try_lock
from packhouse.storage.idle_readers import IdleReaders
from packhouse.storage.opened_folder import OpenedFolder
from packhouse.storage.store import MISSING, Mended, PackFault, PackSet

GONE_PREFIX: Final = ".gone-"
_DIRECT_MAX_S: Final = 5.0
_IDLE_MAX_S: Final = 600
_SUFFIXES: Final = (".pack", ".rev", ".idx")  # the idx comes last: to git, a pack exists once it has one

MendPack = Callable[[str, Pack, Mended], bool]
"""Makes the derived files of a stored pack anew if needed, and notes them. Returns whether the pack can be used."""


@dataclass(slots=True, eq=False)
class _Folder:
    """A folder as this process has opened it. `shown` are the names of the packs in it that this process has checked.

    `complete` is a list of packs that are all shown.
    """

    repo_id: str
    generation: int
    guard: threading.Lock = field(default_factory=threading.Lock)
    object_dir: Path | None = None
    lock: int = -1
    is_direct: bool = False
    opened_at: float = 0.0
    used_at: float = 0.0
    users: int = 0
    shown: set[str] = field(default_factory=set)
    complete: Sequence[Pack] | None = None
    readers: IdleReaders = field(default_factory=IdleReaders)


class _Unlinkable(Exception):
    """The folder cannot be made, or takes no more links."""


class ViewFolders:
    """The view folders of a data folder. Keeps those in use open, and closes the least recently used."""

    def __init__(
        self, root: Path, find_pack_dir: Callable[[str], Path], mend_pack: MendPack, *, open_max: int
    ) -> None:
        self._root = root
        self._lost = root.parent / "lost"
        self._find_pack_dir = find_pack_dir
        self._mend_pack = mend_pack
        self._open_max = open_max
        self._guard = threading.Lock()
        self._folders: dict[str, list[_Folder]] = {}  # in the order of their last use
        self._count = 0

    def open(self, repo_id: str, wanted: PackSet) -> OpenedFolder:
        """Show the packs of a set, and hold the folder. See PackStore.open()."""
        try:
            return self._open(self._take(repo_id, wanted.generation, direct=False), wanted.packs)
        except _Unlinkable:
            return self._open(self._take(repo_id, wanted.generation, direct=True), wanted.packs)

    def _open(self, folder: _Folder, packs: Sequence[Pack]) -> OpenedFolder:
        try:
            mended = Mended([], [])
            if packs is not folder.complete:
                if folder.object_dir is None or not folder.shown.issuperset(pack.name for pack in packs):
                    with folder.guard:
                        self._show(folder, packs, mended)
                if not mended.faults:
                    folder.complete = packs
            assert folder.object_dir is not None, "it was shown"
            return OpenedFolder(
                folder.object_dir,
                folder.readers,
                mended,
                descriptors=(folder.lock,),
                give_back=partial(self.give_back, folder),
            )
        except BaseException:
            self.give_back(folder)
            raise

    def forget_readers(self, repo_id: str) -> None:
        """Let the next reads of a repository open its packs anew, in the folders that this process has open."""
        with self._guard:
            for folder in self._folders.get(repo_id, ()):
                folder.readers.forget()

    def show_again(self, repo_id: str, names: Collection[str]) -> None:
        """Put the present idx files of packs into the folders, in place of the old ones."""
        pack_dir = self._find_pack_dir(repo_id)
        for folder in _iter_folders(self._root / repo_id):
            for name in names:
                # The pack is not shown there, or cannot be. A reader will notice.
                with contextlib.suppress(OSError):
                    _show_again(pack_dir, folder / "pack", name)

    def give_back(self, folder: _Folder) -> None:
        """End a use. The last use of a folder that another generation has replaced removes it."""
        with self._guard:
            folder.users -= 1
            known = self._folders.get(folder.repo_id, [])
            is_forgotten = folder.users == 0 and folder not in known
            dropped = [folder] if is_forgotten else []
            dropped += self._drop_replaced(folder.repo_id, known)
            dropped += self._shrink()
        self._let_go(dropped)

    def forget_repo(self, repo_id: str) -> None:
        """Close the idle folders of a repository now, and the others at the end of their use."""
        with self._guard:
            known = self._folders.pop(repo_id, [])
            self._count -= len(known)
            dropped = [folder for folder in known if folder.users == 0]
        self._let_go(dropped)

    def sweep(self, *, idle_s: float = _IDLE_MAX_S) -> int:
        """Remove folders that nobody holds and that did not change for `idle_s` seconds. Return their number."""
        removed = 0
        self._let_go_of_idle(idle_s)
        for repo in _iter_folders(self._root):
            if repo.name.startswith(GONE_PREFIX):
                shutil.rmtree(repo, ignore_errors=True)
                continue
            for folder in _iter_folders(repo):
                if folder.name.startswith(GONE_PREFIX):
                    shutil.rmtree(folder, ignore_errors=True)
                elif _age_s(folder / "pack") >= idle_s:
                    removed += _remove_if_free(folder)
            with contextlib.suppress(OSError):  # the folder is in use
                repo.rmdir()
        return removed

    def _let_go_of_idle(self, idle_s: float) -> None:
        """Close folders that this process has not used for a while: they hold the disk space of deleted packs.

        A direct folder is closed at once: while one is open, no pack of its repository is unlinked.
        """
        before = time.monotonic() - idle_s
        dropped = []
        with self._guard:
            for repo_id, known in list(self._folders.items()):
                unused = (folder for folder in known if folder.users == 0)
                idle = [folder for folder in unused if folder.is_direct or folder.used_at <= before]
                dropped += self._take_out(repo_id, idle)
        self._let_go(dropped)

    def close(self) -> None:
        """Close everything that this process has open."""
        for repo_id in list(self._folders):
            self.forget_repo(repo_id)

    def _take(self, repo_id: str, generation: int, *, direct: bool) -> _Folder:
        removed: _Folder | None = None
        with self._guard:
            known = self._folders.pop(repo_id, [])
            self._folders[repo_id] = known
            now = time.monotonic()
            fitting = (folder for folder in known if folder.generation == generation)
            found = next((f for f in fitting if f.is_direct or not direct), None)
            if found is not None and found.is_direct and now - found.opened_at > _DIRECT_MAX_S:
                found = None  # links may be possible again
            if found is not None and not _is_in_place(found):
                # Somebody has emptied the folder of views. Users of this folder keep their open files.
                known.remove(found)
                self._count -= 1
                if found.users == 0:
                    removed = found
                found = None
            if found is None:
                found = _Folder(repo_id, generation, is_direct=direct, opened_at=now)
                known.append(found)
                self._count += 1
            found.users += 1
            found.used_at = now
        if removed is not None:
            self._let_go([removed])
        return found

    def _show(self, folder: _Folder, packs: Sequence[Pack], mended: Mended) -> None:
        """Open the folder if needed, and show the packs in it. Note packs that cannot be shown."""
        pack_dir = self._find_pack_dir(folder.repo_id)
        if folder.object_dir is None and folder.is_direct:
            _open_directly(folder, pack_dir)
        elif folder.object_dir is None:
            with _telling_unlinkable():
                self._open_links(folder)
        assert folder.object_dir is not None
        target = folder.object_dir / "pack"
        for pack in packs:
            if pack.name in folder.shown:
                continue
            is_usable = self._mend_pack(folder.repo_id, pack, mended)
            if is_usable and not folder.is_direct:
                try:
                    with _telling_unlinkable():
                        _link_pack(pack_dir, target, pack.name)
                except FileNotFoundError as error:
                    if not target.is_dir():
                        raise _Unlinkable from error
                    is_usable = False
                    mended.faults.append(PackFault(pack.name, MISSING))
            if is_usable:
                folder.shown.add(pack.name)
            elif not folder.is_direct:
                _hide_pack(target, pack.name, self._lost / folder.repo_id)

    def _open_links(self, folder: _Folder) -> None:
        path = self._root / folder.repo_id / f"{folder.generation:016x}"
        folder.lock = _open_locked(path)
        folder.object_dir = path

    def _drop_replaced(self, repo_id: str, known: Sequence[_Folder]) -> list[_Folder]:
        """Take out the unused folders that are not the newest of their repository.

        Also take out an unused direct folder if links can be made again: while it is open, no pack in it is unlinked.
        """
        is_linked = any(folder.object_dir is not None and not folder.is_direct for folder in known)
        replaced = [
            folder
            for folder in known
            if folder.users == 0 and (folder is not known[-1] or (folder.is_direct and is_linked))
        ]
        return self._take_out(repo_id, replaced)

    def _shrink(self) -> list[_Folder]:
        dropped: list[_Folder] = []
        if self._count <= self._open_max:
            return dropped
        for repo_id, known in list(self._folders.items()):
            dropped += self._take_out(repo_id, [folder for folder in known if folder.users == 0])
            if self._count <= self._open_max:
                break
        return dropped

    def _take_out(self, repo_id: str, folders: list[_Folder]) -> list[_Folder]:
        """Forget some folders of a repository, and return them. The caller then closes them without the guard."""
        if folders:
            known = self._folders[repo_id]
            for folder in folders:
                known.remove(folder)
            self._count -= len(folders)
            if not known:
                del self._folders[repo_id]
        return folders

    def _let_go(self, folders: Sequence[_Folder]) -> None:
        """Close folders. Remove a folder that a newer generation has replaced, unless another process holds it."""
        for folder in folders:
            folder.readers.forget()
            if folder.lock >= 0:
                os.close(folder.lock)
                folder.lock = -1
            if folder.object_dir is not None and not folder.is_direct:
                with self._guard:
                    newest = self._folders.get(folder.repo_id, [])
                    is_replaced = bool(newest) and newest[-1].generation != folder.generation
                if is_replaced:
                    _remove_if_free(folder.object_dir)


def _is_in_place(folder: _Folder) -> bool:
    """Tell whether an open folder is still the folder at its path."""
    if folder.object_dir is None or folder.is_direct:
        return True
    try:
        return _is_at(folder.lock, f"{folder.object_dir}/pack/..")
    except OSError:
        return False


def _open_directly(folder: _Folder, pack_dir: Path) -> None:
    """Use the folder of the stored packs itself, and keep its files from being unlinked."""
    folder.lock = os.open(pack_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try_lock(folder.lock, exclusive=False, wait=True)
    folder.object_dir = pack_dir.parent


@contextlib.contextmanager
def _telling_unlinkable() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        raise _Unlinkable from error


def _open_locked(path: Path) -> int:
    """Return the descriptor of a folder that shows packs. It is made if missing, and locked shared.

    If it is removed before we hold its lock, it is made again.
    """
    while True:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            _make_folders(path)
            continue
        try_lock(descriptor, exclusive=False, wait=True)
        if _is_at(descriptor, path):
            # The process that made the folder may have died before this point.
            with contextlib.suppress(FileExistsError):
                os.mkdir(f"{path}/pack")
            return descriptor
        os.close(descriptor)


def _make_folders(path: Path) -> None:
    """Make a folder and its parents. Others may make or sweep them at the same moment, so the caller checks again."""
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(path.parent)
        os.mkdir(path)
        os.mkdir(f"{path}/pack")
    except FileExistsError:
        return
    except FileNotFoundError:
        with contextlib.suppress(FileExistsError):
            os.mkdir(path.parents[1], 0o700)  # with the same mode as DiskPackStore


def _link_pack(source: Path, target: Path, name: str) -> None:
    """Show a pack in a folder. Raises FileNotFoundError if the pack is gone."""
    for suffix in _SUFFIXES:
        file = f"pack-{name}{suffix}"
        try:
            link_or_copy(f"{source}/{file}", f"{target}/{file}")
        except FileExistsError:  # another process shows it now, or has shown a file that was replaced since
            _replace_link(source / file, target / file)
        except FileNotFoundError:
            if suffix != ".rev":
                raise


def _replace_link(stored: Path, shown: Path) -> None:
    """Replace a shown file by the present stored one: by a link, or by a copy of equal length that is not older."""
    wanted, present = os.stat(stored), _stat_if_there(shown)
    if present is not None and os.path.samestat(present, wanted):
        return
    temporary = shown.with_name(f".{shown.name}.{os.urandom(4).hex()}")
    try:
        os.link(stored, temporary)
    except OSError as error:
        if error.errno not in NO_LINK:
            raise
        if present is not None and _is_fresh_copy(present, wanted):
            return
        link_or_copy(stored, temporary)
    os.rename(temporary, shown)
    temporary.unlink(missing_ok=True)  # it stays if another process has just linked the same file


def _stat_if_there(path: Path) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _is_fresh_copy(copy: os.stat_result, stored: os.stat_result) -> bool:
    """Tell whether a copy is newer than the last change of the stored file, and was not cut short by a power cut."""
    return copy.st_size == stored.st_size and copy.st_ctime_ns >= stored.st_ctime_ns


def _hide_pack(target: Path, name: str, kept: Path) -> None:
    """Hide a pack that the store has lost after another process showed it, so that readers notice the loss.

    Its last links go to the folder `kept`, for an operator.
    """
    for suffix in reversed(_SUFFIXES):
        with contextlib.suppress(OSError):  # the file is not there, or is kept already
            kept.mkdir(mode=0o700, parents=True, exist_ok=True)
            link_or_copy(target / f"pack-{name}{suffix}", kept / f"pack-{name}{suffix}")
        with contextlib.suppress(OSError):  # the file is not there, or the disk takes no writes
            os.unlink(target / f"pack-{name}{suffix}")


def _show_again(source: Path, target: Path, name: str) -> None:
    stored, shown = source / f"pack-{name}.idx", target / f"pack-{name}.idx"
    pack = shown.with_suffix(".pack")
    if not os.path.exists(pack) and not os.path.exists(shown):
        return  # the pack is not shown there
    _replace_link(source / pack.name, pack)
    _replace_link(stored, shown)
    if not os.path.exists(source / f"pack-{name}.rev"):
        (target / f"pack-{name}.rev").unlink(missing_ok=True)


def _remove_if_free(path: Path) -> bool:
    """Remove a folder that nobody holds. Return whether it is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        if not try_lock(descriptor, exclusive=True, wait=False):
            return False
        # Another process may have removed it before we had its lock, and a new folder may have its name now.
        if not _is_at(descriptor, path):
            return False
        gone = path.with_name(f"{GONE_PREFIX}{os.urandom(8).hex()}")
        with contextlib.suppress(OSError):  # a disk that takes no writes keeps it
            path.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)
            return True
        return False
    finally:
        os.close(descriptor)


def _is_at(descriptor: int, path: str | Path) -> bool:
    """Tell whether an open folder is the one with that name."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _iter_folders(root: Path) -> Iterator[Path]:
    try:
        with os.scandir(root) as entries:
            names = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR):
            raise
        names = []
    yield from map(Path, names)


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return time.time()
