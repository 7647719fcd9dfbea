"""What `git merge-tree --write-tree -z` says. Source: git-merge-tree(1), OUTPUT.

When one side has a file where the other has a folder, a symlink or a submodule, git cannot list both under one name.
It invents one (`x~main`) and says in a message which path it stands for. A path under a folder that the other side
renamed is listed where it would move to. Callers ask for the paths that they have: `with_standing_paths` finds them.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
    """A path that git could not merge; a side that has nothing there is None.

    `merged_path` is where the merged tree has the file, usually the same path.
    """

    path: bytes
    base: ConflictSide | None
    ours: ConflictSide | None
    theirs: ConflictSide | None
    merged_path: bytes


@dataclass(frozen=True, slots=True)
class MergedTree:
    """The merged tree; with conflicts its files hold markers where the sides disagree.

    `messages` are the paths that git named together, one tuple a message.
    """

    tree: Oid
    conflicts: tuple[ConflictedPath, ...]
    is_clean: bool
    messages: tuple[tuple[bytes, ...], ...] = ()


def merge_tree_arguments(ours: str, theirs: str, *, allow_unrelated: bool) -> list[str]:
    """Return git's arguments; both names are also what conflict markers show."""
    options = ["merge-tree", "--write-tree", "-z"]
    if allow_unrelated:
        options.append("--allow-unrelated-histories")
    return [*options, "--end-of-options", ours, theirs]


def parse_merge_tree(output: bytes, *, clean: bool) -> MergedTree:
    """Return the tree and its conflicted paths in git's order; raise Corrupt for other output.

    Git also ends with 1 when it could not begin, and then says nothing.
    """
    listed, _, told = output.partition(b"\0\0")
    tree, *rows = listed.rstrip(b"\0").split(b"\0")
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
        ConflictedPath(path, stages.get(1), stages.get(2), stages.get(3), merged_path=path)
        for path, stages in paths.items()
    )
    return MergedTree(Oid(oid), conflicts, clean, tuple(_iter_messages(told)))


def _iter_messages(told: bytes) -> Iterator[tuple[bytes, ...]]:
    """Yield the paths of each message: a count, so many paths, the kind, the text, each ended by NUL.

    Behind the last one git prints advice about submodules, which is no message.
    """
    parts = told.split(b"\0")
    place = 0
    while place < len(parts) and parts[place].isdigit():
        count = int(parts[place])
        yield tuple(parts[place + 1 : place + 1 + count])
        place += count + 3


def with_standing_paths(merged: MergedTree, is_held: Callable[[bytes], bool]) -> MergedTree:
    """Return `merged` with each conflict under a path that a side has, in git's order.

    `is_held` tells whether the target or the source has an entry of that name. What git lists under a name of its own
    is joined with what stands under the real path. A file that both sides renamed counts as the base of either new
    path. A path for which git names no other stays.
    """
    related = _relate(merged.messages)
    found: dict[bytes, ConflictedPath] = {}
    for conflict in merged.conflicts:
        for path in _standing_paths(conflict, related, is_held):
            _join(found, replace(conflict, path=path))
    return replace(merged, conflicts=tuple(found.values()))


def _relate(messages: Sequence[tuple[bytes, ...]]) -> dict[bytes, list[bytes]]:
    related: dict[bytes, list[bytes]] = {}
    for paths in messages:
        for path in paths:
            related.setdefault(path, []).extend(other for other in paths if other != path)
    return related


def _standing_paths(
    conflict: ConflictedPath, related: Mapping[bytes, list[bytes]], is_held: Callable[[bytes], bool]
) -> list[bytes]:
    """Return the paths that a side has for the conflict: its own, or the nearest ones that messages name beside it."""
    seen = {conflict.path}
    nearest = [conflict.path]
    if conflict.path not in related:
        return nearest
    while nearest:
        held = [path for path in nearest if is_held(path)]
        if held:
            is_base_alone = conflict.ours is None and conflict.theirs is None
            return held if is_base_alone else held[:1]
        nearest = [other for path in nearest for other in dict.fromkeys(related[path]) if other not in seen]
        seen.update(nearest)
    return [conflict.path]


def _join(found: dict[bytes, ConflictedPath], conflict: ConflictedPath) -> None:
    """Add a conflict to those found; of two under one path each side is kept, and the path in place is preferred."""
    known = found.get(conflict.path)
    if known is None:
        found[conflict.path] = conflict
        return
    is_better = conflict.merged_path == conflict.path and (conflict.ours or conflict.theirs) is not None
    found[conflict.path] = ConflictedPath(
        conflict.path,
        known.base or conflict.base,
        known.ours or conflict.ours,
        known.theirs or conflict.theirs,
        merged_path=conflict.merged_path if is_better else known.merged_path,
    )
