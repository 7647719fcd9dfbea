"""Folders with copies of chosen packs. Each is kept while it is open; a repository's newest is kept longer."""

import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from packhouse.git.packs import Pack
from packhouse.storage.idle_readers import IdleReaders
from packhouse.storage.opened_folder import OpenedFolder
from packhouse.storage.store import Mended, PackSet
from packhouse.whole_files import replace_file

WriteOut = Callable[[str, Pack, Path, Mended], bool]
"""Writes a repository's pack to a folder, and notes what it mended or cannot use. Returns whether the pack is there."""


@dataclass(slots=True, eq=False)
class _Folder:
    repo_id: str
    generation: int
    object_dir: Path
    guard: threading.Lock = field(default_factory=threading.Lock)
    users: int = 0
    shown: set[str] = field(default_factory=set)
    readers: IdleReaders = field(default_factory=IdleReaders)


class MemoryViews:
    """The folders of one store. Safe for threads."""

    def __init__(self, root: Path, write_out: WriteOut) -> None:
        self._root = root
        self._write_out = write_out
        self._guard = threading.Lock()
        self._folders: dict[str, list[_Folder]] = {}
        self._made = 0

    def open(self, repo_id: str, wanted: PackSet) -> OpenedFolder:
        """Show the packs of a set. See PackStore.open()."""
        folder = self._take(repo_id, wanted.generation)
        mended = Mended([], [])
        try:
            with folder.guard:
                for pack in wanted.packs:
                    if pack.name in folder.shown:
                        continue
                    if self._write_out(repo_id, pack, folder.object_dir / "pack", mended):
                        folder.shown.add(pack.name)
        except BaseException:
            self.give_back(folder)
            raise
        return OpenedFolder(
            folder.object_dir, folder.readers, mended, give_back=partial(self.give_back, folder)
        )

    def give_back(self, folder: _Folder) -> None:
        """End a use. The last use of a folder that another generation has replaced removes it."""
        with self._guard:
            folder.users -= 1
            is_forgotten = folder.users == 0 and folder not in self._folders.get(folder.repo_id, [])
            dropped = [folder] if is_forgotten else []
            dropped += self._drop_replaced(folder.repo_id)
        _remove(dropped)

    def show_idx(self, repo_id: str, name: str, idx: bytes) -> None:
        """Replace the idx of a pack in the folders that show it."""
        for folder in self._list(repo_id):
            path = folder.object_dir / "pack" / f"pack-{name}.idx"
            if name in folder.shown and (not path.exists() or path.read_bytes() != idx):
                replace_file(path, idx)

    def overwrite(self, repo_id: str, file: str, content: bytes) -> None:
        """Change a file in the folders that have it open."""
        for folder in self._list(repo_id):
            path = folder.object_dir / "pack" / file
            if path.exists():
                with path.open("r+b") as opened:
                    opened.truncate(len(content))
                    opened.write(content)

    def forget_readers(self, repo_id: str) -> None:
        """Let the next reader open the packs anew."""
        for folder in self._list(repo_id):
            folder.readers.forget()

    def forget_repo(self, repo_id: str) -> None:
        """Remove the idle folders of a repository now, and the others at the end of their use."""
        with self._guard:
            idle = [folder for folder in self._folders.pop(repo_id, []) if folder.users == 0]
        _remove(idle)

    def close(self) -> None:
        """Close every reader. The folders go with the store."""
        for repo_id in list(self._folders):
            self.forget_readers(repo_id)

    def _take(self, repo_id: str, generation: int) -> _Folder:
        with self._guard:
            known = self._folders.setdefault(repo_id, [])
            found = next((folder for folder in known if folder.generation == generation), None)
            if found is None:
                # Each folder has its own path: to libgit2, packs of one path are the same pack while one is open.
                self._made += 1
                found = _Folder(repo_id, generation, self._root / repo_id / str(self._made))
                (found.object_dir / "pack").mkdir(parents=True)
                (found.object_dir / "info").mkdir()
                known.append(found)
            found.users += 1
            dropped = self._drop_replaced(repo_id)
        _remove(dropped)
        return found

    def _drop_replaced(self, repo_id: str) -> list[_Folder]:
        known = self._folders.get(repo_id, [])
        dropped = [folder for folder in known[:-1] if folder.users == 0]
        for folder in dropped:
            known.remove(folder)
        return dropped

    def _list(self, repo_id: str) -> list[_Folder]:
        with self._guard:
            return list(self._folders.get(repo_id, []))


def _remove(folders: Sequence[_Folder]) -> None:
    for folder in folders:
        folder.readers.forget()
        shutil.rmtree(folder.object_dir, ignore_errors=True)
