"""The changes of a commit: against its parent, against a base, and which patches are shown."""

from dataclasses import replace

import pytest

from packhouse.auth.principal import Principal
from packhouse.db.repos import RepoNotFound
from packhouse.git.objects.codec import MODE_EXECUTABLE, MODE_FILE, MODE_GITLINK
from packhouse.git.oid import Oid
from packhouse.limits import Limits
from packhouse.node.node import Node
from packhouse.operations.reading.file_diffs import (
    APPLICABLE_FILE_MAX_BYTES,
    SHOWN_FILE_MAX_BYTES,
    SHOWN_LINES_MAX,
    FileDiff,
    RefInput,
)
from packhouse.operations.reading.read_commit_diff import CommitDiff, ReadCommitDiff, read_commit_diff
from packhouse.repository.refs.resolve import RefNotFound
from tests.support.builders.node_writes import commit_files
from tests.unit.operations.reading.entries import commit_entries, make_ephemeral

pytestmark = pytest.mark.quick

MAIN = RefInput("main")


def changed(diff: CommitDiff) -> list[tuple[str, bytes]]:
    """Return state and path of each file."""
    return [(file.entry.status, file.entry.path) for file in diff.files]


def only_file(
    node: Node, caller: Principal, files: dict[str, bytes | None], *, applicable: bool = False
) -> FileDiff:
    """Commit files and return the one that the commit changed."""
    commit_files(node, caller, "r", "main", files)
    command = ReadCommitDiff("r", MAIN, applicable=applicable)
    (file,) = read_commit_diff(node, caller, command).files
    return file


def test_a_commit_is_compared_with_its_first_parent(
    node: Node, caller: Principal, first: Oid, second: Oid
) -> None:
    diff = read_commit_diff(node, caller, ReadCommitDiff("r", MAIN))
    assert (diff.commit, diff.base, diff.merge_base, diff.is_by_id) == (second, first, None, False)
    assert changed(diff) == [("M", b"docs/b"), ("A", b"z")]
    file = diff.files[0]
    assert (file.additions, file.deletions, file.ends_with_newline) == (1, 0, True)
    assert file.raw is not None
    assert file.raw.endswith(b"@@ -1 +1,2 @@\n two\n+more\n")
    assert file.size_bytes == len(file.raw)


def test_a_root_commit_is_compared_with_the_empty_tree(node: Node, caller: Principal, first: Oid) -> None:
    diff = read_commit_diff(node, caller, ReadCommitDiff("r", MAIN))
    assert (diff.base, diff.merge_base) == (None, None)
    assert changed(diff) == [("A", b"a"), ("A", b"docs/b"), ("A", b"docs/deep/c")]


def test_a_named_base_is_compared_by_its_tree_and_the_merge_base_is_returned(
    node: Node, caller: Principal, first: Oid, second: Oid
) -> None:
    side = commit_files(node, caller, "r", "side", {"a": b"side\n"}, base="main").commit
    tip = commit_files(node, caller, "r", "main", {"m": b"main\n"}).commit
    diff = read_commit_diff(node, caller, ReadCommitDiff("r", RefInput("side"), MAIN))
    assert (diff.commit, diff.base, diff.merge_base) == (side, tip, second)
    assert changed(diff) == [("M", b"a"), ("D", b"m")]


def test_only_a_diff_between_full_ids_never_changes(
    node: Node, caller: Principal, first: Oid, second: Oid
) -> None:
    by_id = RefInput(second)
    for command, is_by_id in (
        (ReadCommitDiff("r", by_id), True),
        (ReadCommitDiff("r", by_id, RefInput(first)), True),
        (ReadCommitDiff("r", by_id, MAIN), False),
        (ReadCommitDiff("r", MAIN, by_id), False),
    ):
        assert read_commit_diff(node, caller, command).is_by_id is is_by_id


def test_paths_are_files_and_folders_and_not_patterns(
    node: Node, caller: Principal, first: Oid, second: Oid
) -> None:
    for paths, expected in (
        ([b"docs"], [("M", b"docs/b")]),
        ([b"z", b"docs/b"], [("M", b"docs/b"), ("A", b"z")]),
        ([b"*"], []),
        ([b"absent"], []),
    ):
        assert changed(read_commit_diff(node, caller, ReadCommitDiff("r", MAIN, paths=paths))) == expected


