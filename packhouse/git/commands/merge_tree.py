"""git merge-tree: the tree that a merge of two commits makes, and the conflicts.

When one side has a file where the other has a folder, a symlink or a submodule, git cannot list both under one name. It
invents a name (`x~main`), and a message tells which path it stands for. A path below a folder that the other side has
renamed is listed at the place to which it would move. Callers need the paths that a side has: `with_standing_paths`
finds them.
"""

import re
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Final

from packhouse import limits
from packhouse.errors import Code, Conflict, Corrupt, LimitExceeded
from packhouse.git import Oid, is_oid
from packhouse.git.commands.run import GitFailed, Runner, check_answer, run_git, with_limits
from packhouse.git.objects import MODE_TREE

_STAGE: Final = re.compile(rb"([0-7]{6}) ([0-9a-f]{40}) ([123])\t(.+)", re.DOTALL)


class MergeTooLarge(LimitExceeded):
    """Git would need more memory than one merge may use."""

    code = Code.MERGE_TOO_LARGE


class UnrelatedHistories(Conflict):
    """The commits have no common ancestor."""

    code = Code.UNRELATED_HISTORIES


class MergeImpossible(Conflict):
    """Git cannot merge the commits.

    It aborts on some rare renames (an assertion of merge-ort in 2.39.5, when tried).
    """

    code = Code.MERGE_IMPOSSIBLE


class MergeWithoutTree(Corrupt):
    """The output of git merge-tree does not begin with the id of a tree."""

    code = Code.MERGE_WITHOUT_TREE


class MergeUnreadable(Corrupt):
    """The output of git merge-tree has another form than the one asked for."""

    code = Code.MERGE_UNREADABLE


@dataclass(frozen=True, slots=True)
class ConflictSide:
    """One side's entry at a conflicted path."""

    mode: int
    oid: Oid


ConflictSides = tuple[ConflictSide | None, ConflictSide | None]
"""The entries of target and source at a path. A folder counts as an entry."""


@dataclass(frozen=True, slots=True)
class ConflictedPath:
    """A path that git could not merge. A side without an entry there is None.

    `merged_path` is the file's path in the merged tree, usually the same path.
    """

    path: bytes
    base: ConflictSide | None
    ours: ConflictSide | None
    theirs: ConflictSide | None
    merged_path: bytes


@dataclass(frozen=True, slots=True)
class MergedTree:
    """The merged tree. After conflicts, its files hold markers where the sides differ.

    `messages` has one tuple for each of git's messages: the paths in it.
    """

    tree: Oid
    conflicts: tuple[ConflictedPath, ...]
    is_clean: bool
    messages: tuple[tuple[bytes, ...], ...] = ()


def merge_commits(
    runner: Runner, *, ours: str, theirs: str, allow_unrelated: bool, memory_max_bytes: int
) -> MergedTree:
    """Merge two commits. Conflict markers show the sides under the names `ours` and `theirs`. New objects are loose.

    Raises UnrelatedHistories unless allowed, MergeImpossible, MergeTooLarge and GitTookTooLong.
    """
    options = ["--write-tree", "-z"]
    if allow_unrelated:
        options.append("--allow-unrelated-histories")
    try:
        done = run_git(
            runner.place(),
            *("merge-tree", *options, "--end-of-options", ours, theirs),
            ok_codes=frozenset({0, 1}),
            on_start=with_limits(memory_max_bytes=memory_max_bytes),
        )
    except GitFailed as error:
        if error.says_out_of_memory:  # before the check: git names sound packs that it found no memory for
            raise MergeTooLarge() from error
        runner.check(error)  # before the rest, because git calls unreadable histories unrelated, too
        if "unrelated histories" in error.messages:
            raise UnrelatedHistories from None
        if error.exit_code == -signal.SIGABRT:
            raise MergeImpossible from error
        if error.is_for_memory:
            raise MergeTooLarge() from error
        raise
    check_answer(runner, done)
    return parse_merge_tree(done.stdout, clean=done.code == 0)


