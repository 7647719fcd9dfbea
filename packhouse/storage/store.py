"""The interface of a store of packs, for every kind of store.

A store knows packs by repository and name. It does not know what they mean to Git. SQL lists the packs of a repository,
and the store shows the packs that it is told to show. A store never lists packs for a reader.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packhouse.git import Oid
from packhouse.git.objects import ObjectReader
from packhouse.git.packs import MemoryPack, Pack
from packhouse.storage.journal_folders import ShownPacks
from packhouse.storage.new_pack import NewPack
from packhouse.storage.quarantine import Quarantine

MISSING: Final = "listed pack is missing"
FOLDER_MISSING: Final = "folder of the repository is missing"


@dataclass(frozen=True, slots=True)
class PackFault:
    """A listed pack that cannot be used, and the reason in constant words. A name of "" stands for all packs."""

    pack: str
    reason: str


@dataclass(slots=True)
class Mended:
    """`rebuilt` names the files that were made anew or removed. `faults` has the packs that stay unusable."""

    rebuilt: list[str]
    faults: list[PackFault]


@dataclass(frozen=True, slots=True)
class PackSet:
    """The packs to show. Sets of one `generation` differ only in added packs: none has retired."""

    generation: int
    packs: Sequence[Pack]


class OpenedPacks(ABC):
    """A held local folder that shows packs. Its packs stay readable until it is closed.

    It shows the usable packs of the set that was opened, and perhaps newer ones of its generation.
    """

    mended: Mended
    """The files that were made anew to show the set, and the packs that are not shown."""

    object_dir: Path
    """The folder, in git's layout of an object directory."""

    descriptors: tuple[int, ...]
    """Descriptors that git children inherit. They keep the folder while a child runs, even without this process."""

    @abstractmethod
    def reader(self) -> AbstractContextManager[ObjectReader]:
        """Give one thread a reader of the objects in the folder."""

    @abstractmethod
    def close(self) -> None:
        """Give the folder back. A second call is harmless."""


class PackStore(ABC):
    """Packs by repository (`repo_…`) and name. Safe for threads, and for several processes on one store.

    Every method raises OSError if the disk is full, read-only or fails. Other stores raise it for similar failures.
    """

    @abstractmethod
    def put(self, repo_id: str, name: str, pack: Path, idx: Path) -> None:
        """Store the files of a finished pack under `name`. On return the pack is durable and readable.

        The files are moved if possible. An existing pack of that name is replaced, completely or in part: the caller
        has a row for the name, and nobody else stores under it. The idx is derived and need not be durable.
        """

    @abstractmethod
    def link(self, source_id: str, source_name: str, repo_id: str, name: str) -> None:
        """Store a pack of another repository like `put`, without copying its bytes if possible.

        Raises FileNotFoundError if the source has no such pack.
        """

    @abstractmethod
    def open(self, repo_id: str, wanted: PackSet) -> OpenedPacks:
        """Show the packs of a set. Packs that are missing or cannot be mended are among the faults of `mended`.

        Makes a lost or damaged idx anew.
        """

    @abstractmethod
    def show_journal(self, repo_id: str, packs: Sequence[MemoryPack]) -> ShownPacks:
        """Show packs of the journal to git, in a folder of their own that is held until the result is closed.

        It must not need a store that takes writes.
        """

    @abstractmethod
    def delete(self, repo_id: str, names: Collection[str]) -> set[str]:
        """Remove packs. Return the names of packs that are gone, also of those that were gone before.

        Open packs stay readable for their users. If that is not possible, the pack stays for now.
        """

    @abstractmethod
    def missing(self, repo_id: str, packs: Collection[Pack]) -> list[PackFault]:
        """Return those packs that are missing, or have another size or header than they were written with."""

    @abstractmethod
    def stat(self, repo_id: str, name: str) -> Pack | None:
        """Return size and number of objects from a pack's file; None if there is none."""

    @abstractmethod
    def list_names(self, repo_id: str) -> list[str]:
        """Return the names of all packs in place, listed or not. For maintenance of the store only."""

    @abstractmethod
    def survey(self, repo_id: str) -> list[Pack]:
        """Return the packs in place that an earlier release may have published, with their idx, sorted by name.

        Their names are their hashes. A pack of any other name has or had a row, and may be about to be deleted. Removes
        files that the earlier release left beside them and that would mislead git once packs are deleted.
        """

    @abstractmethod
    def iter_repo_ids(self) -> Iterator[str]:
        """Yield the repositories that have a place in the store."""

    @abstractmethod
    def remove_repo(self, repo_id: str) -> bool:
        """Delete all packs of a repository. Return whether there were any. Open packs stay readable."""

    @abstractmethod
    def mend(self, repo_id: str, packs: Sequence[Pack], *, trusting: bool) -> Mended:
        """Make the missing or damaged derived files of the packs anew, also for users that have the packs open.

        With `trusting`, files that were found sound before and look unchanged are not read again.
        """

    @abstractmethod
    def recheck(self, repo_id: str, opened: OpenedPacks, packs: Sequence[Pack]) -> Mended:
        """Check once, before git runs, whether `opened` still shows the packs as they were. Make damaged files anew."""

    @abstractmethod
    def forget_readers(self, repo_id: str) -> None:
        """Let the next reader of a repository open its packs anew."""

    @abstractmethod
    def find_holders(self, repo_id: str, packs: Sequence[Pack], oid: Oid) -> list[Pack]:
        """Return those packs whose idx has the object. A pack with an unreadable idx is left out."""

    @abstractmethod
    def list_oids(self, repo_id: str, name: str) -> Iterator[Oid]:
        """Yield the ids of the objects in a pack, sorted. Raises FileNotFoundError without a pack, and Corrupt."""

    @abstractmethod
    def find_content_fault(self, repo_id: str, pack: Pack) -> str | None:
        """Read a pack from end to end. Return its fault, or None."""

    @abstractmethod
    def new_pack(self) -> NewPack:
        """Return an empty pack that this process writes itself. `put` moves it to its place."""

    @abstractmethod
    def new_quarantine(self) -> Quarantine:
        """Return an empty folder for objects that are not accepted yet. `put` moves them to their place."""

    @abstractmethod
    def new_scratch(self) -> Quarantine:
        """Return an empty folder for a read. It must not need a store that takes writes."""

    @abstractmethod
    def scratch_dir(self) -> Path:
        """Return this process's folder for temporary files. After a crash, a later process sweeps it."""

    @abstractmethod
    def skeleton(self) -> Path:
        """Return a bare repository without refs and objects. Git works in it on a folder that `open` shows."""

    @abstractmethod
    def git_dir(
        self, repo_id: str, write: Callable[[Path], None]
    ) -> AbstractContextManager[tuple[Path, tuple[int, ...]]]:
        """Give a bare repository with refs that `write` brings up to date, and the descriptors for git children.

        If possible, its folder is the same for all calls of a repository. It contains no objects.
        """

    @abstractmethod
    def writer_lock(self, repo_id: str, refname: bytes) -> AbstractContextManager[None]:
        """Wait until no other process of this machine writes to the ref, then hold the lock inside the block.

        The lock gives fairness, not safety: it spares writers the work of a lost race. Different refs may share a lock.
        """

    @abstractmethod
    def sweep(self) -> int:
        """Remove leftovers of dead processes: new packs, quarantines, unused folders. Return their number."""

    @abstractmethod
    def check(self) -> None:
        """Check that a file can be made, synced to the disk and removed. Raises OSError otherwise."""

    @abstractmethod
    def close(self) -> None:
        """Close every reader and remove this process's temporary files."""
