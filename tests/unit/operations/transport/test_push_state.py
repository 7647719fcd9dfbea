"""The state of a push: which commands may still succeed, and what the user reads about the others."""

import pytest

from packhouse import limits
from packhouse.auth.policy import PolicyDenied
from packhouse.db.ref_transaction import (
    DefaultBranchProtected,
    RefMismatch,
    RefNameConflict,
    RefOutcome,
    RefUpdate,
)
from packhouse.errors import PackhouseError
from packhouse.git.commands.fault_log import FaultLog, ObjectFault
from packhouse.git.oid import Oid
from packhouse.git.refname import EPHEMERAL, NewNameRefused, RefName
from packhouse.git.wire.receive_request import ReceiveRequest, RefCommand
from packhouse.operations.refs.signed_updates import TooManyCommitsToVerify
from packhouse.operations.transport.push_state import OUTSIDE, PushState, Updates
from packhouse.operations.transport.remotes import Remote
from packhouse.repository.checks import ObjectKind
from packhouse.repository.refs.writer import AllowedUpdate
from packhouse.repository.upkeep.push_repack import PackedTooSlowly, PackNotWritten
from packhouse.repository.upstream.access import UpstreamAway
from packhouse.repository.upstream.forward import UpstreamRejected

pytestmark = pytest.mark.quick

ONE, TWO, THREE = (Oid(digit * 40) for digit in "123")
COMMIT = ObjectKind("commit", None)


def push_of(*commands: tuple[str, Oid | None, Oid | None], atomic: bool = False, **more: Remote) -> PushState:
    """Return the state of a push with these commands: name of the branch, old value, new value."""
    request = ReceiveRequest(
        tuple(RefCommand(f"refs/heads/{name}".encode(), old, new) for name, old, new in commands),
        frozenset({"atomic"} if atomic else ()),
    )
    return PushState(more.get("remote", Remote("r")), request, ("missingEmail",))


@pytest.fixture
def three() -> PushState:
    """A creation, a move and a deletion."""
    return push_of(("new", None, ONE), ("moved", ONE, TWO), ("gone", THREE, None))


def allowed(push: PushState) -> Updates:
    """Return the updates of all open commands, allowed."""
    updates = push.open_updates({ONE: COMMIT, TWO: COMMIT})
    return {number: AllowedUpdate(update) for number, update in updates.items()}


def fail(error: PackhouseError) -> None:
    """Raise an error."""
    raise error


def reasons(push: PushState) -> list[str | None]:
    """Return the reason of each command."""
    return [report.error for report in push.reports()]


def test_refused_and_skipped_commands_are_closed_and_only_refused_ones_are_reported(three: PushState) -> None:
    three.refuse(0, "first reason")
    three.refuse(0, "second reason")
    three.skipped.add(1)
    assert three.open_numbers() == [2]
    assert three.open_values() == []
    assert reasons(three) == ["first reason", None, None]
    assert [report.name for report in three.reports()] == [command.name for command in three.commands]


def test_an_atomic_push_with_a_failed_command_has_no_open_commands() -> None:
    push = push_of(("a", None, ONE), ("b", None, TWO), atomic=True)
    assert push.open_numbers() == [0, 1]
    push.refuse(1, "because")
    assert push.open_numbers() == []
    assert reasons(push) == ["atomic push failure", "because"]


def test_a_value_of_several_commands_is_asked_for_once() -> None:
    push = push_of(("a", None, TWO), ("b", None, ONE), ("c", None, TWO), ("d", ONE, None))
    assert push.open_values() == [TWO, ONE]
    assert push.open_tips() == {0: TWO, 1: ONE, 2: TWO}


def test_an_update_names_the_namespace_and_the_target_of_a_tag() -> None:
    push = push_of(("a", ONE, TWO), ("b", THREE, None), remote=Remote("r", EPHEMERAL))
    assert push.open_updates({TWO: ObjectKind("tag", ONE)}) == {
        0: RefUpdate(EPHEMERAL, RefName(b"refs/heads/a"), ONE, TWO, ONE),
        1: RefUpdate(EPHEMERAL, RefName(b"refs/heads/b"), THREE, None, None),
    }


