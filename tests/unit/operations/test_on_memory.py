"""Operations without a server, a disk or a file: their results, in milliseconds."""

import random

import pytest

from packhouse.auth.principal import Principal
from packhouse.db.packs import PackState, list_known_packs
from packhouse.db.refs import list_ref_log
from packhouse.db.repos import RepoNotFound, find_repo_by_public_id
from packhouse.db.session import Session
from packhouse.errors import Invalid
from packhouse.git.notes_refname import DEFAULT_NOTES_REF, notes_refname
from packhouse.git.oid import ZERO_OID, Oid
from packhouse.git.refname import PERSISTENT, branch_refname, tag_refname
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.commits.commit_target import GuardMismatch
from packhouse.operations.commits.merge import (
    Merge,
    MergeConflict,
    MergeResult,
    MergeStrategy,
    NotFastForward,
    merge,
)
from packhouse.operations.notes.read_note import NoteNotFound, ReadNote, read_note
from packhouse.operations.notes.write_note import (
    NoteAction,
    NoteExists,
    NoteMissing,
    NotesGuardMismatch,
    WriteNote,
    write_note,
)
from packhouse.operations.packs import clean_repo as clean_repo_module
from packhouse.operations.packs.clean_repo import CleanRepo, clean_repo
from packhouse.operations.reading.list_commits import ListCommits, list_commits
from packhouse.operations.reading.list_files import ListFiles, list_files
from packhouse.operations.reading.open_file import OpenFile, open_file
from packhouse.operations.refs.branches import BranchNotFound
from packhouse.operations.refs.create_branch import BranchExists, CreateBranch, create_branch
from packhouse.operations.refs.create_tag import CreateTag, TagExists, create_tag
from packhouse.operations.refs.delete_branch import DeleteBranch, delete_branch
from packhouse.operations.refs.list_branches import ListBranches, list_branches
from packhouse.operations.refs.list_tags import ListTags, list_tags
from packhouse.operations.refs.read_branch import ReadBranch, read_branch
from packhouse.operations.refs.restore_ref import RestoreRef, restore_ref
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.operations.repos.delete_repo import DeleteRepo, delete_repo
from packhouse.operations.repos.get_repo import GetRepo, get_repo
from packhouse.operations.repos.undelete_repo import UndeleteRepo, undelete_repo
from packhouse.repository.history.last_commit import PathNotFound
from tests.support.builders.node_writes import commit_files, journal_packs, put_commit
from tests.support.builders.upkeep import flush

pytestmark = pytest.mark.quick

MAIN = branch_refname("main")
SIDE = branch_refname("side")
NOTES = notes_refname(DEFAULT_NOTES_REF)


@pytest.fixture
def root(node: Node, caller: Principal) -> Oid:
    """The first commit of repository r, on main."""
    create_repo(node, caller, CreateRepo("r"))
    return commit_files(node, caller, "r", "main", {"a": b"one\n", "folder/b": b"two\n"}).commit


def read(node: Node, caller: Principal, path: str, *, ref: str = "main") -> bytes:
    """Return a file's content."""
    return b"".join(open_file(node, caller, OpenFile("r", path.encode(), ref)).iter_bytes())


def tip(node: Node, caller: Principal, branch: str) -> Oid:
    """Return the commit that a branch is at."""
    return read_branch(node, caller, ReadBranch("r", branch_refname(branch))).head


def branch_off(node: Node, caller: Principal, branch: str, base: str, *, force: bool = False) -> Oid:
    """Put a branch on the commit of a ref input."""
    command = CreateBranch("r", branch_refname(branch), base_ref=base, force=force)
    return create_branch(node, caller, command).tip


def pack_states(node: Node, caller: Principal) -> list[PackState]:
    """Return the states of all packs of r."""
    repo = lookup_repo(node, caller, "r")
    with node.database.read() as session:
        return sorted(list_known_packs(session, repo.id).values())


# Commits


def test_a_commit_is_read_back_with_its_unchanged_files(node: Node, caller: Principal, root: Oid) -> None:
    new = commit_files(node, caller, "r", "main", {"folder/b": b"three\n", "c": b"new\n"})
    assert new.old_oid == root
    assert tip(node, caller, "main") == new.commit
    assert [read(node, caller, path) for path in ("a", "folder/b", "c")] == [b"one\n", b"three\n", b"new\n"]
    assert read(node, caller, "folder/b", ref=root) == b"two\n"


def test_a_write_to_a_repository_that_was_deleted_meanwhile_names_it_and_leaves_nothing(
    node: Node, caller: Principal, root: Oid
) -> None:
    repo = lookup_repo(node, caller, "r")
    stored = node.store.list_names(repo.public_id)
    delete_repo(node, caller, DeleteRepo("r"))
    with pytest.raises(RepoNotFound) as raised:
        put_commit(node, caller, repo, root)
    assert raised.value.repo == "r"
    assert node.store.list_names(repo.public_id) == stored


