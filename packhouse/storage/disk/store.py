"""Packs on the local disk.

    DATA/repos/ab/cd/<repo id>/     a bare repository without refs of its own
        objects/pack/               the stored packs; our processes let neither git nor libgit2 read here
    DATA/views/                     the folders that git and libgit2 read, see views.py
    DATA/cache/bare.git             git's repository when it needs no refs
    DATA/lost/<repo id>/            last links to packs that the store has lost, for an operator
    DATA/quarantine/<random>/       objects that are not accepted yet
    DATA/locks/                     flock: writer locks of refs

A pack is durable before `put` returns: its bytes, and its name in a folder whose own name is durable too. The idx, and
the other files that make the folder a repository for git, can be made again. They are not synced to the disk.
"""

import contextlib
import functools
import os
import shutil
import threading
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeVar

from packhouse.errors import Corrupt
from packhouse.git import Oid
from packhouse.git.packs import MemoryPack, Pack, PackIdx
from packhouse.limits import DEFAULT_LIMITS, KIB, Limits, disk_min_free_bytes
from packhouse.storage.bare_repo import make_bare
from packhouse.storage.derived_files import (
    SoundFiles,
    find_content_fault,
    find_file_fault,
    has_object,
    looks_unchanged,
    mend_pack,
)
from packhouse.storage.disk.views import ViewFolders
from packhouse.storage.files import UNWRITABLE, link_or_copy, lock_file, make_folders, try_lock
from packhouse.storage.journal_folders import JournalFolders, ShownPacks
from packhouse.storage.new_pack import NewPack
from packhouse.storage.opened_folder import NoPacks
from packhouse.storage.pack_file import describe_pack, has_hash_for_name
from packhouse.storage.quarantine import Quarantine, sweep_quarantines
from packhouse.storage.runtime_folder import RuntimeFolder, WriteRefs
from packhouse.storage.store import FOLDER_MISSING, Mended, OpenedPacks, PackFault, PackSet, PackStore
from packhouse.whole_files import fsync_path

_MIDX_NAME: Final = "multi-pack-index"
_SKELETON_NAME: Final = "bare.git"
_WRITER_LOCKS: Final = 256
_PROBE_BYTES: Final = 64 * KIB
_SUFFIXES: Final = (".idx", ".rev", ".bitmap", ".pack")  # a pack's files are deleted in this order

T = TypeVar("T")


