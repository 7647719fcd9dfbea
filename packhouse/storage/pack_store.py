"""The packs of all repositories under one folder: publish them, read them, remove what was replaced.

    DATA/repos/ab/cd/<repo id>/     a bare repository without refs of its own
        packhouse.lock              flock: shared by whoever reads (reading_lock.py)
    DATA/quarantine/<random>/       objects not accepted yet
    DATA/locks/                     flock: whose turn it is to write to a ref

Order of a write (a crash between any two steps loses nothing acknowledged): pack and idx are forced to the
disk in quarantine, moved in, pack first, and their folder forced; only then may SQL name what they hold.
"""

import contextlib
import functools
import itertools
import os
import shutil
import threading
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from packhouse import limits
from packhouse.errors import Corrupt
from packhouse.git.oid import Oid
from packhouse.git.pack_idx import PackIdx
from packhouse.git.reader import ObjectReader
from packhouse.storage.bare_repo import BARE_CONFIG
from packhouse.storage.derived_files import (
    FOLDER_MISSING,
    Mended,
    PackFault,
    SoundFiles,
    find_content_fault,
    find_holders,
    looks_complete,
    looks_whole,
    mend_derived_files,
)
from packhouse.storage.files import UNWRITABLE, fsync_path, lock_file, make_folders, write_file
from packhouse.storage.pack_draft import PackDraft
from packhouse.storage.pack_file import PackFile, describe_pack
from packhouse.storage.quarantine import Quarantine, sweep_quarantines
from packhouse.storage.reader_pool import ReaderPool
from packhouse.storage.reading_lock import find_pinned, open_reading_lock
from packhouse.storage.runtime_folder import RuntimeFolder, WriteRefs

MAINTENANCE_LOCK_NAME: Final = "maintenance.lock"
_TURN_LOCKS: Final = 256
_PROBE_BYTES: Final = 64 * limits.KIB
_HALF_PACK_MIN_AGE_S: Final = 3600