def test_a_file_that_a_commit_deletes_is_gone_with_its_folder(
    node: Node, caller: Principal, root: Oid
) -> None:
    commit_files(node, caller, "r", "main", {"folder/b": None})
    with pytest.raises(PathNotFound):
        read(node, caller, "folder/b")
    listing = list_files(node, caller, ListFiles("r", "main"))
    assert [entry.path for entry in listing.entries] == [b"a"]
    assert read(node, caller, "folder/b", ref=root) == b"two\n"


def test_a_small_commit_is_one_row_of_the_journal_and_no_stored_pack(
    node: Node, caller: Principal, root: Oid
) -> None:
    commit_files(node, caller, "r", "main", {"a": b"two\n"})
    repo = lookup_repo(node, caller, "r")
    assert len(journal_packs(node, repo)) == 2
    assert (pack_states(node, caller), node.store.list_names(repo.public_id)) == ([], [])


def test_a_large_commit_is_one_pack_which_its_transaction_lists(
    node: Node, caller: Principal, root: Oid
) -> None:
    commit_files(node, caller, "r", "main", {"a": random.Random(1).randbytes(300_000)})
    repo = lookup_repo(node, caller, "r")
    assert pack_states(node, caller) == [PackState.LIVE]
    assert len(node.store.list_names(repo.public_id)) == 1
    assert len(journal_packs(node, repo)) == 1, "that of the commit before"


def test_a_commit_whose_guard_does_not_hold_leaves_nothing(node: Node, caller: Principal, root: Oid) -> None:
    commit_files(node, caller, "r", "main", {"a": b"two\n"}, expected=root)
    before = pack_states(node, caller)
    with pytest.raises(GuardMismatch):
        commit_files(node, caller, "r", "main", {"a": b"three\n"}, expected=root)
    assert read(node, caller, "a") == b"two\n"
    assert pack_states(node, caller) == before


def test_history_is_listed_from_the_newest_on(node: Node, caller: Principal, root: Oid) -> None:
    second = commit_files(node, caller, "r", "main", {"a": b"two\n"}).commit
    page = list_commits(node, caller, ListCommits("r", "main"))
    assert [commit.oid for commit in page.commits] == [second, root]


@pytest.mark.parametrize("path", ["../up", ".git/hooks/x", "a//b", ""])
def test_a_path_that_no_tree_may_hold_is_refused_by_the_operation_itself(
    node: Node, caller: Principal, root: Oid, path: str
) -> None:
    with pytest.raises(Invalid):
        commit_files(node, caller, "r", "main", {path: b"x"})
    assert tip(node, caller, "main") == root


# Branches and tags


def test_a_branch_is_made_listed_deleted_and_restored(node: Node, caller: Principal, root: Oid) -> None:
    assert branch_off(node, caller, "side", "main") == root
    commit_files(node, caller, "r", "side", {"s": b"side\n"})
    before = tip(node, caller, "side")
    page = list_branches(node, caller, ListBranches("r"))
    assert [branch.name for branch, _ in page.branches] == ["main", "side"]
    delete_branch(node, caller, DeleteBranch("r", SIDE))
    with pytest.raises(BranchNotFound):
        tip(node, caller, "side")
    repo = lookup_repo(node, caller, "r")
    with node.database.read() as session:
        deletion = list_ref_log(session, repo.id, ref=(PERSISTENT, SIDE), limit=1)[0]
    restored = restore_ref(node, caller, RestoreRef("r", PERSISTENT, SIDE, entry=deletion.id))
    assert (restored.old_oid, restored.new_oid) == (None, before)
    assert read(node, caller, "s", ref="side") == b"side\n"


def test_an_existing_branch_moves_by_force_only(node: Node, caller: Principal, root: Oid) -> None:
    branch_off(node, caller, "side", root)
    second = commit_files(node, caller, "r", "main", {"a": b"two\n"}).commit
    with pytest.raises(BranchExists):
        branch_off(node, caller, "side", "main")
    assert branch_off(node, caller, "side", "main", force=True) == second


def test_a_tag_is_made_once(node: Node, caller: Principal, root: Oid) -> None:
    command = CreateTag("r", tag_refname("v1"), "main")
    assert create_tag(node, caller, command).target == root
    commit_files(node, caller, "r", "main", {"a": b"two\n"})
    with pytest.raises(TagExists):
        create_tag(node, caller, command)
    page = list_tags(node, caller, ListTags("r"))
    assert [(tag.name, tag.target) for tag in page.tags] == [("v1", root)]


# Notes


def note(action: NoteAction, text: str | None, *, expected: str | None = None) -> WriteNote:
    """Return a command that writes a note on main's commit."""
    return WriteNote("r", "main", NOTES, action, text, expected)


def test_a_note_is_added_once_appended_to_and_removed(node: Node, caller: Principal, root: Oid) -> None:
    first = write_note(node, caller, note(NoteAction.ADD, "first"))
    assert (first.target, first.previous_tip) == (root, None)
    with pytest.raises(NoteExists):
        write_note(node, caller, note(NoteAction.ADD, "again"))
    second = write_note(node, caller, note(NoteAction.APPEND, "second"))
    assert second.previous_tip == first.notes_tip
    found = read_note(node, caller, ReadNote("r", "main", NOTES))
    assert (found.content, found.notes_tip) == (b"first\n\nsecond\n", second.notes_tip)
    write_note(node, caller, note(NoteAction.REMOVE, None))
    with pytest.raises(NoteNotFound):
        read_note(node, caller, ReadNote("r", "main", NOTES))
    with pytest.raises(NoteMissing):
        write_note(node, caller, note(NoteAction.REMOVE, None))


