"""Packs in the memory of this process: for tests, and for the simulation, which inserts faults between the steps.

Each method that changes something is one step: it has happened completely or not at all. The files for git and libgit2
are written to a temporary folder, in a memory file system if there is one. They stay there while it is open.
"""

import contextlib
import os
import shutil
import tempfile
import threading
import weakref
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from packhouse.errors import Corrupt
from packhouse.git import Oid
from packhouse.git.packs import MemoryPack, Pack, PackIdx
from packhouse.limits import MIB
from packhouse.storage.bare_repo import make_bare
from packhouse.storage.derived_files import (
    SoundFiles,
    find_content_fault,
    find_file_fault,
    has_object,
    looks_unchanged,
    mend_pack,
)
from packhouse.storage.journal_folders import JournalFolders, ShownPacks
from packhouse.storage.memory.views import MemoryViews
from packhouse.storage.new_pack import NewPack
from packhouse.storage.opened_folder import NoPacks
from packhouse.storage.pack_file import describe_pack
from packhouse.storage.quarantine import Quarantine, sweep_quarantines
from packhouse.storage.store import (
    FOLDER_MISSING,
    MISSING,
    Mended,
    OpenedPacks,
    PackFault,
    PackSet,
    PackStore,
)

_MEMORY: Final = Path("/dev/shm")  # noqa: S108  # we make a folder of our own there
_WRITER_LOCKS: Final = 64
_JOURNAL_FOLDERS_MAX: Final = 16


@dataclass(frozen=True, slots=True)
class StoredPack:
    """The bytes of a pack and its idx. `sound_as` is the description that these bytes had at their last check."""

    pack: bytes
    idx: bytes | None
    sound_as: Pack | None = None


@dataclass(slots=True)
class MemoryPacks:
    """All packs by repository and name, and the locks. Stores that share them act as processes of one machine."""

    repos: dict[str, dict[str, StoredPack]] = field(default_factory=dict)
    guard: threading.Lock = field(default_factory=threading.Lock)
    writer_locks: list[threading.Lock] = field(
        default_factory=lambda: [threading.Lock() for _ in range(_WRITER_LOCKS)]
    )

    def find(self, repo_id: str, name: str) -> StoredPack | None:
        """Return a pack; None if there is none."""
        with self.guard:
            return self.repos.get(repo_id, {}).get(name)

    def take(self, repo_id: str, name: str, stored: StoredPack) -> None:
        """Store a pack, in place of the one with that name."""
        with self.guard:
            self.repos.setdefault(repo_id, {})[name] = stored

    def exchange(self, repo_id: str, name: str, old: StoredPack, new: StoredPack) -> None:
        """Replace `old` by `new`, unless another pack is there by now."""
        with self.guard:
            if self.repos.get(repo_id, {}).get(name) is old:
                self.repos[repo_id][name] = new


