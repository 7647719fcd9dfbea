"""Finding the commit that last changed each line of a file."""

from collections.abc import Sequence
from dataclasses import dataclass

from packhouse import limits
from packhouse.auth import Principal
from packhouse.errors import Code, Invalid, LimitExceeded
from packhouse.formats import repeats_too_often
from packhouse.git import Oid
from packhouse.git.commands.blame import BadRange, BlameGroup
from packhouse.git.objects import MODE_GITLINK, MODE_TREE, Commit, find_path, parse_commit
from packhouse.node import Node
from packhouse.operations.catalog.lookup import open_repo
from packhouse.repository import PathNotFound, RepoView, resolve_ref


class TooManyRanges(Invalid):
    """The call has more ranges than one call takes."""

    code = Code.TOO_MANY_RANGES
    ranges_max: int


class BlameTooLong(LimitExceeded):
    """The file has more lines than one answer shows. Ask for ranges."""

    code = Code.BLAME_TOO_LONG
    lines_max: int


class BlameFileTooLarge(LimitExceeded):
    """Git would need too much memory for the file."""

    code = Code.BLAME_FILE_TOO_LARGE
    max_bytes: int


@dataclass(frozen=True, slots=True)
class Blame:
    """Groups of lines in file order. `commits` has every commit that a group names.

    `is_by_id`: the ref was a full id, so the answer never changes.
    """

    ref: str
    commit: Oid
    groups: list[BlameGroup]
    commits: dict[Oid, Commit]
    is_by_id: bool


@dataclass(frozen=True, slots=True)
class BlameFile:
    """The file at `path` of a ref (None: the default branch), and the lines to look at.

    `ranges` have the form of git-blame(1), option -L; without ranges all lines are looked at. With `detect_moves`, a
    moved or copied line counts for the commit that first wrote it.
    """

    repo: str
    path: bytes
    ref: str | None = None
    ephemeral: bool = False
    ranges: Sequence[str] = ()
    detect_moves: bool = False


def blame_file(node: Node, caller: Principal, command: BlameFile) -> Blame:
    """Return the commits that last changed the lines of a file.

    Binary files and symlinks have lines, too. Raises RepoNotFound, RefNotFound, PathNotFound, TooManyRanges, BadRange,
    BlameTooLong, BlameFileTooLarge and TimedOut.
    """
    ref, ephemeral = command.ref, command.ephemeral
    _check_ranges(command.ranges)
    with open_repo(node, caller, command.repo, ref=ref, ephemeral=ephemeral) as view:
        resolved = resolve_ref(view, ref, ephemeral=ephemeral)
        _check_file(view, resolved.commit, command.path)
        groups = view.git.blame_lines(
            resolved.commit,
            command.path,
            ranges=command.ranges,
            detect_moves=command.detect_moves,
            regex_memory_max_bytes=node.limits.regex_memory_max_bytes,
        )
        if sum(group.count for group in groups) > limits.blame_lines_max:
            raise BlameTooLong(limits.blame_lines_max)
        commits = {oid: parse_commit(view.read_kept(oid, "commit")) for oid in {g.commit for g in groups}}
    return Blame(resolved.name, resolved.commit, groups, commits, resolved.is_by_id)


def _check_ranges(ranges: Sequence[str]) -> None:
    """Refuse ranges that cannot be passed to git. Git itself judges the others."""
    if len(ranges) > limits.blame_ranges_max:
        raise TooManyRanges(limits.blame_ranges_max)
    for text in ranges:
        if "\0" in text:
            raise BadRange("it holds a NUL character")
        if len(text) > limits.blame_range_max_chars:
            raise BadRange(f"it is longer than {limits.blame_range_max_chars} characters")
        if repeats_too_often(text):
            raise BadRange("expression is too complex")


def _check_file(view: RepoView, commit: Oid, path: bytes) -> None:
    root = parse_commit(view.read_kept(commit, "commit")).tree
    entry = find_path(view.read_tree, root, path)
    if entry is None or entry.mode in (MODE_TREE, MODE_GITLINK):
        raise PathNotFound(path.decode("utf-8", "replace"))
    size_bytes = view.read_header(entry.oid)[1]
    if size_bytes > limits.blame_file_max_bytes:
        raise BlameFileTooLarge(limits.blame_file_max_bytes)