class DiskPackStore(PackStore):
    """Packs below one data folder, shared by the processes of one machine."""

    def __init__(
        self, data: Path, *, runtime_dir: Path | None = None, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self._repos = data / "repos"
        self._quarantines = data / "quarantine"
        self._locks = data / "locks"
        views = data / "views"
        for folder in (data, self._repos, self._quarantines, self._locks, views):
            with _unless_unwritable(folder):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # other users have no token
        self._bare = data / "cache" / _SKELETON_NAME
        self._sound = SoundFiles()
        self._views = ViewFolders(views, self._pack_dir, self._mend_pack, open_max=limits.view_folders_max)
        self._runtime = RuntimeFolder(data, runtime_dir, limits=limits)
        self._journal = JournalFolders(
            self._runtime.new_scratch,
            count_max=limits.view_folders_max,
            size_max_bytes=limits.journal_folders_max_bytes,
        )
        self._scratch: Quarantine | None = None
        self._skeleton: Quarantine | None = None
        self._guard = threading.Lock()

    def repo_path(self, repo_id: str) -> Path:
        """Return the folder of a repository. It exists once it holds objects. `repo_id` is `repo_…`."""
        return _repo_path(self._repos, repo_id)

    def _pack_dir(self, repo_id: str) -> Path:
        return self.repo_path(repo_id) / "objects" / "pack"

    def put(self, repo_id: str, name: str, pack: Path, idx: Path) -> None:
        """See PackStore."""
        fsync_path(pack)
        pack_dir = self._ensure_folder(repo_id)
        base = f"{pack_dir}/pack-{name}"
        os.rename(pack, f"{base}.pack")
        with contextlib.suppress(FileNotFoundError):
            os.rename(pack.with_suffix(".rev"), f"{base}.rev")
        os.rename(idx, f"{base}.idx")
        fsync_path(pack_dir)

    def link(self, source_id: str, source_name: str, repo_id: str, name: str) -> None:
        """See PackStore."""
        source = self._pack_dir(source_id)
        pack_dir = self._ensure_folder(repo_id)
        for suffix in (".pack", ".idx"):
            target = pack_dir / f"pack-{name}{suffix}"
            target.unlink(missing_ok=True)
            link_or_copy(source / f"pack-{source_name}{suffix}", target)
        fsync_path(pack_dir / f"pack-{name}.pack")
        fsync_path(pack_dir)

    def open(self, repo_id: str, wanted: PackSet) -> OpenedPacks:
        """See PackStore. Without packs no folder is made for the repository."""
        if not wanted.packs:
            return NoPacks(self.skeleton() / "objects")
        return self._views.open(repo_id, wanted)

    def show_journal(self, repo_id: str, packs: Sequence[MemoryPack]) -> ShownPacks:
        """See PackStore."""
        return self._journal.show(repo_id, packs)

    def recheck(self, repo_id: str, opened: OpenedPacks, packs: Sequence[Pack]) -> Mended:
        """See PackStore."""
        names = (pack.name for pack in packs)
        if not opened.mended.faults and looks_unchanged(opened.object_dir / "pack", names, self._sound):
            return Mended([], [])
        return self.mend(repo_id, packs, trusting=True)

    def delete(self, repo_id: str, names: Collection[str]) -> set[str]:
        """See PackStore."""
        pack_dir = self._pack_dir(repo_id)
        try:
            descriptor = os.open(pack_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return set(names)
        try:
            there = set(os.listdir(descriptor))
            gone = {name for name in names if f"pack-{name}.pack" not in there}
            if not try_lock(descriptor, exclusive=True, wait=False):
                return gone  # packs are read in this folder, see views.py
            for name in names:
                for suffix in _SUFFIXES:
                    if f"pack-{name}{suffix}" in there:
                        with contextlib.suppress(FileNotFoundError):  # several processes may delete at once
                            os.unlink(f"{pack_dir}/pack-{name}{suffix}")
            os.fsync(descriptor)
            return set(names)
        finally:
            os.close(descriptor)

    def missing(self, repo_id: str, packs: Collection[Pack]) -> list[PackFault]:
        """See PackStore."""
        pack_dir = self._pack_dir(repo_id)
        if packs and not os.path.isdir(pack_dir):
            return [PackFault("", FOLDER_MISSING)]
        faults = ((pack.name, find_file_fault(pack_dir, pack)) for pack in packs)
        return [PackFault(name, fault) for name, fault in faults if fault is not None]

    def stat(self, repo_id: str, name: str) -> Pack | None:
        """See PackStore."""
        try:
            return describe_pack(f"{self._pack_dir(repo_id)}/pack-{name}.pack")
        except (FileNotFoundError, Corrupt):
            return None

    def list_names(self, repo_id: str) -> list[str]:
        """See PackStore."""
        try:
            found = os.listdir(self._pack_dir(repo_id))
        except FileNotFoundError:
            return []
        return sorted(n[5:-5] for n in found if n.startswith("pack-") and n.endswith(".pack"))

    def survey(self, repo_id: str) -> list[Pack]:
        """See PackStore. Removes the multi-pack-index, which may name deleted packs, and the marks of its locks."""
        pack_dir = self._pack_dir(repo_id)
        try:
            found = set(os.listdir(pack_dir))
        except FileNotFoundError:
            return []
        for name in (_MIDX_NAME, f"{_MIDX_NAME}.lock"):
            (pack_dir / name).unlink(missing_ok=True)
        for lock in self.repo_path(repo_id).glob("packhouse.lock*"):
            lock.unlink(missing_ok=True)
        names = sorted(n[5:-5] for n in found if n.startswith("pack-") and n.endswith(".pack"))
        packs = []
        for name in names:
            pack = self.stat(repo_id, name) if f"pack-{name}.idx" in found else None
            with contextlib.suppress(FileNotFoundError):  # it was deleted just now
                if pack is not None and has_hash_for_name(f"{pack_dir}/pack-{name}.pack"):
                    packs.append(pack)
        return packs

    def iter_repo_ids(self) -> Iterator[str]:
        """See PackStore."""
        for config in self._repos.glob("*/*/repo_*/config"):
            yield config.parent.name

    def remove_repo(self, repo_id: str) -> bool:
        """See PackStore."""
        path = self.repo_path(repo_id)
        self._views.forget_repo(repo_id)
        self._journal.forget_repo(repo_id)
        if not path.exists():
            return False
        shutil.rmtree(path)
        return True

    def mend(self, repo_id: str, packs: Sequence[Pack], *, trusting: bool) -> Mended:
        """See PackStore. A repository whose folder is lost has one fault, for all packs."""
        mended = Mended([], [])
        if not packs:
            return mended
        pack_dir = self._pack_dir(repo_id)
        if not pack_dir.is_dir():
            return Mended([], [PackFault("", FOLDER_MISSING)])
        if not trusting:
            self._sound.forget(str(pack_dir))
        usable = [p for p in packs if mend_pack(pack_dir, p, self._sound, mended, scratch=self.scratch_dir)]
        if mended.rebuilt:
            fsync_path(pack_dir)
        # Also files that another process has just made anew: the folders may still show the old ones.
        self._views.show_again(repo_id, [pack.name for pack in usable])
        if mended.rebuilt or not trusting:
            self._views.forget_readers(repo_id)
        return mended

    def find_content_fault(self, repo_id: str, pack: Pack) -> str | None:
        """See PackStore."""
        return find_content_fault(self._pack_dir(repo_id), pack)

    def forget_readers(self, repo_id: str) -> None:
        """See PackStore."""
        self._views.forget_readers(repo_id)

    def list_oids(self, repo_id: str, name: str) -> Iterator[Oid]:
        """See PackStore."""
        with PackIdx(self._pack_dir(repo_id) / f"pack-{name}.idx") as idx:
            yield from idx.iter_oids()

    def find_holders(self, repo_id: str, packs: Sequence[Pack], oid: Oid) -> list[Pack]:
        """See PackStore."""
        pack_dir = self._pack_dir(repo_id)
        return [pack for pack in packs if has_object(pack_dir, pack.name, oid)]

    def _mend_pack(self, repo_id: str, pack: Pack, mended: Mended) -> bool:
        return mend_pack(self._pack_dir(repo_id), pack, self._sound, mended, scratch=self.scratch_dir)

    def _ensure_folder(self, repo_id: str) -> Path:
        """Return the folder of a repository's packs. If it is missing, make it durably, with its parents."""
        pack_dir = self._pack_dir(repo_id)
        if not pack_dir.is_dir():
            make_folders(pack_dir, stop=self._repos)
            make_bare(self.repo_path(repo_id))
        return pack_dir

    @contextlib.contextmanager
    def git_dir(self, repo_id: str, write: WriteRefs) -> Iterator[tuple[Path, tuple[int, ...]]]:
        """See PackStore. It is a runtime folder: the repository may have no folder yet, or a disk without room."""
        with self._runtime.refs(repo_id, self.repo_path(repo_id) / "objects", write) as (folder, lock):
            yield folder, (lock,)

    def skeleton(self) -> Path:
        """See PackStore. Checked at each use, because somebody may have emptied the cache."""
        try:
            make_bare(self._bare)
        except OSError as error:
            if error.errno not in UNWRITABLE:
                raise
        else:
            return self._bare
        with self._guard:
            if self._skeleton is None:
                self._skeleton = self._runtime.new_scratch()
            make_bare(self._skeleton.path)
            return self._skeleton.path

    def new_pack(self) -> NewPack:
        """See PackStore."""
        return NewPack(self.scratch_dir)

    def new_quarantine(self) -> Quarantine:
        """See PackStore. It is on the same disk, so moving a pack is a rename."""
        return _make_in(self._quarantines, lambda: Quarantine(self._quarantines))

    def new_scratch(self) -> Quarantine:
        """See PackStore."""
        status = os.statvfs(self._quarantines)
        is_full = status.f_bavail * status.f_frsize < disk_min_free_bytes
        if is_full or status.f_flag & os.ST_RDONLY:
            return self._runtime.new_scratch()
        return self.new_quarantine()

    def scratch_dir(self) -> Path:
        """See PackStore."""
        with self._guard:
            # Somebody may have emptied the folder.
            if self._scratch is None or not self._scratch.path.is_dir():
                self._scratch = self.new_quarantine()
            return self._scratch.path

    @contextlib.contextmanager
    def writer_lock(self, repo_id: str, refname: bytes) -> Iterator[None]:
        """See PackStore."""
        number = zlib.crc32(refname, zlib.crc32(repo_id.encode("ascii"))) % _WRITER_LOCKS
        # Processes of earlier releases lock the file by this name, and may run beside ours.
        path = self._locks / f"turn-{number:02x}"
        with contextlib.ExitStack() as stack:
            # The lock is only for speed. Nothing is lost if the folder is deleted while a process holds it.
            _make_in(self._locks, lambda: stack.enter_context(lock_file(path, exclusive=True)))
            yield

    def sweep(self) -> int:
        """See PackStore."""
        return sweep_quarantines(self._quarantines) + self._runtime.sweep() + self._views.sweep()

    def check(self) -> None:
        """See PackStore."""
        probe = self._locks / f".probe-{os.getpid()}-{threading.get_ident()}"
        try:
            with _make_in(self._locks, lambda: probe.open("xb")) as file:
                file.write(bytes(_PROBE_BYTES))  # an empty file can be made on a full disk too
                file.flush()
                os.fsync(file.fileno())
        finally:
            probe.unlink(missing_ok=True)

    def close(self) -> None:
        """See PackStore."""
        self._views.close()
        self._journal.close()
        self._runtime.close()
        with self._guard:
            for folder in (self._scratch, self._skeleton):
                if folder is not None:
                    folder.discard()
            self._scratch = self._skeleton = None


def _make_in(folder: Path, make: Callable[[], T]) -> T:
    """Return the result of `make`, which works in a folder of the store. Make the folder again if it was deleted."""
    try:
        return make()
    except FileNotFoundError:
        folder.mkdir(mode=0o700, exist_ok=True)
        return make()


@contextlib.contextmanager
def _unless_unwritable(folder: Path) -> Iterator[None]:
    """Go on without a folder that is missing on a read-only disk. Reading does not need it."""
    try:
        yield
    except OSError as error:
        if error.errno not in UNWRITABLE or not folder.parent.is_dir():
            raise


@functools.lru_cache(maxsize=10_000)
def _repo_path(repos: Path, repo_id: str) -> Path:
    key = repo_id.removeprefix("repo_")
    assert len(key) >= 4 and key.isalnum(), repo_id
    return repos / key[:2] / key[2:4] / repo_id