def test_updates_that_were_allowed_stay_only_while_their_command_is_open(three: PushState) -> None:
    updates = allowed(three)
    three.refuse(1, "lost")
    assert list(three.still_open(updates)) == [0, 2]


def test_a_refusal_of_all_that_need_objects_spares_deletions(three: PushState) -> None:
    three.refuse(0, "earlier")
    three.refuse_open("no objects")
    assert reasons(three) == ["earlier", "no objects", None]


def test_a_refusal_of_all_reaches_each_command_of_an_atomic_push() -> None:
    push = push_of(("a", None, ONE), ("b", None, TWO), atomic=True)
    push.refuse_open("no objects")
    assert reasons(push) == ["no objects", "no objects"]


def test_a_denial_by_policy_is_shown_once_above_the_report(three: PushState) -> None:
    denied = PolicyDenied(b"refs/heads/new", "no-push")
    three.refuse_policy(0, denied)
    three.refuse_policy(0, denied)
    assert three.lines == ["refs/heads/new: denied by policy (no-push)"]
    assert reasons(three)[0] == "denied by policy (no-push)"


def test_missing_values_and_branches_on_trees_are_refused_and_tags_on_trees_are_not() -> None:
    push = push_of(("a", None, ONE), ("b", None, TWO), ("c", ONE, None))
    tag = RefCommand(b"refs/tags/t", None, ONE)
    push.request = ReceiveRequest((*push.request.commands, tag), push.request.capabilities)
    push.refuse_kinds({ONE: ObjectKind("tree", None)})
    assert reasons(push) == ["a branch must point to a commit", "missing necessary objects", None, None]


@pytest.mark.parametrize(
    ("shallow", "text"), [((), "missing necessary objects"), ((THREE,), "shallow update not allowed")]
)
def test_values_with_holes_below_them_are_refused_with_a_hint_to_a_shallow_client(
    shallow: tuple[Oid, ...], text: str
) -> None:
    push = push_of(("a", None, ONE), ("b", None, TWO))
    push.request = ReceiveRequest(push.request.commands, push.request.capabilities, shallow=shallow)
    push.refuse_unconnected({TWO})
    assert reasons(push) == [None, text]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            RefMismatch(RefName(b"refs/heads/moved"), expected=ONE, actual=TWO),
            "the ref has moved, fetch first",
        ),
        (RefMismatch(RefName(b"refs/heads/moved"), expected=ONE, actual=None), "the ref does not exist"),
        (
            RefNameConflict(refname=RefName(b"refs/heads/moved"), existing=RefName(b"refs/heads/moved/x")),
            "conflicts with refs/heads/moved/x",
        ),
        (NewNameRefused(RefName(b"refs/heads/moved"), "odd"), "invalid name: odd"),
        (
            DefaultBranchProtected(RefName(b"refs/heads/moved")),
            "deletion of the default branch is not allowed",
        ),
        (UpstreamRejected(RefName(b"refs/heads/moved")), UpstreamRejected.code.value),
    ],
)
def test_the_report_has_the_reason_why_the_ref_transaction_did_not_move_a_ref(
    three: PushState, error: PackhouseError, text: str
) -> None:
    updates = allowed(three)
    outcomes = [RefOutcome(one.update, None) for one in updates.values()]
    outcomes[1] = RefOutcome(updates[1].update, None, error)
    three.refuse_failed(updates, outcomes)
    assert reasons(three) == [None, text, None]
    again = push_of(("new", None, ONE), ("moved", ONE, TWO), atomic=True)
    with again.refusing_failed(allowed(again)):
        fail(error)
    assert reasons(again) == ["atomic push failure", text]


def test_an_error_that_does_not_name_a_ref_stops_the_push(three: PushState) -> None:
    with pytest.raises(UpstreamAway), three.refusing_failed(allowed(three)):
        fail(UpstreamAway("timed out"))
    assert reasons(three) == [None, None, None]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (PackNotWritten("no room"), "no room"),
        (PackedTooSlowly(1.0), PackedTooSlowly.code.value),
        (TooManyCommitsToVerify(1), TooManyCommitsToVerify.code.value),
    ],
)
def test_a_push_that_cannot_be_packed_anew_loses_the_commands_that_need_objects(
    three: PushState, error: PackhouseError, text: str
) -> None:
    with three.refusing_unpacked():
        fail(error)
    assert reasons(three) == [text, text, None]


