"""What `git merge-tree --write-tree -z` says. Source: git-merge-tree(1), OUTPUT."""

import re
from dataclasses import dataclass
from typing import Final

from packhouse.errors import Corrupt
from packhouse.git.oid import Oid, is_oid

_STAGE: Final = re.compile(rb"([0-7]{6}) ([0-9a-f]{40}) ([123])\t(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ConflictSide:
    """What one side has at a conflicted path."""

    mode: int
    oid: Oid


@dataclass(frozen=True, slots=True)
class ConflictedPath:
    """A path that git could not merge; a side that has nothing there is None."""

    path: bytes
    base: ConflictSide | None
    ours: ConflictSide | None
    theirs: ConflictSide | None


@dataclass(frozen=True, slots=True)
class MergedTree:
    """The merged tree; with conflicts its files hold markers where the sides disagree."""

    tree: Oid
    conflicts: tuple[ConflictedPath, ...]
    is_clean: bool


def merge_tree_arguments(ours: str, theirs: str, *, allow_unrelated: bool) -> list[str]:
    """Return git's arguments; both names are also what conflict markers show."""
    options = ["merge-tree", "--write-tree", "-z", "--no-messages"]
    if allow_unrelated:
        options.append("--allow-unrelated-histories")
    return [*options, "--end-of-options", ours, theirs]


def parse_merge_tree(output: bytes, *, clean: bool) -> MergedTree:
    """Return the tree and its conflicted paths in git's order; raise Corrupt for other output.

    Git also ends with 1 when it could not begin, and then says nothing.
    """
    tree, *rows = output.rstrip(b"\0").split(b"\0")
    oid = tree.decode("ascii", "replace")
    if not is_oid(oid):
        raise Corrupt("merge gave no tree")
    paths: dict[bytes, dict[int, ConflictSide]] = {}
    for row in rows:
        match = _STAGE.fullmatch(row)
        if match is None:
            raise Corrupt("merge gave an unreadable line")
        side = ConflictSide(int(match[1], 8), Oid(match[2].decode("ascii")))
        paths.setdefault(match[4], {})[int(match[3])] = side
    conflicts = tuple(
        ConflictedPath(path, stages.get(1), stages.get(2), stages.get(3)) for path, stages in paths.items()
    )
    return MergedTree(Oid(oid), conflicts, clean)