def test_a_deletion_a_rename_and_a_change_of_mode_are_shown(node: Node, caller: Principal, repo: str) -> None:
    long = b"".join(b"%d\n" % number for number in range(50))
    entries = {b"gone": b"x\n", b"old": long, b"run": b"y\n"}
    commit_entries(node, caller, {path: (MODE_FILE, content) for path, content in entries.items()})
    commit_entries(node, caller, {b"run": (MODE_EXECUTABLE, b"y\n"), b"sub": (MODE_GITLINK, b"")})
    commit_files(node, caller, repo, "main", {"gone": None, "old": None, "new": long})
    moved = read_commit_diff(node, caller, ReadCommitDiff("r", MAIN))
    assert changed(moved) == [("D", b"gone"), ("R", b"new")]
    assert moved.files[1].entry.old_path == b"old"
    before = read_commit_diff(node, caller, ReadCommitDiff("r", RefInput("main~1")))
    assert changed(before) == [("M", b"run"), ("A", b"sub")]
    assert (before.files[0].entry.old_mode, before.files[0].entry.new_mode) == (0o100644, 0o100755)


def test_a_content_without_a_last_newline_is_marked(node: Node, caller: Principal, first: Oid) -> None:
    assert not only_file(node, caller, {"a": b"one\ntwo"}).ends_with_newline
    assert not only_file(node, caller, {"a": None}).ends_with_newline, "the old content of a deleted file"


def test_white_space_counts_only_in_a_patch_that_is_applied(
    node: Node, caller: Principal, first: Oid
) -> None:
    assert only_file(node, caller, {"a": b"one \n"}, applicable=True).additions == 1
    shown = read_commit_diff(node, caller, ReadCommitDiff("r", MAIN))
    assert sum(file.additions for file in shown.files) == 0


@pytest.mark.parametrize(
    ("name", "content", "is_shown", "is_applicable"),
    [
        ("text", b"x\n" * SHOWN_LINES_MAX, True, True),
        ("long", b"x\n" * (SHOWN_LINES_MAX + 1), False, True),
        ("large", b"x" * (SHOWN_FILE_MAX_BYTES + 1), False, True),
        ("larger", b"x" * (APPLICABLE_FILE_MAX_BYTES + 1), False, False),
        ("binary", b"\0\n", False, False),
        ("latin", b"caf\xe9\n", True, False),
        ("Cargo.lock", b"x\n", False, True),
        ("sub/yarn.lock", b"x\n", False, True),
        ("my.lock", b"x\n", True, True),
    ],
)
def test_some_files_are_listed_without_their_patch(
    node: Node,
    caller: Principal,
    first: Oid,
    name: str,
    content: bytes,
    is_shown: bool,
    is_applicable: bool,
) -> None:
    commit_files(node, caller, "r", "main", {name: content})
    for applicable, expected in ((False, is_shown), (True, is_applicable)):
        command = ReadCommitDiff("r", MAIN, applicable=applicable)
        (file,) = read_commit_diff(node, caller, command).files
        assert (file.raw is not None) is expected
        assert file.entry.path == name.encode()


def test_a_binary_file_has_the_size_of_its_content(node: Node, caller: Principal, first: Oid) -> None:
    file = only_file(node, caller, {"b": b"\0" * 1000})
    assert (file.raw, file.size_bytes, file.additions) == (None, 1000, 0)


def test_patches_that_do_not_fit_the_answer_are_left_out(node: Node, caller: Principal, first: Oid) -> None:
    commit_files(node, caller, "r", "main", dict.fromkeys(("p", "q", "r"), b"line\n" * 100))
    few = replace(node, limits=Limits(diff_raw_total_max_bytes=1000))
    files = read_commit_diff(few, caller, ReadCommitDiff("r", MAIN)).files
    assert [file.raw is not None for file in files] == [True, False, False]
    assert [file.additions for file in files] == [100, 100, 100]


def test_an_ephemeral_branch_is_compared_in_its_own_namespace_only(
    node: Node, caller: Principal, first: Oid, second: Oid
) -> None:
    make_ephemeral(node, caller, "try")
    try_ = RefInput("try", ephemeral=True)
    assert read_commit_diff(node, caller, ReadCommitDiff("r", try_)).commit == second
    assert read_commit_diff(node, caller, ReadCommitDiff("r", RefInput(first), try_)).base == second
    for command in (ReadCommitDiff("r", RefInput("try")), ReadCommitDiff("r", MAIN, RefInput("try"))):
        with pytest.raises(RefNotFound):
            read_commit_diff(node, caller, command)


def test_an_empty_repository_and_a_stranger_get_no_commit_diff(
    node: Node, caller: Principal, stranger: Principal, repo: str
) -> None:
    with pytest.raises(RefNotFound):
        read_commit_diff(node, caller, ReadCommitDiff("r", MAIN))
    for who, name in ((stranger, "r"), (caller, "other")):
        with pytest.raises(RepoNotFound):
            read_commit_diff(node, who, ReadCommitDiff(name, MAIN))
