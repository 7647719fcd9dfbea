"""Notes: added, extended, removed and read, each under its guard, and the refs that hold them."""

from dataclasses import replace

import pytest

from packhouse.auth.policy import PolicyDenied
from packhouse.auth.principal import Principal
from packhouse.cursors import BadCursor
from packhouse.db.ref_transaction import RefMismatch, RefUpdate
from packhouse.db.repos import RepoNotFound
from packhouse.errors import Invalid, LimitExceeded
from packhouse.git.notes_refname import DEFAULT_NOTES_REF, notes_prefix, notes_refname
from packhouse.git.objects.codec import Person, parse_commit
from packhouse.git.oid import ZERO_OID, Oid
from packhouse.git.refname import PERSISTENT, RefName, tag_refname
from packhouse.limits import guard_wait_max_s, note_max_bytes
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.notes.list_notes_refs import ListNotesRefs, list_notes_refs
from packhouse.operations.notes.read_note import NoteNotFound, NotesRefNotFound, ReadNote, read_note
from packhouse.operations.notes.write_note import (
    CustomNotesRefsOff,
    NoteAction,
    NoteExists,
    NoteMissing,
    NotesGuardMismatch,
    NotesRefBusy,
    NotesRefConflict,
    NotesRefUnusable,
    WriteNote,
    write_note,
)
from packhouse.operations.refs.create_tag import CreateTag, create_tag
from packhouse.operations.refs.read_ref_log import ReadRefLog, read_ref_log
from packhouse.repository.refs.resolve import RefNotFound
from packhouse.repository.refs.writer import RefWriter
from packhouse.repository.view import open_view
from tests.support.builders.callers import with_policy
from tests.support.builders.node_writes import commit_files, move_refs
from tests.support.servers.steady_time import SteadyTime

pytestmark = pytest.mark.quick

NOTES = notes_refname(DEFAULT_NOTES_REF)
REVIEWS = notes_refname("reviews")
ADA = Person("Ada", "ada@example.test", 5000, "+0100")


@pytest.fixture
def first(node: Node, caller: Principal, repo: str) -> Oid:
    """The first commit, on main."""
    return commit_files(node, caller, repo, "main", {"a": b"1\n"}).commit


def add(text: str, *, to: str = "main", refname: RefName = NOTES, expected: str | None = None) -> WriteNote:
    """Return a command that adds a note."""
    return WriteNote("r", to, refname, NoteAction.ADD, text, expected)


def append(text: str, *, expected: str | None = None) -> WriteNote:
    """Return a command that adds a paragraph to the note on main."""
    return WriteNote("r", "main", NOTES, NoteAction.APPEND, text, expected)


def remove(*, of: str = "main", expected: str | None = None) -> WriteNote:
    """Return a command that removes a note."""
    return WriteNote("r", of, NOTES, NoteAction.REMOVE, None, expected)


def text_of(node: Node, caller: Principal, ref: str = "main", refname: RefName = NOTES) -> bytes:
    """Return the text of a note."""
    return read_note(node, caller, ReadNote("r", ref, refname)).content


# Writing


def test_a_note_is_added_once_and_the_result_has_the_tip_of_its_ref(
    node: Node, caller: Principal, first: Oid
) -> None:
    written = write_note(node, caller, add("looks good"))
    assert (written.target, written.previous_tip) == (first, None)
    note = read_note(node, caller, ReadNote("r", first, NOTES))
    assert (note.target, note.content, note.notes_tip) == (first, b"looks good\n", written.notes_tip)
    with pytest.raises(NoteExists) as refused:
        write_note(node, caller, add("again"))
    assert refused.value.at.tip == written.notes_tip
    assert text_of(node, caller) == b"looks good\n"


def test_a_note_belongs_to_an_object_of_any_kind(node: Node, caller: Principal, first: Oid) -> None:
    repo = lookup_repo(node, caller, "r")
    with open_view(node, repo) as view:
        tree = parse_commit(view.read(first, kind="commit")[1]).tree
    for oid in (first, tree):
        write_note(node, caller, add(f"of {oid}", to=oid))
    assert text_of(node, caller, tree) == f"of {tree}\n".encode()
    assert text_of(node, caller, first) == f"of {first}\n".encode()


def test_paragraphs_are_parted_by_one_blank_line(node: Node, caller: Principal, first: Oid) -> None:
    write_note(node, caller, append("one"))
    second = write_note(node, caller, append("two"))
    assert text_of(node, caller) == b"one\n\ntwo\n"
    assert second.previous_tip is not None


