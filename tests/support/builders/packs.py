"""Packs written by our writer, and git's judgement of them."""

import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from packhouse.db.packs import replace_packs
from packhouse.db.repos import Repo
from packhouse.git.packs.pack import Pack
from packhouse.git.packs.writer import PackWriter, write_idx
from packhouse.node.node import Node
from packhouse.repository.packs import read_packs
from packhouse.repository.stored_packs import FoundPack, store_packs
from packhouse.storage.bare_repo import make_bare
from packhouse.storage.disk.store import DiskPackStore
from packhouse.storage.pack_file import describe_pack
from tests.support.clients.git import Git

_BAD_OBJECT = re.compile(rb"^error in \w+ ([0-9a-f]{40}): ", re.MULTILINE)


def write_pack(folder: Path, objects: Iterable[tuple[str, bytes]]) -> Path:
    """Write (kind, content) pairs as a pack with its idx into `folder`. Return the pack's path."""
    temporary = folder / "new.pack"
    with temporary.open("x+b") as file:
        writer = PackWriter(lambda: file)
        for kind, content in objects:
            writer.add_object(kind, content)
        info = writer.finish()
    pack = temporary.rename(folder / f"pack-{info.pack.name}.pack")
    if not pack.with_suffix(".idx").exists():
        write_idx(pack.with_suffix(".idx"), info)
    return pack


class BareRepo:
    """A bare repository with only the packs that a test puts into it."""

    def __init__(self, git: Git, folder: Path) -> None:
        self.git = git
        self.path = folder
        git.run("init", "--quiet", "--bare", folder)
        self.pack_dir = folder / "objects" / "pack"

    def add(self, objects: Iterable[tuple[str, bytes]]) -> Path:
        """Add a pack made by our writer."""
        return write_pack(self.pack_dir, objects)

    def clear(self) -> None:
        """Remove every pack."""
        for file in self.pack_dir.iterdir():
            file.unlink()

    def refused_by_fsck(self) -> set[str]:
        """Return the ids of the objects for which `git fsck --strict` reports an error."""
        done = self.git.try_run("fsck", "--strict", "--no-dangling", cwd=self.path)
        assert b"fatal" not in done.stderr, done.stderr
        return {oid.decode() for oid in _BAD_OBJECT.findall(done.stderr)}


def give_pack(node: Node, repo: Repo, pack: Path) -> Pack:
    """Store a copy of a pack, which has its idx beside it, and list it as live."""
    folder = Path(tempfile.mkdtemp(dir=node.store.scratch_dir()))
    files = [Path(shutil.copy(pack.with_suffix(suffix), folder)) for suffix in (".pack", ".idx")]
    found = FoundPack(describe_pack(str(pack)), files=(files[0], files[1]))
    (stored,) = store_packs(node, repo, [found], noted=[])
    with node.database.write() as session:
        assert replace_packs(session, repo.id, old=[], new=[stored], state=node.new_state(), now=node.clock())
    return stored


def list_packs(node: Node, repo: Repo) -> list[Pack]:
    """Return the live packs of the repository."""
    return list(read_packs(node, repo, fresh=True).packs)


def pack_dir(node: Node, repo: Repo) -> Path:
    """Return the folder of a repository's stored packs."""
    return repo_dir(node, repo.public_id) / "objects" / "pack"


def stored_names(node: Node, repo: Repo) -> set[str]:
    """Return the names of the packs whose files are in the store, listed or not."""
    return set(node.store.list_names(repo.public_id))


def repo_dir(node: Node, public_id: str) -> Path:
    """Return the folder that a repository has on the disk, or would have."""
    store = node.store
    assert isinstance(store, DiskPackStore)
    return store.repo_path(public_id)


def make_repo_dir(node: Node, public_id: str) -> Path:
    """Make the folder of a repository, as its first pack does, but without a pack. Return it."""
    folder = repo_dir(node, public_id)
    make_bare(folder)
    return folder
