"""Conflicts under the paths that the sides have, however many conflicts and messages there are."""

import pytest

from packhouse.git.commands.merge_tree import (
    ConflictSide,
    ConflictSides,
    parse_merge_tree,
    with_standing_paths,
)
from packhouse.git.oid import Oid

pytestmark = pytest.mark.quick

TREE = b"a" * 40
SIDE = ConflictSide(0o100644, Oid("b" * 40))


def output(stages: list[tuple[bytes, int]], messages: list[tuple[list[bytes], bytes]]) -> bytes:
    """Return what git would print."""
    rows = b"".join(b"100644 %s %d\t%s\0" % (b"b" * 40, stage, path) for path, stage in stages)
    told = b"".join(b"%d\0%s\0%s\0text\0" % (len(paths), b"\0".join(paths), kind) for paths, kind in messages)
    return TREE + b"\0" + rows + b"\0" + told


class Sides:
    """Two sides that have some paths; counts the looks."""

    def __init__(self, *held: bytes) -> None:
        self.held = set(held)
        self.looks = 0

    def find(self, path: bytes) -> ConflictSides:
        self.looks += 1
        return (SIDE if path in self.held else None), None


def test_a_conflict_that_git_names_alone_costs_no_look_into_a_tree() -> None:
    names = [b"d/%d" % number for number in range(2000)]
    stages = [(name, stage) for name in names for stage in (1, 2, 3)]
    messages = [([name], b"CONFLICT (contents)") for name in names]
    sides = Sides(*names)
    merged = with_standing_paths(parse_merge_tree(output(stages, messages), clean=False), sides.find)
    assert [conflict.path for conflict in merged.conflicts] == names
    assert sides.looks == 0


def test_a_message_of_thousands_of_paths_is_not_kept_for_each_of_them() -> None:
    names = [b"one/%d" % number for number in range(5000)]
    sides = Sides(b"real", *names[::2])
    stages = [(name, 3) for name in names]
    messages = [([*names, b"real"], b"CONFLICT (directory rename collision)")]
    merged = with_standing_paths(parse_merge_tree(output(stages, messages), clean=False), sides.find)
    assert {conflict.path for conflict in merged.conflicts} <= {b"real", *names[::2]}
    assert sides.looks <= 3 * len(names)


def test_conflicts_that_only_messages_tell_of_are_named() -> None:
    messages = [([b"merged"], b"Auto-merging"), ([b"one", b"a/x", b"b/x"], b"CONFLICT (implicit dir rename)")]
    sides = Sides(b"merged", b"a/x", b"b/x")
    merged = with_standing_paths(parse_merge_tree(output([], messages), clean=False), sides.find)
    assert [conflict.path for conflict in merged.conflicts] == [b"a/x", b"b/x"]
