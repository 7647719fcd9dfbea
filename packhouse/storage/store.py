"""What keeps packs: the interface, whichever store is behind it.

A store knows packs by repository and name and nothing of what they mean to Git. Which packs a repository consists of
is a question to SQL; a store is told which ones to show. So a store never lists on behalf of a reader.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packhouse.git.objects.reader import ObjectReader
from packhouse.git.oid import Oid
from packhouse.git.packs.pack import Pack
from packhouse.storage.new_pack import NewPack
from packhouse.storage.quarantine import Quarantine

MISSING: Final = "listed pack is missing"
FOLDER_MISSING: Final = "folder of the repository is missing"


@dataclass(frozen=True, slots=True)
class PackFault:
    """A listed pack that cannot be used as it should, and why, in constant words; "" stands for all of them."""

    pack: str
    reason: str


@dataclass(slots=True)
class Mended:
    """`rebuilt` names the files that were made anew or removed, `faults` the packs that stay unusable."""

    rebuilt: list[str]
    faults: list[PackFault]


@dataclass(frozen=True, slots=True)
class PackSet:
    """Which packs to show. Sets of one `generation` differ only in packs that were added: none has retired."""

    generation: int
    packs: Sequence[Pack]


class OpenedPacks(ABC):
    """A local folder that shows packs, held: what it shows stays readable until it is closed.

    It shows the packs of the set that was opened, as far as they can be used, and perhaps newer ones of its generation.
    """

    mended: Mended
    """What was made anew to show the packs of the set, and those that are not shown."""

    object_dir: Path
    """The folder in git's layout of an object directory."""

    descriptors: tuple[int, ...]
    """What git children inherit, so that the folder stays while one of them runs, even without this process."""

    @abstractmethod
    def reader(self) -> AbstractContextManager[ObjectReader]:
        """Lend a reader of the objects in the folder, to one thread."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the folder. Harmless when done before."""


class PackStore(ABC):
    """Packs by repository (`repo_…`) and name. Safe for threads and for several processes on one store.

    Every method raises OSError for a disk that is full, read-only or fails, or what is like it elsewhere.
    """

    @abstractmethod
    def put(self, repo_id: str, name: str, pack: Path, idx: Path) -> None:
        """Take the files of a finished pack under `name`; it is durable, and readable at once, when this returns.

        The files are moved where they can be. A pack of the name that is there is replaced, whole or in part: the
        caller has a row for the name that nobody else stores under. The idx is derived, and need not be durable.
        """

    @abstractmethod
    def link(self, source_id: str, source_name: str, repo_id: str, name: str) -> None:
        """Take a stored pack of another repository in as `put` does, without its bytes being copied where possible.

        Raises FileNotFoundError when the source has no such pack.
        """

    @abstractmethod
    def open(self, repo_id: str, wanted: PackSet) -> OpenedPacks:
        """Show the packs of a set. What is missing or damaged beyond mending is among the faults of `mended`.

        A lost or damaged idx is made anew on the way.
        """

    @abstractmethod
    def delete(self, repo_id: str, names: Collection[str]) -> set[str]:
        """Remove packs; return the names that are gone, also those that were gone before.

        What is open stays readable for those who opened it; where that cannot be had, the pack stays for now.
        """

    @abstractmethod
    def missing(self, repo_id: str, packs: Collection[Pack]) -> list[PackFault]:
        """Return those of the packs that are not there, or not with the size and header that they were written with."""

    @abstractmethod
    def stat(self, repo_id: str, name: str) -> Pack | None:
        """Return what a pack's file says of itself: size and number of objects; None when there is none."""

    @abstractmethod
    def list_names(self, repo_id: str) -> list[str]:
        """Return the names of all packs in place, listed or not: for those who look after the store."""

    @abstractmethod
    def survey(self, repo_id: str) -> list[Pack]:
        """Return the packs in place that an earlier release may have published, complete with idx; in name order.

        Those have their hash for a name. A pack of any other name has, or had, a row, and may be about to go.
        What that release left beside them, and which would mislead git once packs go, is removed.
        """

    @abstractmethod
    def iter_repo_ids(self) -> Iterator[str]:
        """Yield the repositories that have a place in the store."""

    @abstractmethod
    def remove_repo(self, repo_id: str) -> bool:
        """Delete all of a repository's packs; tell whether there was something. What is open stays readable."""

    @abstractmethod
    def mend(self, repo_id: str, packs: Sequence[Pack], *, trusting: bool) -> Mended:
        """Make anew what is missing or damaged beside the packs, also for those who have them open.

        With `trusting`, what was found sound before and does not look changed is not read again.
        """

    @abstractmethod
    def recheck(self, repo_id: str, opened: OpenedPacks, packs: Sequence[Pack]) -> Mended:
        """Look once whether what `opened` shows of the packs is as it was, before git runs; make anew what is not."""

    @abstractmethod
    def forget_readers(self, repo_id: str) -> None:
        """Let the next reader of a repository look at its packs anew."""

    @abstractmethod
    def find_holders(self, repo_id: str, packs: Sequence[Pack], oid: Oid) -> list[Pack]:
        """Return those of the packs whose idx has the object; one whose idx cannot be read is left out."""

    @abstractmethod
    def list_oids(self, repo_id: str, name: str) -> Iterator[Oid]:
        """Yield the ids of the objects in a pack, sorted; raise FileNotFoundError without one, Corrupt."""

    @abstractmethod
    def find_content_fault(self, repo_id: str, pack: Pack) -> str | None:
        """Read a pack from end to end; return what is wrong with it, or None."""

    @abstractmethod
    def new_pack(self) -> NewPack:
        """Return an empty pack of this process's own making, from where `put` moves it."""

    @abstractmethod
    def new_quarantine(self) -> Quarantine:
        """Return an empty folder for objects that are not accepted yet, from where `put` moves them."""

    @abstractmethod
    def new_scratch(self) -> Quarantine:
        """Return an empty folder for a read, which must not need a store that takes writes."""

    @abstractmethod
    def scratch_dir(self) -> Path:
        """Return this process's folder for temporary files; a later process sweeps it after a crash."""

    @abstractmethod
    def skeleton(self) -> Path:
        """Return a bare repository without refs and objects, in which git works on a folder that `open` shows."""

    @abstractmethod
    def git_dir(
        self, repo_id: str, write: Callable[[Path], None]
    ) -> AbstractContextManager[tuple[Path, tuple[int, ...]]]:
        """Give a bare repository in which `write` brings the refs up to date, and what git children inherit.

        Its folder is the same for all calls of a repository where that can be had. Objects are not in there.
        """

    @abstractmethod
    def writer_lock(self, repo_id: str, refname: bytes) -> AbstractContextManager[None]:
        """Wait until no other process of this machine writes to the ref, then keep others waiting inside the block.

        The lock gives fairness, not safety: it spares writers the work of a lost race. Different refs may share a lock.
        """

    @abstractmethod
    def maintenance_lease(self, repo_id: str) -> AbstractContextManager[bool]:
        """Tell whether this process alone may rewrite the repository's packs inside the block, on this machine."""

    @abstractmethod
    def sweep(self) -> int:
        """Remove what dead processes left: new packs, quarantines, folders that nobody holds; return how many."""

    @abstractmethod
    def check(self) -> None:
        """Raise OSError unless a file can be made, forced to the disk and removed here."""

    @abstractmethod
    def close(self) -> None:
        """Close every reader and remove this process's temporary files."""