def test_a_removed_note_is_gone_and_others_stay(node: Node, caller: Principal, first: Oid) -> None:
    second = commit_files(node, caller, "r", "main", {"a": b"2\n"}).commit
    for oid in (first, second):
        write_note(node, caller, add("x", to=oid))
    write_note(node, caller, remove(of=first))
    with pytest.raises(NoteNotFound):
        text_of(node, caller, first)
    assert text_of(node, caller, second) == b"x\n"
    with pytest.raises(NoteMissing):
        write_note(node, caller, remove(of=first))


def test_the_history_of_notes_names_each_change_and_its_author(
    node: Node, caller: Principal, first: Oid
) -> None:
    write_note(node, caller, replace(add("one"), author=ADA))
    last = write_note(node, caller, append("two"))
    with open_view(node, lookup_repo(node, caller, "r")) as view:
        second = parse_commit(view.read(last.notes_tip, kind="commit")[1])
        assert last.previous_tip is not None
        oldest = parse_commit(view.read(last.previous_tip, kind="commit")[1])
    assert (oldest.author, oldest.parents, oldest.subject) == (ADA, (), "Notes added by 'git notes add'")
    assert second.parents == (last.previous_tip,)
    assert (second.author.name, second.author.when) == ("Packhouse", 1000)
    moves = read_ref_log(node, caller, ReadRefLog("r", refname=NOTES)).moves
    assert [move.action for move in moves] == ["note-append", "note-add"]


@pytest.mark.parametrize("object_ref", ["nowhere", "0" * 40, "1" * 40])
def test_a_note_for_a_missing_object_is_not_written(
    node: Node, caller: Principal, first: Oid, object_ref: str
) -> None:
    with pytest.raises(RefNotFound):
        write_note(node, caller, add("x", to=object_ref))
    with pytest.raises(RefNotFound):
        read_note(node, caller, ReadNote("r", object_ref, NOTES))