def test_a_note_is_written_under_its_guard(node: Node, caller: Principal, root: Oid) -> None:
    first = write_note(node, caller, note(NoteAction.ADD, "first", expected=ZERO_OID))
    with pytest.raises(NotesGuardMismatch):
        write_note(node, caller, note(NoteAction.APPEND, "x", expected=ZERO_OID))
    write_note(node, caller, note(NoteAction.APPEND, "second", expected=first.notes_tip))


# Merges


def merge_side(strategy: MergeStrategy) -> Merge:
    """Return a command that merges side into main."""
    return Merge("r", "side", False, MAIN, False, strategy)


def test_a_merge_has_the_changes_of_both_sides(node: Node, caller: Principal, root: Oid) -> None:
    commit_files(node, caller, "r", "side", {"s": b"side\n"}, base="main")
    ours = commit_files(node, caller, "r", "main", {"m": b"main\n"}).commit
    merged = merge(node, caller, merge_side(MergeStrategy.MERGE))
    assert (merged.result, merged.old_oid, merged.merge_base) == (MergeResult.MERGE_COMMIT, ours, root)
    assert tip(node, caller, "main") == merged.commit
    assert [read(node, caller, path) for path in ("a", "m", "s")] == [b"one\n", b"main\n", b"side\n"]


def test_a_merge_goes_fast_forward_where_it_can_and_not_where_it_cannot(
    node: Node, caller: Principal, root: Oid
) -> None:
    theirs = commit_files(node, caller, "r", "side", {"s": b"side\n"}, base="main").commit
    merged = merge(node, caller, merge_side(MergeStrategy.FF_ONLY))
    assert (merged.result, merged.commit) == (MergeResult.FAST_FORWARD, theirs)
    commit_files(node, caller, "r", "side", {"s": b"more\n"})
    commit_files(node, caller, "r", "main", {"m": b"main\n"})
    with pytest.raises(NotFastForward):
        merge(node, caller, merge_side(MergeStrategy.FF_ONLY))


def test_a_merge_with_a_conflict_moves_nothing_and_leaves_no_pack(
    node: Node, caller: Principal, root: Oid
) -> None:
    commit_files(node, caller, "r", "side", {"a": b"side\n"}, base="main")
    ours = commit_files(node, caller, "r", "main", {"a": b"main\n"}).commit
    before = pack_states(node, caller)
    with pytest.raises(MergeConflict) as refused:
        merge(node, caller, merge_side(MergeStrategy.MERGE))
    assert refused.value.paths == [b"a"]
    assert tip(node, caller, "main") == ours
    assert pack_states(node, caller) == before


# Deleting and bringing back


def test_a_deleted_repository_comes_back_whole_until_it_is_cleaned(
    node: Node, caller: Principal, root: Oid
) -> None:
    public_id = delete_repo(node, caller, DeleteRepo("r")).public_id
    with pytest.raises(RepoNotFound):
        get_repo(node, caller, GetRepo("r"))
    undelete_repo(node, caller, UndeleteRepo("r"))
    assert read(node, caller, "a") == b"one\n"
    assert clean_repo(node, CleanRepo(public_id))  # a late job finds the repository undeleted
    assert read(node, caller, "a") == b"one\n"
    delete_repo(node, caller, DeleteRepo("r"))
    assert clean_repo(node, CleanRepo(public_id))
    assert node.store.list_names(public_id) == []
    with pytest.raises(RepoNotFound):
        undelete_repo(node, caller, UndeleteRepo("r"))


def test_a_repository_that_is_brought_back_while_its_cleaning_begins_keeps_its_packs(
    node: Node, caller: Principal, root: Oid, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush(node, lookup_repo(node, caller, "r").public_id)
    public_id = delete_repo(node, caller, DeleteRepo("r")).public_id

    def find_then_lose(session: Session, public_id: str) -> object:
        found = find_repo_by_public_id(session, public_id)
        undelete_repo(node, caller, UndeleteRepo("r"))
        return found

    monkeypatch.setattr(clean_repo_module, "find_repo_by_public_id", find_then_lose)
    assert clean_repo(node, CleanRepo(public_id))
    assert read(node, caller, "a") == b"one\n"
    assert PackState.LIVE in pack_states(node, caller)
    assert PackState.DELETING not in pack_states(node, caller)


def test_a_repository_is_not_brought_back_once_its_cleaning_has_begun(
    node: Node, caller: Principal, root: Oid
) -> None:
    public_id = delete_repo(node, caller, DeleteRepo("r")).public_id
    assert not clean_repo(node, CleanRepo(public_id, should_stop=lambda: True))
    with pytest.raises(RepoNotFound):
        undelete_repo(node, caller, UndeleteRepo("r"))
    assert clean_repo(node, CleanRepo(public_id))