class MemoryPackStore(PackStore):
    """A store that is gone with this process."""

    def __init__(self, packs: MemoryPacks | None = None) -> None:
        self.packs = packs or MemoryPacks()
        base = _MEMORY if os.access(_MEMORY, os.W_OK) else None
        self.root = Path(tempfile.mkdtemp(prefix="packhouse-test-", dir=base))
        self._removal = weakref.finalize(self, shutil.rmtree, self.root, ignore_errors=True)
        self._quarantines = self.root / "quarantine"
        self._quarantines.mkdir()
        self._views = MemoryViews(self.root / "views", self._write_out)
        self._journal = JournalFolders(
            self._new_filled_quarantine, count_max=_JOURNAL_FOLDERS_MAX, size_max_bytes=16 * MIB
        )
        self._sound = SoundFiles()
        self._guard = threading.Lock()
        self._scratch: Quarantine | None = None

    def _new_filled_quarantine(self, fill: Callable[[Quarantine], None]) -> Quarantine:
        quarantine = self.new_quarantine()
        fill(quarantine)
        return quarantine

    def put(self, repo_id: str, name: str, pack: Path, idx: Path) -> None:
        """See PackStore."""
        self.packs.take(repo_id, name, StoredPack(pack.read_bytes(), idx.read_bytes()))
        for path in (pack, pack.with_suffix(".rev"), idx):
            path.unlink(missing_ok=True)

    def link(self, source_id: str, source_name: str, repo_id: str, name: str) -> None:
        """See PackStore."""
        stored = self.packs.find(source_id, source_name)
        if stored is None:
            raise FileNotFoundError(MISSING)
        self.packs.take(repo_id, name, replace(stored, sound_as=None))

    def open(self, repo_id: str, wanted: PackSet) -> OpenedPacks:
        """See PackStore."""
        return self._views.open(repo_id, wanted) if wanted.packs else NoPacks(self.skeleton() / "objects")

    def show_journal(self, repo_id: str, packs: Sequence[MemoryPack]) -> ShownPacks:
        """See PackStore."""
        return self._journal.show(repo_id, packs)

    def delete(self, repo_id: str, names: Collection[str]) -> set[str]:
        """See PackStore."""
        with self.packs.guard:
            there = self.packs.repos.get(repo_id, {})
            for name in names:
                there.pop(name, None)
        return set(names)

    def missing(self, repo_id: str, packs: Collection[Pack]) -> list[PackFault]:
        """See PackStore."""
        if packs and repo_id not in self.packs.repos:
            return [PackFault("", FOLDER_MISSING)]
        faults = []
        for pack in packs:
            with self._written_out(repo_id, pack.name) as folder:
                fault = find_file_fault(folder, pack)
            if fault is not None:
                faults.append(PackFault(pack.name, fault))
        return faults

    def stat(self, repo_id: str, name: str) -> Pack | None:
        """See PackStore."""
        with self._written_out(repo_id, name) as folder:
            try:
                return describe_pack(f"{folder}/pack-{name}.pack")
            except (FileNotFoundError, Corrupt):
                return None

    def list_names(self, repo_id: str) -> list[str]:
        """See PackStore."""
        with self.packs.guard:
            return sorted(self.packs.repos.get(repo_id, {}))

    def survey(self, repo_id: str) -> list[Pack]:
        """See PackStore."""
        with self.packs.guard:
            there = sorted(self.packs.repos.get(repo_id, {}).items())
        whole = (name for name, stored in there if stored.idx and stored.pack[-20:].hex() == name)
        packs = (self.stat(repo_id, name) for name in whole)
        return [pack for pack in packs if pack is not None]

    def iter_repo_ids(self) -> Iterator[str]:
        """See PackStore."""
        with self.packs.guard:
            repo_ids = sorted(self.packs.repos)
        yield from repo_ids

    def remove_repo(self, repo_id: str) -> bool:
        """See PackStore."""
        self._views.forget_repo(repo_id)
        self._journal.forget_repo(repo_id)
        with self.packs.guard:
            return self.packs.repos.pop(repo_id, None) is not None

    def mend(self, repo_id: str, packs: Sequence[Pack], *, trusting: bool) -> Mended:
        """See PackStore. A repository that has lost its place has one fault, for all packs."""
        mended = Mended([], [])
        if packs and repo_id not in self.packs.repos:
            return Mended([], [PackFault("", FOLDER_MISSING)])
        for pack in packs:
            stored = self.packs.find(repo_id, pack.name)
            if not (trusting and stored is not None and stored.sound_as == pack):
                with self._written_out(repo_id, pack.name) as folder:
                    self._look(repo_id, pack, folder, mended)
            stored = self.packs.find(repo_id, pack.name)
            if stored is not None and stored.idx is not None:
                self._views.show_idx(repo_id, pack.name, stored.idx)
        if mended.rebuilt or not trusting:
            self._views.forget_readers(repo_id)
        return mended

    def recheck(self, repo_id: str, opened: OpenedPacks, packs: Sequence[Pack]) -> Mended:
        """See PackStore."""
        names = (pack.name for pack in packs)
        if not opened.mended.faults and looks_unchanged(opened.object_dir / "pack", names, self._sound):
            return Mended([], [])
        return self.mend(repo_id, packs, trusting=True)

    def forget_readers(self, repo_id: str) -> None:
        """See PackStore."""
        self._views.forget_readers(repo_id)

    def find_holders(self, repo_id: str, packs: Sequence[Pack], oid: Oid) -> list[Pack]:
        """See PackStore."""
        holders = []
        for pack in packs:
            with self._written_out(repo_id, pack.name) as folder:
                if has_object(folder, pack.name, oid):
                    holders.append(pack)
        return holders

    def list_oids(self, repo_id: str, name: str) -> Iterator[Oid]:
        """See PackStore."""
        with self._written_out(repo_id, name) as folder, PackIdx(folder / f"pack-{name}.idx") as idx:
            oids = list(idx.iter_oids())
        yield from oids

    def find_content_fault(self, repo_id: str, pack: Pack) -> str | None:
        """See PackStore."""
        with self._written_out(repo_id, pack.name) as folder:
            return find_content_fault(folder, pack)

    def damage(
        self, repo_id: str, name: str, change: Callable[[bytes], bytes | None], *, suffix: str = ".pack"
    ) -> None:
        """Change the bytes of a pack or its idx by `change`, which returns None to lose the file.

        As on a disk with hard links, users that have the file open see a change and keep a lost file.
        """
        stored = self.packs.find(repo_id, name)
        assert stored is not None, "only what is there is damaged"
        before = stored.pack if suffix == ".pack" else stored.idx
        assert before is not None
        after = change(before)
        if suffix == ".idx":
            self.packs.take(repo_id, name, StoredPack(stored.pack, after))
        elif after is None:
            MemoryPackStore.delete(self, repo_id, [name])
        else:
            self.packs.take(repo_id, name, StoredPack(after, stored.idx))
        if after is not None:
            self._views.overwrite(repo_id, f"pack-{name}{suffix}", after)

    def new_pack(self) -> NewPack:
        """See PackStore."""
        return NewPack(self.scratch_dir)

    def new_quarantine(self) -> Quarantine:
        """See PackStore."""
        return Quarantine(self._quarantines)

    def new_scratch(self) -> Quarantine:
        """See PackStore."""
        return self.new_quarantine()

    def scratch_dir(self) -> Path:
        """See PackStore."""
        with self._guard:
            if self._scratch is None:
                self._scratch = Quarantine(self._quarantines)
            return self._scratch.path

    def skeleton(self) -> Path:
        """See PackStore."""
        path = self.root / "skeleton"
        make_bare(path)
        return path

    @contextlib.contextmanager
    def git_dir(self, repo_id: str, write: Callable[[Path], None]) -> Iterator[tuple[Path, tuple[int, ...]]]:
        """See PackStore."""
        path = self.root / "git" / repo_id
        make_bare(path)
        write(path)
        yield path, ()

    @contextlib.contextmanager
    def writer_lock(self, repo_id: str, refname: bytes) -> Iterator[None]:
        """See PackStore."""
        number = zlib.crc32(refname, zlib.crc32(repo_id.encode("ascii"))) % _WRITER_LOCKS
        with self.packs.writer_locks[number]:
            yield

    def sweep(self) -> int:
        """See PackStore."""
        return sweep_quarantines(self._quarantines)

    def check(self) -> None:
        """See PackStore."""
        probe = self.root / f".probe-{threading.get_ident()}"
        probe.write_bytes(b"x")
        probe.unlink()

    def close(self) -> None:
        """See PackStore."""
        self._views.close()
        self._journal.close()
        with self._guard:
            if self._scratch is not None:
                self._scratch.discard()
                self._scratch = None
        self._removal()

    def _look(self, repo_id: str, pack: Pack, folder: Path, mended: Mended) -> bool:
        """Check a pack that was written to `folder`, and make its idx anew if needed. Return whether it can be used."""
        stored = self.packs.find(repo_id, pack.name)
        if not mend_pack(folder, pack, SoundFiles(), mended, scratch=lambda: folder):
            return False
        if stored is not None:
            idx = (folder / f"pack-{pack.name}.idx").read_bytes()
            self.packs.exchange(repo_id, pack.name, stored, StoredPack(stored.pack, idx, sound_as=pack))
        return True

    def _write_out(self, repo_id: str, pack: Pack, folder: Path, mended: Mended) -> bool:
        """Write a usable pack to `folder`. Return whether it is there, and note why not."""
        stored = self.packs.find(repo_id, pack.name)
        if stored is not None and stored.sound_as == pack:
            _write(folder, pack.name, stored)
            return True
        with self._written_out(repo_id, pack.name) as written:
            if not self._look(repo_id, pack, written, mended):
                return False
            for suffix in (".pack", ".idx"):
                (written / f"pack-{pack.name}{suffix}").rename(folder / f"pack-{pack.name}{suffix}")
        return True

    @contextlib.contextmanager
    def _written_out(self, repo_id: str, name: str) -> Iterator[Path]:
        """Give a separate folder with the pack, or an empty folder if there is none."""
        with tempfile.TemporaryDirectory(dir=self.scratch_dir()) as folder:
            stored = self.packs.find(repo_id, name)
            if stored is not None:
                _write(Path(folder), name, stored)
            yield Path(folder)


def _write(folder: Path, name: str, stored: StoredPack) -> None:
    (folder / f"pack-{name}.pack").write_bytes(stored.pack)
    if stored.idx is not None:
        (folder / f"pack-{name}.idx").write_bytes(stored.idx)
