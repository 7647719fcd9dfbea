"""Folders in which git sees packs that are rows of the journal.

A folder belongs to one repository and one process. It gains the packs of new rows, a file each. Once it has many files,
or shows a pack that is no row any more, another folder with one joined pack takes its place. Users of the old folder
keep it. Nothing is synced to the disk: a later process removes the folders of a dead one.
"""

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from packhouse.endings import Closing
from packhouse.git.packs import MemoryPack, PackWriter, join_packs, write_idx
from packhouse.storage.quarantine import Quarantine

_FILES_MAX: Final = 8  # packs of one folder; git reads the idx of each
_JOINED_MIN: Final = 3  # so many new packs become one file

NewFolder = Callable[[Callable[[Quarantine], None]], Quarantine]
"""Makes a locked folder and fills it, in a place that takes the files. Raises OSError if none does."""


@dataclass(slots=True, eq=False)
class _Folder:
    """`shown` are the names of the packs whose objects are in the folder."""

    quarantine: Quarantine
    shown: set[str]
    files: int
    size_bytes: int
    guard: threading.Lock = field(default_factory=threading.Lock)
    users: int = 0
    is_replaced: bool = False

    def end_use(self) -> bool:
        """End a use. Return whether the folder goes now."""
        self.users -= 1
        return self.is_replaced and self.users == 0

    def replace(self) -> bool:
        """Let the folder go with its last user. Return whether it goes now."""
        is_first = not self.is_replaced
        self.is_replaced = True
        return is_first and self.users == 0


class ShownPacks(Closing):
    """A use of a folder that shows packs to git. The folder stays until it is closed."""

    def __init__(self, folder: _Folder, give_back: Callable[[_Folder], None]) -> None:
        self._folder: _Folder | None = folder
        self._give_back = give_back
        self.object_dir = folder.quarantine.object_dir
        self.descriptors = (folder.quarantine.descriptor,)

    @property
    def is_in_place(self) -> bool:
        """Whether the folder is still there. Somebody may have emptied the place of runtime files."""
        return os.path.isdir(f"{self.object_dir}/pack")

    def close(self) -> None:
        """Give the folder back. A second call is harmless."""
        folder, self._folder = self._folder, None
        if folder is not None:
            self._give_back(folder)


class JournalFolders:
    """The folders of this process. The least recently used ones go first when they are too many or too large."""

    def __init__(self, new_folder: NewFolder, *, count_max: int, size_max_bytes: int) -> None:
        self._new_folder = new_folder
        self._count_max = count_max
        self._size_max_bytes = size_max_bytes
        self._guard = threading.Lock()
        self._folders: dict[str, _Folder] = {}  # in the order of their last use

    def show(self, repo_id: str, packs: Sequence[MemoryPack]) -> ShownPacks:
        """Show the packs to git and hold the folder. Raises OSError if no place takes the files."""
        wanted = {pack.pack.name for pack in packs}
        while True:
            folder = self._take(repo_id, wanted)
            if folder is None:
                return ShownPacks(self._make(repo_id, packs), self._give_back)
            if self._add(folder, [pack for pack in packs if pack.pack.name not in folder.shown]):
                return ShownPacks(folder, self._give_back)
            self._replace(repo_id, folder)
            self._give_back(folder)

    def forget_repo(self, repo_id: str) -> None:
        """Remove the folder of a repository, or let its last user remove it."""
        with self._guard:
            folder = self._folders.get(repo_id)
        if folder is not None:
            self._replace(repo_id, folder)

    def close(self) -> None:
        """Remove every folder without a user."""
        for repo_id in list(self._folders):
            self.forget_repo(repo_id)

    def _take(self, repo_id: str, wanted: set[str]) -> _Folder | None:
        """Return the folder of a repository, in use, if it shows nothing else than `wanted` and is still there."""
        with self._guard:
            folder = self._folders.pop(repo_id, None)
            if folder is None:
                return None
            self._folders[repo_id] = folder
            folder.users += 1
        if folder.shown <= wanted and os.path.isdir(folder.quarantine.pack_dir):
            return folder
        self._replace(repo_id, folder)
        self._give_back(folder)
        return None

    def _add(self, folder: _Folder, missing: Sequence[MemoryPack]) -> bool:
        """Show more packs in a folder. Return False when another folder must take its place."""
        if not missing:
            return True
        with folder.guard:
            new = [pack for pack in missing if pack.pack.name not in folder.shown]
            files = 1 if len(new) >= _JOINED_MIN else len(new)
            if folder.files + files > _FILES_MAX:
                return False
            try:
                folder.size_bytes += _write_packs(folder.quarantine, new)
            except OSError:  # the place is full, or the folder was deleted: another place may take the files
                return False
            folder.files += files
            folder.shown.update(pack.pack.name for pack in new)
        return True

    def _make(self, repo_id: str, packs: Sequence[MemoryPack]) -> _Folder:
        size_bytes = 0

        def fill(quarantine: Quarantine) -> None:
            nonlocal size_bytes
            size_bytes = _write_packs(quarantine, packs)

        quarantine = self._new_folder(fill)
        shown = {pack.pack.name for pack in packs}
        files = 1 if len(packs) >= _JOINED_MIN else len(packs)
        folder = _Folder(quarantine, shown, files, size_bytes, users=1)
        with self._guard:
            replaced = self._folders.pop(repo_id, None)
            self._folders[repo_id] = folder
            going = [old for old in (replaced, *self._take_surplus()) if old is not None and old.replace()]
        _discard(going)
        return folder

    def _take_surplus(self) -> list[_Folder]:
        """Take out the least recently used folders beyond the bounds. The newest one stays."""
        size_bytes = sum(folder.size_bytes for folder in self._folders.values())
        taken = []
        for repo_id in list(self._folders)[:-1]:
            if len(self._folders) <= self._count_max and size_bytes <= self._size_max_bytes:
                break
            taken.append(self._folders.pop(repo_id))
            size_bytes -= taken[-1].size_bytes
        return taken

    def _replace(self, repo_id: str, folder: _Folder) -> None:
        with self._guard:
            if self._folders.get(repo_id) is folder:
                del self._folders[repo_id]
            going = [folder] if folder.replace() else []
        _discard(going)

    def _give_back(self, folder: _Folder) -> None:
        with self._guard:
            going = [folder] if folder.end_use() else []
        _discard(going)


def _discard(folders: Sequence[_Folder]) -> None:
    for folder in folders:
        folder.quarantine.let_go()


def _write_packs(quarantine: Quarantine, packs: Sequence[MemoryPack]) -> int:
    """Write packs into the folder: a few as they are, many joined into one. Return the bytes written."""
    if len(packs) >= _JOINED_MIN:
        return _write_joined(quarantine, packs)
    written = 0
    for held in packs:
        base = quarantine.pack_dir / f"pack-{held.pack.name}"
        idx = held.idx()
        base.with_suffix(".pack").write_bytes(held.data)
        base.with_suffix(".idx").write_bytes(
            idx
        )  # the last, since git takes a pack for complete once it has an idx
        written += len(held.data) + len(idx)
    return written


def _write_joined(quarantine: Quarantine, packs: Sequence[MemoryPack]) -> int:
    base = quarantine.pack_dir / f"pack-{packs[-1].pack.name}"
    with base.with_suffix(".pack").open("xb+") as file:
        writer = PackWriter(lambda: file)
        join_packs(packs, writer)
        info = writer.finish()
    write_idx(base.with_suffix(".idx"), info)
    return info.pack.size_bytes
