"""Searching file by file, so that a pattern that takes too long on one file loses only that file.

Git writes nothing about files without a match, so its output does not show which file it is at. So it gets a tree with
a marker before each file: a blob with one secret line, for which git searches as well. Its output keeps the order of
the tree, even with several threads. So the last marker tells which file is being searched, and all files before it are
done.
"""

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace

from packhouse.errors import TimedOut
from packhouse.git import Oid
from packhouse.git.commands.grep import GrepLine
from packhouse.git.commands.pump import GitSilent
from packhouse.git.objects import PathEntry
from packhouse.repository import Write

Search = Callable[[Sequence[PathEntry]], Generator[GrepLine]]
"""Searches a tree that `write_marked_tree` made of the files. The paths of its lines are those in that tree."""


@dataclass(slots=True)
class Passage:
    """How far a search came: the skipped files, and the first file for which there was no time."""

    skipped: list[PathEntry] = field(default_factory=list)
    unreached: PathEntry | None = None


def iter_file_by_file(files: Sequence[PathEntry], search: Search, passage: Passage) -> Iterator[GrepLine]:
    """Yield the lines found in the files, in order. Afterwards `passage` has the files that were left out.

    `search` raises GitSilent when a file takes too long, and TimedOut when the whole time is over. Each call searches
    or skips at least one file, so a caller that goes on from `passage` reaches the end. Raises TimedOut when not even
    the first marker was found: then compiling the pattern took all the time.
    """
    first = 0
    while first < len(files):
        at: int | None = None
        try:
            with contextlib.closing(search(files[first:])) as lines:
                for line in lines:
                    number, is_file = divmod(int(line.path), 2)
                    at = first + number
                    if is_file:
                        yield replace(line, path=files[at].path)
        except TimedOut as error:
            if at is None and first == 0:
                raise
            at = first if at is None else at
            is_over = not isinstance(error, GitSilent)
            if not is_over or at == 0:
                passage.skipped.append(files[at])
                at += 1
            if is_over:
                passage.unreached = files[at] if at < len(files) else None
                return
            first = at
        else:
            return


def write_flat_tree(scratch: Write, files: Sequence[PathEntry]) -> Oid:
    """Write a tree whose entries are the files in their order, each named by its number."""
    return _write_tree(scratch, [file.oid for file in files])


def write_marked_tree(scratch: Write, files: Sequence[PathEntry], marker: str) -> Oid:
    """Write such a tree with a marker before each file: odd numbers are files, even numbers markers."""
    blob = scratch.add_loose("blob", marker.encode("ascii") + b"\n")
    return _write_tree(scratch, [oid for file in files for oid in (blob, file.oid)])


def _write_tree(scratch: Write, oids: Sequence[Oid]) -> Oid:
    rows = (b"100644 %09d\0%s" % (number, bytes.fromhex(oid)) for number, oid in enumerate(oids))
    return scratch.add_loose("tree", b"".join(rows))