def test_other_failures_of_packing_anew_stop_the_push(three: PushState) -> None:
    with pytest.raises(OSError, match="of the test"), three.refusing_unpacked():
        raise OSError("of the test")


# Faulty objects


def with_fault(push: PushState, name: str = "hasDotgit") -> PushState:
    """Let index-pack report exactly one faulty object."""
    push.fault_log.add(ObjectFault(THREE, name, "text of git"))
    push.fault_log.finish()
    return push


def test_a_push_has_faults_until_index_pack_has_ended_without_one() -> None:
    push = push_of(("a", None, ONE))
    told = [(push.has_faults, push.leaves_out)]
    push.fault_log.finish()
    told.append((push.has_faults, push.leaves_out))
    with_fault(push)
    told.append((push.has_faults, push.leaves_out))
    assert told == [(True, False), (False, False), (True, True)]


def test_a_refused_new_value_leaves_objects_out_and_a_refused_deletion_does_not(three: PushState) -> None:
    three.fault_log.finish()
    three.refuse(2, "deletion")
    assert not three.leaves_out
    three.skipped.add(0)
    assert three.leaves_out


def test_the_refs_that_lead_to_a_faulty_object_are_refused_with_a_line_each(three: PushState) -> None:
    with_fault(three).refuse_faulty({TWO: "tree 333: hasDotgit: text"})
    assert reasons(three) == [None, "tree 333: hasDotgit: text", None]
    assert three.lines == ["refs/heads/moved: tree 333: hasDotgit: text"]


def test_of_many_refs_with_faulty_objects_the_first_are_shown_and_all_are_counted() -> None:
    count = limits.push_told_refs_max + 2
    push = with_fault(push_of(*((f"b{number}", None, ONE) for number in range(count))))
    push.refuse_faulty({ONE: "reason"})
    assert reasons(push) == ["reason"] * count
    assert len(push.lines) == limits.push_told_refs_max + 1
    assert push.lines[-1] == f"{count} refs in all lead to objects that are refused"


def test_all_refs_are_refused_when_the_faulty_objects_could_not_be_traced(three: PushState) -> None:
    with_fault(three).refuse_faulty(None)
    text = "the push has faulty objects, and which refs lead to them cannot be found out"
    assert reasons(three) == [text, text, None]
    assert three.lines == [f"object {THREE}: hasDotgit: text of git"]


@pytest.mark.parametrize(
    ("name", "is_import", "told"),
    [("missingEmail", False, 1), ("hasDotgit", False, 0), ("missingEmail", True, 0)],
)
def test_the_import_remote_is_recommended_where_it_takes_all_faults(
    name: str, is_import: bool, told: int
) -> None:
    push = with_fault(push_of(("a", None, ONE), remote=Remote("r", is_import=is_import)), name)
    push.refuse_faulty({})
    assert len([line for line in push.lines if "+import" in line]) == told
    assert list(push.allowed_faults) == (["missingEmail"] if is_import else [])


# Names


def test_a_few_skipped_refs_are_named_in_one_line() -> None:
    push = push_of(*((f"b{number}", None, ONE) for number in range(6)))
    push.skipped.update({4, 1})
    push.tell_of_names()
    assert push.lines == [
        "skipped 2 refs outside refs/heads, refs/tags and refs/notes, not stored: refs/heads/b1, refs/heads/b4"
    ]


def test_the_refusal_of_a_name_outside_branches_lists_the_refs_that_can_be_pushed(three: PushState) -> None:
    three.tell_of_names()
    assert three.lines == []
    three.refuse(0, OUTSIDE)
    three.tell_of_names()
    assert len(three.lines) == 1
    assert "git push <remote>" in three.lines[0]


def test_a_long_or_unreadable_name_is_shown_in_part() -> None:
    push = push_of(("x" * 300, None, ONE))
    assert len(push.shown_name(0)) == 200
    push.request = ReceiveRequest((RefCommand(b"refs/heads/\xff", None, ONE),), frozenset())
    assert push.shown_name(0) == "refs/heads/�"


def test_each_push_has_a_log_of_its_own() -> None:
    assert push_of().fault_log is not push_of().fault_log
    assert isinstance(push_of().fault_log, FaultLog)