def test_a_note_is_text_that_git_can_hold_and_not_too_long(node: Node, caller: Principal, first: Oid) -> None:
    with pytest.raises(Invalid):
        write_note(node, caller, add("\ud800"))
    with pytest.raises(LimitExceeded):
        write_note(node, caller, add("x" * note_max_bytes))
    write_note(node, caller, add("x" * (note_max_bytes // 2)))
    with pytest.raises(LimitExceeded):
        write_note(node, caller, append("x" * (note_max_bytes // 2)))
    assert len(text_of(node, caller)) == note_max_bytes // 2 + 1


# Guards


def test_zeros_as_the_guard_ask_for_a_ref_that_does_not_exist(
    node: Node, caller: Principal, first: Oid
) -> None:
    written = write_note(node, caller, add("x", expected=ZERO_OID))
    with pytest.raises(NotesGuardMismatch) as refused:
        write_note(node, caller, append("y", expected=ZERO_OID))
    assert (refused.value.expected, refused.value.at.tip) == (ZERO_OID, written.notes_tip)


def test_a_guard_may_be_in_upper_or_lower_case(node: Node, caller: Principal, first: Oid) -> None:
    tip = write_note(node, caller, add("x")).notes_tip
    write_note(node, caller, append("y", expected=tip.upper()))
    for expected in (tip, "1" * 40, "main", "", "x" * 500):
        with pytest.raises(NotesGuardMismatch):
            write_note(node, caller, append("z", expected=expected))
    assert text_of(node, caller) == b"x\n\ny\n"


def lose_races(node: Node, monkeypatch: pytest.MonkeyPatch, count: int, actual: Oid) -> None:
    """Let another writer win the race for a ref `count` times."""
    really_move = RefWriter.move
    left = count

    def move(self: RefWriter, *args: object, **kwargs: object) -> object:
        nonlocal left
        if left > 0:
            left -= 1
            raise RefMismatch(NOTES, expected=None, actual=actual)
        return really_move(self, *args, **kwargs)  # type: ignore[arg-type]  # handed on as they came

    monkeypatch.setattr(RefWriter, "move", move)


def test_an_unguarded_write_that_loses_a_race_is_repeated(
    node: Node, caller: Principal, first: Oid, monkeypatch: pytest.MonkeyPatch
) -> None:
    SteadyTime(node)
    lose_races(node, monkeypatch, 3, first)
    write_note(node, caller, add("x"))
    assert text_of(node, caller) == b"x\n"


def test_a_write_that_loses_every_race_is_given_up_in_time(
    node: Node, caller: Principal, first: Oid, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = SteadyTime(node)
    node.jitter = lambda: 100.0
    lose_races(node, monkeypatch, 10**6, first)
    with pytest.raises(NotesRefBusy):
        write_note(node, caller, add("x"))
    assert time.now - 1000 > guard_wait_max_s
    with pytest.raises(NotesGuardMismatch):
        write_note(node, caller, add("x", expected=ZERO_OID))


# Refs


def test_a_ref_holds_notes_of_its_own(node: Node, caller: Principal, first: Oid) -> None:
    write_note(node, caller, add("default"))
    write_note(node, caller, add("review", refname=REVIEWS))
    assert text_of(node, caller) == b"default\n"
    assert text_of(node, caller, refname=REVIEWS) == b"review\n"
    with pytest.raises(NotesRefNotFound):
        text_of(node, caller, refname=notes_refname("other"))


def test_other_refs_are_written_only_where_the_operator_lets_them(
    node: Node, caller: Principal, first: Oid
) -> None:
    node.config = replace(node.config, custom_notes_refs=0)
    write_note(node, caller, add("default"))
    with pytest.raises(CustomNotesRefsOff):
        write_note(node, caller, add("review", refname=REVIEWS))


def test_a_name_conflict_with_another_ref_is_reported(node: Node, caller: Principal, first: Oid) -> None:
    write_note(node, caller, add("x", refname=REVIEWS))
    with pytest.raises(NotesRefConflict) as refused:
        write_note(node, caller, add("x", refname=notes_refname("reviews/deep")))
    assert refused.value.existing == REVIEWS


def test_a_ref_that_holds_no_commit_has_no_notes_and_takes_none(
    node: Node, caller: Principal, first: Oid
) -> None:
    repo = lookup_repo(node, caller, "r")
    with open_view(node, repo) as view:
        tree = parse_commit(view.read(first, kind="commit")[1]).tree
    move_refs(node, caller, repo, RefUpdate(PERSISTENT, NOTES, None, tree))  # as a push may have left it
    with pytest.raises(NoteNotFound):
        text_of(node, caller)
    with pytest.raises(NotesRefUnusable):
        write_note(node, caller, add("x"))


def test_refs_are_listed_by_the_bytes_of_their_names(node: Node, caller: Principal, first: Oid) -> None:
    for name in ("b", "a/x", "a-y", "commits"):
        write_note(node, caller, add("x", refname=notes_refname(name)))
    create_tag(node, caller, CreateTag("r", tag_refname("v1"), "main"))

    def listed(**query: object) -> list[str]:
        page = list_notes_refs(node, caller, ListNotesRefs("r", **query))  # type: ignore[arg-type]  # by name
        return [ref.refname.decode().removeprefix("refs/notes/") for ref in page.refs]

    assert listed() == ["a-y", "a/x", "b", "commits"]
    assert listed(prefix=notes_prefix("a/")) == ["a/x"]
    assert listed(cursor="refs/notes/a/x") == ["b", "commits"]
    assert listed(count_max=1) == ["a-y"]
    assert list_notes_refs(node, caller, ListNotesRefs("r", count_max=3)).has_more
    assert not list_notes_refs(node, caller, ListNotesRefs("r", count_max=4)).has_more
    for cursor in ("", "a b", "\ud800"):
        with pytest.raises(BadCursor):
            listed(cursor=cursor)


# Who may


def test_ref_policies_apply_to_notes(node: Node, caller: Principal, first: Oid) -> None:
    bound = with_policy(caller, ["refs/notes/*", ["no-push"]])
    with pytest.raises(PolicyDenied):
        write_note(node, bound, add("x"))
    signed = with_policy(caller, ["refs/notes/*", ["verify-sig"]])
    with pytest.raises(PolicyDenied):  # commits of the server are unsigned
        write_note(node, signed, add("x"))
    with pytest.raises(NotesRefNotFound):
        text_of(node, caller)


def test_another_organisation_finds_no_such_repository(
    node: Node, caller: Principal, stranger: Principal, first: Oid
) -> None:
    write_note(node, caller, add("x"))
    with pytest.raises(RepoNotFound):
        read_note(node, stranger, ReadNote("r", first, NOTES))
    with pytest.raises(RepoNotFound):
        write_note(node, stranger, append("y"))
    with pytest.raises(RepoNotFound):
        list_notes_refs(node, stranger, ListNotesRefs("r"))
