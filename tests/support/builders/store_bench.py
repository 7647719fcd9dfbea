"""Stores of packs for tests, each with methods that damage its packs."""

import os
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pygit2

from packhouse.git.oid import Oid, hash_object
from packhouse.git.packs.pack import Pack
from packhouse.storage.bare_repo import make_bare
from packhouse.storage.disk.store import DiskPackStore
from packhouse.storage.memory.store import MemoryPackStore
from packhouse.storage.store import OpenedPacks, PackStore

REPO: Final = "repo_abcd1234"
OTHER: Final = "repo_efgh5678"

Change = Callable[[bytes], bytes | None]


class Bench(ABC):
    """A store, and methods that damage its packs."""

    store: PackStore

    @abstractmethod
    def damage(self, name: str, change: Change, *, suffix: str = ".pack") -> None:
        """Replace a pack's file by the result of `change`; None loses the file."""

    @abstractmethod
    def open_again(self) -> PackStore:
        """Return the store as another process opens it."""

    def lose(self, name: str, *, suffix: str = ".pack") -> None:
        """Lose a file of a pack."""
        self.damage(name, lambda _: None, suffix=suffix)


class MemoryBench(Bench):
    """In memory."""

    def __init__(self) -> None:
        self.memory = MemoryPackStore()
        self.store = self.memory

    def damage(self, name: str, change: Change, *, suffix: str = ".pack") -> None:
        """See Bench."""
        self.memory.damage(REPO, name, change, suffix=suffix)

    def open_again(self) -> PackStore:
        """See Bench."""
        return MemoryPackStore(self.memory.packs)


class DiskBench(Bench):
    """On disk."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self.disk = DiskPackStore(data)
        self.store = self.disk

    def damage(self, name: str, change: Change, *, suffix: str = ".pack") -> None:
        """See Bench. The change happens in the same file, as on a disk, not in a copy that replaces it."""
        path = self.disk.repo_path(REPO) / "objects" / "pack" / f"pack-{name}{suffix}"
        content = change(path.read_bytes())
        if content is None:
            path.unlink()
        else:
            path.chmod(0o644)
            path.write_bytes(content)

    def open_again(self) -> PackStore:
        """See Bench."""
        return DiskPackStore(self._data)


def name_of(number: int) -> str:
    """Return a name that does not depend on the pack's content."""
    return f"{number:040x}"


def blob(content: bytes) -> Oid:
    """Return the id of a blob."""
    return hash_object("blob", content)


def put(store: PackStore, number: int, *contents: bytes, repo_id: str = REPO) -> Pack:
    """Store a pack with these blobs."""
    with store.new_pack() as new:
        for content in contents:
            new.writer.add_object("blob", content)
        info, pack, idx = new.finish()
        store.put(repo_id, name_of(number), pack, idx)
    return Pack(name_of(number), info.pack.size_bytes, info.pack.objects)


def shows(opened: OpenedPacks, content: bytes) -> bool:
    """Tell whether both a new libgit2 reader and a new git read the blob in the folder. They must agree."""
    oid = blob(content)
    by_libgit2 = oid in pygit2.Odb(str(opened.object_dir))
    by_git = read_with_git(opened, oid) == content
    assert by_libgit2 == by_git, (by_libgit2, by_git)
    return by_git


def read_with_git(opened: OpenedPacks, oid: Oid) -> bytes | None:
    """Return a blob that a separate git reads in the folder; None if it is not there."""
    git_dir = opened.object_dir.parent / "any.git"
    make_bare(git_dir)
    done = subprocess.run(
        ["git", "--git-dir", git_dir, "cat-file", "blob", oid],
        env={"PATH": os.environ["PATH"], "GIT_OBJECT_DIRECTORY": str(opened.object_dir)},
        pass_fds=opened.descriptors,
        capture_output=True,
        check=False,
    )
    return done.stdout if done.returncode == 0 else None


def flip(at: int) -> Change:
    """Invert the bits of one byte."""
    return lambda content: content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]