class PackStore:
    """Packs on the local disk. Safe for threads and for several server processes on one folder."""

    def __init__(self, data: Path, *, runtime_dir: Path | None = None) -> None:
        self._repos = data / "repos"
        self._quarantines = data / "quarantine"
        self._locks = data / "locks"
        for folder in (data, self._repos, self._quarantines, self._locks):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # other users' eyes have no token
        self._pool = ReaderPool(limits.reader_pool_max)
        self._sound = SoundFiles()
        self._runtime = RuntimeFolder(data, runtime_dir)
        self._scratch: Quarantine | None = None
        self._scratch_guard = threading.Lock()

    def repo_path(self, repo_id: str) -> Path:
        """Return the folder of a repository, which exists once it holds objects. `repo_id` is `repo_…`."""
        return _repo_path(self._repos, repo_id)

    def has_repo(self, repo_id: str) -> bool:
        """Tell whether the repository has a folder: its first objects have arrived."""
        return os.path.exists(f"{self.repo_path(repo_id)}/config")

    def has_pack_folder(self, repo_id: str) -> bool:
        """Tell whether there is a place for the repository's packs."""
        return os.path.isdir(f"{self.repo_path(repo_id)}/objects/pack")

    def ensure_repo(self, repo_id: str) -> Path:
        """Make the bare repository unless it is there, durably, parents included; return its folder.

        Git takes a folder without `refs/` for no repository at all. The config comes last: its presence says
        that everything else is in place.
        """
        path = self.repo_path(repo_id)
        if not self.has_repo(repo_id):
            self._make_repo(path)
        return path

    def _make_repo(self, path: Path) -> None:
        for folder in ("objects/pack", "objects/info", "refs/heads"):
            make_folders(path / folder, stop=self._repos)
        write_file(path / "HEAD", b"ref: refs/heads/main\n")
        write_file(path / "config", BARE_CONFIG)

    def _is_repo(self, path: Path) -> bool:
        """Tell whether git takes the folder for a repository."""
        return all(os.path.exists(f"{path}/{name}") for name in ("config", "HEAD", "refs"))

    def new_quarantine(self) -> Quarantine:
        """Return an empty quarantine on the same disk, so that publishing is a rename."""
        return Quarantine(self._quarantines)

    def new_scratch(self) -> Quarantine:
        """Return an empty quarantine for a read, which must not need a disk that takes writes."""
        status = os.statvfs(self._quarantines)
        is_full = status.f_bavail * status.f_frsize < limits.disk_min_free_bytes
        if is_full or status.f_flag & os.ST_RDONLY:
            return self._runtime.new_scratch()
        return self.new_quarantine()

    @contextlib.contextmanager
    def refs(self, repo_id: str, write: WriteRefs) -> Iterator[tuple[Path, tuple[int, ...]]]:
        """Give a folder that git takes for the repository, with refs that `write` brings up to date.

        It is the repository's own folder and, where the disk takes no writes, one of the runtime folder. The second
        value are locks that git children inherit.
        """
        path = self.repo_path(repo_id)
        try:
            write(path)
        except OSError as error:
            if error.errno not in UNWRITABLE:
                raise
        else:
            yield path, ()
            return
        with self._runtime.refs(repo_id, path / "objects", write) as (folder, lock):
            yield folder, (lock,)

    def new_draft(self) -> PackDraft:
        """Return an empty pack of this process's own making, on the same disk."""
        return PackDraft(self.scratch_dir())

    def scratch_dir(self) -> Path:
        """Return this process's folder for temporary files; a later process sweeps it after a crash."""
        with self._scratch_guard:
            if self._scratch is None:
                self._scratch = Quarantine(self._quarantines)
            return self._scratch.path

    @staticmethod
    def _pack_dir(repo_path: Path) -> Path:
        return repo_path / "objects" / "pack"

    def publish_draft(self, draft: PackDraft, repo_id: str) -> PackFile:
        """Finish the draft and move it into the repository; return the pack once it is durable."""
        pack_dir = self._pack_dir(self.ensure_repo(repo_id))
        info = draft.publish(pack_dir)
        fsync_path(pack_dir)
        return PackFile(info.name, info.size_bytes, info.objects)

    def publish(self, quarantine: Quarantine, repo_id: str) -> list[PackFile]:
        """Move every pack of the quarantine into the repository; return them once they are durable."""
        names = sorted(path.stem for path in quarantine.pack_dir.glob("pack-*.idx"))
        if not names:
            return []
        pack_dir = self.ensure_repo(repo_id) / "objects" / "pack"
        published = [_move_pack(quarantine.pack_dir, pack_dir, name) for name in names]
        fsync_path(pack_dir)
        return published

    def sync_packs(self, repo_id: str) -> None:
        """Force to the disk which files the pack folder has; the multi-pack-index is one of them."""
        fsync_path(self._pack_dir(self.repo_path(repo_id)))

    def list_packs(self, repo_id: str) -> list[PackFile]:
        """Return the packs in place, retired ones included until they are unlinked, in name order.

        A file that does not begin as a pack does is left out.
        """
        pack_dir = self._pack_dir(self.repo_path(repo_id))
        try:
            names = sorted(os.listdir(pack_dir))
        except FileNotFoundError:
            return []
        packs = []
        for name in names:
            if name.startswith("pack-") and name.endswith(".idx"):
                # Maintenance of another process may unlink it between the listing and the look.
                with contextlib.suppress(FileNotFoundError, Corrupt):
                    packs.append(describe_pack(f"{pack_dir}/{name[:-4]}.pack"))
        return packs

    def remove_halves(self, repo_id: str, *, listed: Collection[str], now: int) -> list[str]:
        """Delete packs that a crash left without their idx before they were `listed`; return their names.

        Publishing renames a pack and then at once its idx, so an hour between the two means a crash. A listed pack
        that has lost its idx is left to `mend`.
        """
        removed = []
        for pack in self._pack_dir(self.repo_path(repo_id)).glob("pack-*.pack"):
            name = pack.stem.removeprefix("pack-")
            if name in listed:
                continue
            with contextlib.suppress(FileNotFoundError):  # maintenance unlinks packs too
                # ctime: the rename is what counts, not when the bytes were written.
                age_s = now - pack.stat().st_ctime
                if age_s > _HALF_PACK_MIN_AGE_S and not pack.with_suffix(".idx").exists():
                    pack.with_suffix(".rev").unlink(missing_ok=True)
                    pack.unlink()
                    removed.append(name)
        return removed

    def looks_whole(self, repo_id: str) -> bool:
        """Tell whether git can use the folder, every pack has a sound idx and every idx a pack, by one listing."""
        path = self.repo_path(repo_id)
        return self._is_repo(path) and looks_whole(self._pack_dir(path), self._sound)

    def looks_complete(self, repo_id: str) -> bool:
        """Tell whether git can use the folder and every pack has an idx that opens and names it: small reads."""
        path = self.repo_path(repo_id)
        return self._is_repo(path) and looks_complete(self._pack_dir(path))

    def mend(
        self, repo_id: str, listed: Sequence[PackFile], *, turn: int | None = None, trusting: bool = False
    ) -> Mended:
        """Make anew what is missing or damaged beside the listed packs; `turn` is the maintenance lock, if held.

        Without `trusting` all of it is read again. A repository whose folder is lost has that one fault. Raises
        Unavailable and OSError when something else than damage prevents it, such as a full disk.
        """
        path = self.repo_path(repo_id)
        if not listed:
            return Mended()
        if not self.has_pack_folder(repo_id):
            return Mended(faults=[PackFault("", FOLDER_MISSING)])
        if not trusting:
            self._sound.forget(str(self._pack_dir(path)))
        mended = Mended()
        if not self._is_repo(path):
            self._make_repo(path)
            mended.rebuilt.append("HEAD, refs and config")
        with contextlib.ExitStack() as held:
            if turn is None:
                with contextlib.suppress(
                    OSError
                ):  # no folder, or a disk that takes no lock: no index to drop
                    turn = held.enter_context(self.maintenance(repo_id))
            mend_derived_files(
                self._pack_dir(path),
                listed,
                self._sound,
                mended,
                scratch=self.scratch_dir,
                may_drop_midx=turn is not None,
            )
        if mended.rebuilt:
            self._pool.forget(path)
        return mended

    def find_content_fault(self, repo_id: str, pack: PackFile) -> str | None:
        """Read a listed pack from end to end; return what is wrong with it, or None."""
        return find_content_fault(self._pack_dir(self.repo_path(repo_id)), pack)

    def forget_readers(self, repo_id: str) -> None:
        """Let the next reader of a repository look at its packs anew."""
        self._pool.forget(self.repo_path(repo_id))

    def list_pack_oids(self, repo_id: str, name: str, *, count_max: int) -> list[Oid] | None:
        """Return up to `count_max` ids that the idx of a pack has, None without an idx that can be read."""
        try:
            with PackIdx(self._pack_dir(self.repo_path(repo_id)) / f"pack-{name}.idx") as idx:
                return list(itertools.islice(idx.iter_oids(), count_max))
        except (FileNotFoundError, Corrupt):
            return None

    def find_holders(self, repo_id: str, oid: Oid) -> list[str]:
        """Return the names of the packs in place whose idx has the object."""
        return find_holders(self._pack_dir(self.repo_path(repo_id)), oid)

    def count_packs(self, repo_id: str) -> int:
        """Return the number of packs in the folder, by one listing."""
        try:
            names = os.listdir(self._pack_dir(self.repo_path(repo_id)))
        except FileNotFoundError:
            return 0
        return sum(name.endswith(".idx") for name in names)

    def find_pinned(self, repo_id: str, names: Iterable[str], *, wait_max_s: float) -> set[str]:
        """Return those of the packs, whose objects are all in others, that readers at work may have open.

        The caller holds the maintenance lock and has published a multi-pack-index that does not name them: one
        that does makes libgit2 report existing objects as missing. Readers are given `wait_max_s` to end.
        """
        return find_pinned(self.repo_path(repo_id), names, wait_max_s=wait_max_s)

    def unlink_packs(self, repo_id: str, names: Iterable[str]) -> None:
        """Remove packs that `find_pinned` did not return. The idx goes before its pack."""
        pack_dir = self._pack_dir(self.repo_path(repo_id))
        there = set(os.listdir(pack_dir))
        for name in names:
            for suffix in (".idx", ".rev", ".bitmap", ".pack"):
                if f"pack-{name}{suffix}" in there:
                    os.unlink(f"{pack_dir}/pack-{name}{suffix}")
        fsync_path(pack_dir)

    @contextlib.contextmanager
    def reader(
        self, repo_id: str, *, before_open: Callable[[], object] | None = None
    ) -> Iterator[ObjectReader]:
        """Lend an open object reader; no pack that it may use is unlinked meanwhile.

        `before_open` is called when none is open yet. Raises FileNotFoundError when the repository holds no object
        yet (ask `has_repo`).
        """
        path = self.repo_path(repo_id)
        pooled = self._pool.take(path, before_open)
        try:
            assert pooled.reader is not None
            yield pooled.reader
        finally:
            self._pool.give_back(path, pooled)

    @contextlib.contextmanager
    def hold(self, repo_id: str) -> Iterator[int]:
        """Keep packs in place for as long as a git child runs; pass the descriptor to it (`pass_fds`)."""
        descriptor = open_reading_lock(self.repo_path(repo_id))
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def turn(self, repo_id: str, refname: bytes) -> Iterator[None]:
        """Wait until no other process of this machine writes to the ref, then keep others waiting.

        Only fairness hangs on it: it spares writers the work of a lost race. Different refs may share a lock.
        """
        number = zlib.crc32(refname, zlib.crc32(repo_id.encode("ascii"))) % _TURN_LOCKS
        with lock_file(self._locks / f"turn-{number:02x}", exclusive=True):
            yield

    @contextlib.contextmanager
    def maintenance(self, repo_id: str) -> Iterator[int | None]:
        """Give a descriptor to the one process that may rewrite this repository's packs now, None to others.

        Git children that write in the folder inherit it (`pass_fds`): one that outlives a killed server keeps
        the lock. So whatever git's own lock file says, nobody writes a multi-pack-index when we hold ours.
        """
        with lock_file(self.repo_path(repo_id) / MAINTENANCE_LOCK_NAME, exclusive=True, wait=False) as held:
            if held is not None:
                lock_of_git = self._pack_dir(self.repo_path(repo_id)) / "multi-pack-index.lock"
                lock_of_git.unlink(missing_ok=True)
            yield held

    def sweep(self) -> int:
        """Remove the quarantines of dead processes; return how many."""
        return sweep_quarantines(self._quarantines) + self._runtime.sweep()

    def iter_repo_ids(self) -> Iterator[str]:
        """Yield the ids of the repositories that have a folder."""
        for config in self._repos.glob("*/*/repo_*/config"):
            yield config.parent.name

    def remove_repo(self, repo_id: str) -> bool:
        """Delete the folder of a deleted repository, also what a crash left of it; tell whether there was one."""
        path = self.repo_path(repo_id)
        self._pool.forget(path)
        if not path.exists():
            return False
        shutil.rmtree(path)
        return True

    def check(self) -> None:
        """Raise OSError unless a file can be made, forced to the disk and removed here."""
        probe = self._locks / f".probe-{os.getpid()}-{threading.get_ident()}"
        try:
            with probe.open("xb") as file:
                file.write(bytes(_PROBE_BYTES))  # an empty file can be made on a full disk too
                file.flush()
                os.fsync(file.fileno())
        finally:
            probe.unlink(missing_ok=True)

    def close(self) -> None:
        """Close every pooled reader and remove this process's scratch folder and runtime files."""
        self._pool.close()
        self._runtime.close()
        with self._scratch_guard:
            if self._scratch is not None:
                self._scratch.discard()
                self._scratch = None


def _move_pack(source: Path, target: Path, name: str) -> PackFile:
    """Force one pack to the disk and move it in: pack, then reverse index, then the idx that shows it."""
    pack, idx = source / f"{name}.pack", source / f"{name}.idx"
    fsync_path(pack)
    fsync_path(idx)
    described = describe_pack(str(pack))
    for suffix in (".pack", ".rev", ".idx"):
        file = source / f"{name}{suffix}"
        if file.exists():
            file.rename(target / file.name)
    return described


@functools.lru_cache(maxsize=10_000)
def _repo_path(repos: Path, repo_id: str) -> Path:
    key = repo_id.removeprefix("repo_")
    assert len(key) >= 4 and key.isalnum(), repo_id
    return repos / key[:2] / key[2:4] / repo_id
