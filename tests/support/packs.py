"""Packs written by our writer, and what git says of them."""

import re
from collections.abc import Iterable
from pathlib import Path

from packhouse.git.pack_writer import PackWriter, write_idx
from tests.support.git import Git

_BAD_OBJECT = re.compile(rb"^error in \w+ ([0-9a-f]{40}): ", re.MULTILINE)


def write_pack(folder: Path, objects: Iterable[tuple[str, bytes]]) -> Path:
    """Write (kind, content) pairs as a pack with its idx into `folder` and return the pack's path."""
    draft = folder / "draft.pack"
    with draft.open("x+b") as file:
        writer = PackWriter(file)
        for kind, content in objects:
            writer.add_object(kind, content)
        info = writer.finish()
    pack = draft.rename(folder / f"pack-{info.name}.pack")
    if not pack.with_suffix(".idx").exists():
        write_idx(pack.with_suffix(".idx"), info)
    return pack


class BareRepo:
    """A bare repository of a test's own, with nothing but the packs put into it."""

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
        """Return the ids of the objects that `git fsck --strict` calls errors."""
        done = self.git.try_run("fsck", "--strict", "--no-dangling", cwd=self.path)
        assert b"fatal" not in done.stderr, done.stderr
        return {oid.decode() for oid in _BAD_OBJECT.findall(done.stderr)}
