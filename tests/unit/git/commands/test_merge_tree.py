"""Merged trees, and conflicts under the paths that the sides have, however many there are."""

import pytest

from packhouse import limits
from packhouse.git.commands.merge_tree import (
    ConflictedPath,
    ConflictSide,
    ConflictSides,
    MergedTree,
    MergeImpossible,
    MergeTooLarge,
    MergeUnreadable,
    MergeWithoutTree,
    UnrelatedHistories,
    merge_commits,
    parse_merge_tree,
    with_standing_paths,
)
from packhouse.git.commands.run import GitFailed
from packhouse.git.oid import Oid
from tests.support.clients.git_runner import DamageTold, FakeGit, WorkTree

pytestmark = pytest.mark.quick

TREE = b"a" * 40
SIDE = ConflictSide(0o100644, Oid("b" * 40))


def output(stages: list[tuple[bytes, int]], messages: list[tuple[list[bytes], bytes]]) -> bytes:
    """Return git's output for these stages and messages."""
    rows = b"".join(b"100644 %s %d\t%s\0" % (b"b" * 40, stage, path) for path, stage in stages)
    told = b"".join(b"%d\0%s\0%s\0text\0" % (len(paths), b"\0".join(paths), kind) for paths, kind in messages)
    return TREE + b"\0" + rows + b"\0" + told


class Sides:
    """Two sides that have some paths. Counts how many paths are looked up."""

    def __init__(self, *held: bytes) -> None:
        self.held = set(held)
        self.looks = 0

    def find(self, path: bytes) -> ConflictSides:
        self.looks += 1
        return (SIDE if path in self.held else None), None


def test_a_conflict_without_related_paths_needs_no_look_into_a_tree() -> None:
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


def test_conflicts_that_are_only_in_messages_are_returned() -> None:
    messages = [([b"merged"], b"Auto-merging"), ([b"one", b"a/x", b"b/x"], b"CONFLICT (implicit dir rename)")]
    sides = Sides(b"merged", b"a/x", b"b/x")
    merged = with_standing_paths(parse_merge_tree(output([], messages), clean=False), sides.find)
    assert [conflict.path for conflict in merged.conflicts] == [b"a/x", b"b/x"]


def merge(
    work: WorkTree,
    theirs: str = "theirs",
    *,
    allow_unrelated: bool = False,
    memory_max_bytes: int = limits.git_memory_max_bytes,
) -> MergedTree:
    return merge_commits(
        work, ours="main", theirs=theirs, allow_unrelated=allow_unrelated, memory_max_bytes=memory_max_bytes
    )


def diverge(
    work: WorkTree,
    base: dict[str, bytes | None],
    *,
    ours: dict[str, bytes | None],
    theirs: dict[str, bytes | None],
) -> None:
    """Commit `base`, then `theirs` on the branch of that name and `ours` on main."""
    work.commit(base)
    work.run("checkout", "--quiet", "-b", "theirs")
    work.commit(theirs)
    work.run("checkout", "--quiet", "main")
    work.commit(ours)


def test_sides_that_agree_make_one_tree(work: WorkTree) -> None:
    diverge(work, {"a": b"a\n"}, ours={"ours": b"1\n"}, theirs={"sub/theirs": b"2\n"})
    merged = merge(work)
    assert merged.is_clean
    assert merged.conflicts == ()
    listed = work.run("ls-tree", "-r", "--name-only", merged.tree).splitlines()
    assert listed == ["a", "ours", "sub/theirs"]
    work.run("merge", "--quiet", "-m", "merge", "theirs")
    assert merged.tree == work.oid("HEAD^{tree}")


def test_a_conflict_has_all_three_sides_and_marks_the_file(work: WorkTree) -> None:
    diverge(work, {"a": b"base\n"}, ours={"a": b"ours\n"}, theirs={"a": b"theirs\n"})
    merged = merge(work)
    assert not merged.is_clean
    (conflict,) = merged.conflicts
    assert conflict == ConflictedPath(
        b"a",
        ConflictSide(0o100644, work.oid("main~:a")),
        ConflictSide(0o100644, work.oid("main:a")),
        ConflictSide(0o100644, work.oid("theirs:a")),
        merged_path=b"a",
    )
    marked = work.run("cat-file", "blob", f"{merged.tree}:a")
    assert marked == "<<<<<<< main\nours\n=======\ntheirs\n>>>>>>> theirs"


def test_a_side_that_deleted_the_file_has_no_entry(work: WorkTree) -> None:
    diverge(work, {"a": b"base\n", "b": b"b\n"}, ours={"a": None}, theirs={"a": b"theirs\n"})
    (conflict,) = merge(work).conflicts
    assert (conflict.path, conflict.ours) == (b"a", None)
    assert conflict.theirs == ConflictSide(0o100644, work.oid("theirs:a"))


