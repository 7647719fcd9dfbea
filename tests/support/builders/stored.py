"""Packs put directly into a store on disk, and reads through a folder that shows them."""

import os
import tempfile
from pathlib import Path

from packhouse.git.commands.cat_file import FreshReader
from packhouse.git.commands.environment import GitPlace
from packhouse.git.packs.pack import Pack
from packhouse.storage.disk.store import DiskPackStore
from packhouse.storage.pack_file import describe_pack
from packhouse.storage.store import OpenedPacks, PackSet
from tests.support.builders.packs import write_pack
from tests.support.builders.store_bench import REPO, blob


def store_blobs(store: DiskPackStore, repo_id: str, *contents: bytes) -> Pack:
    """Store a pack of blobs, with the hash of its content as its name."""
    folder = Path(tempfile.mkdtemp(dir=store.scratch_dir()))
    path = write_pack(folder, [("blob", content) for content in contents])
    pack = describe_pack(str(path))
    store.put(repo_id, pack.name, path, path.with_suffix(".idx"))
    return pack


def pack_dir_of(store: DiskPackStore, repo_id: str) -> Path:
    """Return the folder of a repository's stored packs."""
    return store.repo_path(repo_id) / "objects" / "pack"


def shown_names(opened: OpenedPacks) -> set[str]:
    """Return the names of the packs that a folder shows, each with its idx."""
    files = set(os.listdir(opened.object_dir / "pack"))
    packs = {name[5:-5] for name in files if name.endswith(".pack")}
    assert {name[5:-4] for name in files if name.endswith(".idx")} >= packs
    return packs


def read_blob(opened: OpenedPacks, content: bytes) -> bytes | None:
    """Read a blob through the folder by libgit2; None if it is not there."""
    with opened.reader() as reader:
        if reader.kind_and_size(blob(content)) is None:
            return None
        return reader.read(blob(content))[1]


def place_for_git(store: DiskPackStore, opened: OpenedPacks) -> GitPlace:
    """Return the place in which git works on a folder's packs."""
    return GitPlace(store.skeleton(), opened.object_dir, descriptors=opened.descriptors)


def read_blob_by_git(store: DiskPackStore, opened: OpenedPacks, content: bytes) -> bytes | None:
    """Read a blob through the folder by git; None if it is not there."""
    reader = FreshReader(place_for_git(store, opened))
    if reader.kind_and_size(blob(content)) is None:
        return None
    return reader.read(blob(content))[1]


def show(store: DiskPackStore, generation: int, *packs: Pack, repo_id: str = REPO) -> OpenedPacks:
    """Open packs as a set of that generation."""
    return store.open(repo_id, PackSet(generation, packs))