def parse_merge_tree(output: bytes, *, clean: bool) -> MergedTree:
    """Return the tree and its conflicted paths in git's order; raise Corrupt for other output.

    Git also exits with 1, and without output, when it could not begin. Source: git-merge-tree(1), OUTPUT.
    """
    listed, _, told = output.partition(b"\0\0")
    tree, *rows = listed.rstrip(b"\0").split(b"\0")
    oid = tree.decode("ascii", "replace")
    if not is_oid(oid):
        raise MergeWithoutTree()
    paths: dict[bytes, dict[int, ConflictSide]] = {}
    for row in rows:
        match = _STAGE.fullmatch(row)
        if match is None:
            raise MergeUnreadable()
        side = ConflictSide(int(match[1], 8), Oid(match[2].decode("ascii")))
        paths.setdefault(match[4], {})[int(match[3])] = side
    conflicts = tuple(
        ConflictedPath(path, stages.get(1), stages.get(2), stages.get(3), merged_path=path)
        for path, stages in paths.items()
    )
    return MergedTree(Oid(oid), conflicts, clean, tuple(_iter_messages(told)))


def _iter_messages(told: bytes) -> Iterator[tuple[bytes, ...]]:
    """Yield the paths of each conflict message: a count, as many paths, the kind, the text, each ended by NUL.

    After the last message git prints advice about submodules, which is skipped.
    """
    parts = told.split(b"\0")
    place = 0
    while place < len(parts) and parts[place].isdigit():
        count = int(parts[place])
        paths, kind = parts[place + 1 : place + 1 + count], parts[place + 1 + count : place + 2 + count]
        if kind and kind[0].startswith(b"CONFLICT"):
            yield tuple(paths)
        place += count + 3


def with_standing_paths(merged: MergedTree, find_sides: Callable[[bytes], ConflictSides]) -> MergedTree:
    """Return `merged` with each conflict under a path that a side has, in git's order.

    `find_sides` returns the entries of target and source at a path. A conflict under a name that git invented is joined
    with the conflict under the real path. A file that both sides renamed is the base of both new paths. A path stays
    when git's messages name no other path for it. When there are only messages and no listed conflicts, the files in
    the messages are returned.
    """
    messages = _Messages(merged.messages)
    found: dict[bytes, ConflictedPath] = {}

    def is_held(path: bytes) -> bool:
        ours, theirs = find_sides(path)
        return ours is not None or theirs is not None

    for conflict in merged.conflicts:
        for path in _standing_paths(conflict, messages, is_held):
            _join(found, replace(conflict, path=path))
    if not found:
        for path in islice(dict.fromkeys(chain.from_iterable(merged.messages)), limits.merge_told_paths_max):
            ours, theirs = (side if side and side.mode != MODE_TREE else None for side in find_sides(path))
            if ours is not None or theirs is not None:
                found[path] = ConflictedPath(path, None, ours, theirs, merged_path=path)
    return replace(merged, conflicts=tuple(found.values()))


class _Messages:
    """The paths that messages name together. A message may name thousands of paths, and thousands may name one path."""

    def __init__(self, messages: Sequence[tuple[bytes, ...]]) -> None:
        self._messages = [paths for paths in messages if len(paths) > 1]
        self._by_path: dict[bytes, list[int]] = {}
        for number, paths in enumerate(self._messages):
            for path in paths:
                self._by_path.setdefault(path, []).append(number)

    def iter_related(self, path: bytes) -> Iterator[bytes]:
        """Yield the path, then the paths that messages name together with it, each once, the nearest first.

        Only a bounded number of the paths of one message is looked at, because thousands of conflicts may share a
        message.
        """
        seen = {path}
        waiting = deque([path])
        told: set[int] = set()
        while waiting:
            current = waiting.popleft()
            yield current
            for number in self._by_path.get(current, ()):
                if number not in told:
                    told.add(number)
                    told_here = self._messages[number][: limits.merge_related_paths_max]
                    new = [other for other in told_here if other not in seen]
                    seen.update(new)
                    waiting.extend(new)


def _standing_paths(
    conflict: ConflictedPath, messages: _Messages, is_held: Callable[[bytes], bool]
) -> list[bytes]:
    """Return the paths of the conflict that a side has: its own, or else the nearest ones in messages that name it.

    A conflict with only a base is a file that both sides renamed, so two paths stand for it.
    """
    is_base_alone = conflict.ours is None and conflict.theirs is None
    related = islice(messages.iter_related(conflict.path), limits.merge_related_paths_max)
    first = next(related)
    others = list(islice(related, 1))
    if not others or is_held(first):
        return [first]
    held = (path for path in chain(others, related) if is_held(path))
    return list(islice(held, 2 if is_base_alone else 1)) or [first]


def _join(found: dict[bytes, ConflictedPath], conflict: ConflictedPath) -> None:
    """Add a conflict. When two have one path, each side is kept, and `merged_path` of the one in place is preferred."""
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