@pytest.mark.parametrize("name", ["n\nl", "tab\t", 'q"', "\udcff", "ü", "-x"])
def test_conflicts_of_any_path_are_read_back(work: WorkTree, name: str) -> None:
    diverge(work, {name: b"base\n"}, ours={name: b"ours\n"}, theirs={name: b"theirs\n"})
    (conflict,) = merge(work).conflicts
    assert conflict.path == name.encode("utf-8", "surrogateescape")


def test_a_file_against_a_folder_is_named_in_a_message(work: WorkTree) -> None:
    diverge(work, {"a": b"a\n"}, ours={"x": b"file\n"}, theirs={"x/y": b"in a folder\n"})
    merged = merge(work)
    assert not merged.is_clean
    assert any(b"x" in paths for paths in merged.messages)
    ours = {b"x": ConflictSide(0o100644, work.oid("main:x"))}
    standing = with_standing_paths(merged, lambda path: (ours.get(path), None))
    assert [conflict.path for conflict in standing.conflicts] == [b"x"]
    assert standing.conflicts[0].merged_path != b"x", "the folder has that place in the merged tree"


def test_unrelated_commits_are_merged_only_when_allowed(work: WorkTree) -> None:
    work.commit({"a": b"a\n"})
    work.run("checkout", "--quiet", "--orphan", "theirs")
    work.run("rm", "-rfq", ".")
    work.commit({"b": b"b\n"})
    work.run("checkout", "--quiet", "main")
    with pytest.raises(UnrelatedHistories):
        merge(work)
    merged = merge(work, allow_unrelated=True)
    assert work.run("ls-tree", "--name-only", merged.tree).split() == ["a", "b"]


def test_a_history_that_cannot_be_read_is_damage_and_not_unrelated(work: WorkTree) -> None:
    diverge(work, {"a": b"a\n"}, ours={"b": b"b\n"}, theirs={"c": b"c\n"})
    work.remove(work.oid("main~"))
    work.is_strict = True
    with pytest.raises(DamageTold):
        merge(work)


def test_with_a_commit_that_does_not_exist_no_tree_is_made(work: WorkTree) -> None:
    work.commit({"a": b"a\n"})
    with pytest.raises(MergeWithoutTree):
        merge(work, "1" * 40)


@pytest.mark.parametrize(
    ("ends", "error"),
    [
        ("kill -ABRT $$", MergeImpossible),
        ("kill -KILL $$", MergeTooLarge),
        ("echo 'fatal: Out of memory, realloc failed' >&2; exit 128", MergeTooLarge),
        ("echo 'fatal: something else' >&2; exit 128", GitFailed),
        ("exit 1", MergeWithoutTree),
        ("echo nonsense", MergeWithoutTree),
    ],
)
def test_the_way_git_ends_decides_the_error_of_a_merge(
    work: WorkTree, fake_git: FakeGit, ends: str, error: type[Exception]
) -> None:
    fake_git(ends)
    with pytest.raises(error):
        merge(work)


def test_a_merge_beyond_its_memory_is_too_large(work: WorkTree) -> None:
    large = b"x" * 20_000_000
    diverge(work, {"a": large + b"\nbase\n"}, ours={"a": large + b"\n1\n"}, theirs={"a": large + b"\n2\n"})
    with pytest.raises(MergeTooLarge):
        merge(work, memory_max_bytes=40_000_000)


@pytest.mark.parametrize(
    "message",
    [
        "error: packfile /r/objects/pack/pack-%s.pack cannot be mapped: Cannot allocate memory",
        "error: unable to mmap /r/objects/11/%s: Cannot allocate memory",
        "fatal: Out of memory, malloc failed (tried to allocate 9 bytes)",
        "git: error while loading shared libraries: libz.so.1: failed to map segment from shared object",
    ],
)
def test_a_lack_of_memory_is_never_reported_as_damage(
    work: WorkTree, fake_git: FakeGit, message: str
) -> None:
    work.is_strict = True
    fake_git(f"echo '{message.replace('%s', '1' * 40)}' >&2; exit 128")
    with pytest.raises(MergeTooLarge):
        merge(work)
    assert work.complaints == []


def test_an_object_that_cannot_be_read_is_damage_also_with_a_branch_called_memory(
    work: WorkTree, fake_git: FakeGit
) -> None:
    work.is_strict = True
    fake_git(f"echo 'error: Could not read {'1' * 40}; fatal: out-of-memory is not a commit' >&2; exit 128")
    with pytest.raises(DamageTold):
        merge(work)


def test_lines_that_git_never_writes_are_refused() -> None:
    with pytest.raises(MergeUnreadable):
        parse_merge_tree(TREE + b"\x00100644 nonsense\x00\x00", clean=False)
