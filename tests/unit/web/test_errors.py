"""Failures as users read them, and details that users never see."""

import asyncio
import difflib
import errno
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response

from packhouse.auth.sealing import SecretKeyMissing
from packhouse.cli.sentences import describe
from packhouse.db.engines.postgresql import DatabaseDamaged
from packhouse.db.engines.sqlite_connection import DatabaseFileDamaged
from packhouse.db.ref_transaction import RefMismatch
from packhouse.db.session import DatabaseAway
from packhouse.errors import (
    Code,
    Conflict,
    Denied,
    FieldMissing,
    Invalid,
    LimitExceeded,
    NotFound,
    PackhouseError,
    PreconditionFailed,
    ServerBusy,
    TimedOut,
    Unauthenticated,
    Unavailable,
)
from packhouse.git.commands.run import GitFailed
from packhouse.git.objects.errors import NotATag
from packhouse.git.oid import Oid
from packhouse.git.refname import RefName, branch_refname
from packhouse.limits import Limits
from packhouse.operations.commits.commit_target import GuardMismatch
from packhouse.operations.commits.merge import MergeConflict, RepoChanged, TargetMoved
from packhouse.operations.commits.start_patch_commit import PatchEmpty
from packhouse.operations.notes.write_note import NoteMissing, NotesRefState
from packhouse.operations.refs.branches import BranchKeptMoving
from packhouse.operations.transport.open_fetch import GitNotStarted
from packhouse.operations.transport.start_push import NewObjectsNotTaken
from packhouse.repository.apply_patch import PatchDoesNotApply, PatchRefused
from packhouse.repository.stored_packs import SourcePackGone
from packhouse.repository.upkeep.fault_tracing import PushGivenUp
from packhouse.storage.derived_files import PackIdxNotRebuilt
from packhouse.web.admission.branch_queue import BranchQueue
from packhouse.web.admission.limiter import Limiter
from packhouse.web.admission.threads import WorkerThreads
from packhouse.web.admission.transfers import Transfers
from packhouse.web.auth import TokenRequired
from packhouse.web.conditions import RangeNotSatisfiable
from packhouse.web.errors import describe_failure, render_failure
from packhouse.web.routing.route import ErrorStyle
from packhouse.web.routing.router import MethodNotAllowed
from tests.support.errors import error_classes, examples
from tests.support.wire_requests import make_wire

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("kind", "status", "word"),
    [
        (Invalid, 400, "invalid"),
        (Unauthenticated, 401, "unauthorized"),
        (Denied, 403, "forbidden"),
        (NotFound, 404, "not_found"),
        (Conflict, 409, "conflict"),
        (PreconditionFailed, 409, "precondition_failed"),
        (LimitExceeded, 413, "invalid"),
        (Unavailable, 503, "unavailable"),
        (TimedOut, 504, "timeout"),
    ],
)
def test_each_family_has_its_status_also_for_special_cases_of_its_classes(
    kind: type[Exception], status: int, word: str
) -> None:
    what_happened = type("WhatHappened", (kind,), {"code": Code.CREDENTIAL_EXISTS})
    special = type("Special", (what_happened,), {})
    for error in (what_happened(), special()):
        failure = describe_failure(error)
        assert (failure.status, failure.result_status) == (status, word)
        assert failure.sentence == Code.CREDENTIAL_EXISTS.value
        assert failure.error is error


def test_a_kind_with_a_row_of_its_own_does_not_go_by_its_family() -> None:
    failure = describe_failure(PatchDoesNotApply("it has moved"))
    assert (failure.status, failure.result_status) == (400, "conflict")
    assert describe_failure(PatchRefused("it is none")).result_status == "invalid"


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("secret"),
        DatabaseDamaged("secret"),
        NotATag(b"secret"),
        GitFailed("secret", messages="secret", exit_code=1),
        PushGivenUp(),
        KeyError("x"),
    ],
)
def test_errors_of_the_server_are_answered_without_details(error: Exception) -> None:
    failure = describe_failure(error)
    assert failure.status == 500
    assert "secret" not in failure.sentence
    assert failure.error is None


def test_a_full_disk_is_answered_as_unavailable() -> None:
    failure = describe_failure(OSError(errno.ENOSPC, "No space left on device", "/srv/data/x"))
    assert (failure.status, "/srv" in failure.sentence) == (503, False)
    assert describe_failure(OSError(errno.ENOENT, "gone", "/srv/data/x")).status == 500


def test_messages_of_a_database_driver_are_for_operators_only() -> None:
    away = DatabaseAway("connection to 10.0.0.7 refused")
    assert "10.0.0.7" in str(away)
    assert describe_failure(away).sentence == "database not available"
    assert "packhouse.db" not in describe_failure(DatabaseFileDamaged("packhouse.db")).sentence


_FULL = Limits(git_queue_max=0)


async def _refuse_search() -> None:
    async with Limiter(1, parked_max=0, work="searches", limits=_FULL).slot((1, "a")):
        raise AssertionError


async def _refuse_transfer() -> None:
    async with Transfers(1, _FULL).reads.slot((1, "a")):
        raise AssertionError


async def _refuse_call() -> None:
    await WorkerThreads(1, waiting_max=-1).run(int)


async def _refuse_write() -> None:
    queue = BranchQueue()
    async with queue.wait("key", branch="main", wait_max_s=1), queue.wait("key", branch="main", wait_max_s=0):
        raise AssertionError


@pytest.mark.parametrize(
    ("refuse", "status", "sentence"),
    [
        (_refuse_search, 503, "server is busy with other searches, please retry later"),
        (_refuse_transfer, 503, "server is busy with other transfers, please retry later"),
        (_refuse_call, 503, "server is busy with other calls, please retry later"),
        (_refuse_write, 409, "branch main is busy with other writes, please retry"),
    ],
)
def test_a_refusal_names_what_the_server_is_busy_with(
    refuse: Callable[[], Coroutine[None, None, None]],
    status: int,
    sentence: str,
) -> None:
    with pytest.raises(PackhouseError) as refused:
        asyncio.run(refuse())
    failure = describe_failure(refused.value)
    assert (failure.status, failure.sentence) == (status, sentence)


@pytest.mark.parametrize(
    "error",
    [
        NewObjectsNotTaken("secret"),
        SourcePackGone("secret"),
        GitNotStarted("secret"),
        PackIdxNotRebuilt(pack="secret", reason="secret"),
        SecretKeyMissing("/secret"),
    ],
)
def test_an_unavailable_service_is_reported_without_its_place(error: PackhouseError) -> None:
    failure = describe_failure(error)
    assert failure.status == 503
    assert "secret" not in failure.sentence.replace("stored secrets", "")


def render(error: PackhouseError, style: ErrorStyle = ErrorStyle.PLAIN) -> tuple[Response, dict[str, Any]]:
    """Return the answer for an error, and its body if that is JSON."""
    answer = render_failure(make_wire("GET", "/api/repos/r"), None, error, style)
    body = bytes(answer.body)
    return answer, json.loads(body) if body.startswith(b"{") else {}


def test_headers_carry_what_a_client_acts_on() -> None:
    assert render(ServerBusy(work="calls", retry_after_s=9))[0].headers["retry-after"] == "9"
    assert render(DatabaseAway())[0].headers["retry-after"] == "1"
    assert render(MethodNotAllowed(method="PUT", allow="GET, HEAD"))[0].headers["allow"] == "GET, HEAD"
    assert render(RangeNotSatisfiable(12))[0].headers["content-range"] == "bytes */12"
    assert render(TokenRequired())[0].headers["www-authenticate"] == "Bearer"
    assert render(TokenRequired(), ErrorStyle.GIT)[0].headers["www-authenticate"].startswith("Basic")


def test_a_merge_conflict_is_answered_with_its_files_and_its_base() -> None:
    _, body = render(MergeConflict([b"a", b"b/c"], Oid("1" * 40)))
    assert (body["conflict_type"], body["conflict_paths"]) == ("merge_conflict", ["a", "b/c"])
    assert body["merge_base_sha"] == "1" * 40
    assert list(body)[-3:] == ["conflict_type", "conflict_paths", "merge_base_sha"]
    _, body = render(MergeConflict([b"\xff"], None))
    assert list(body)[-3:] == ["conflict_type", "conflict_paths", "conflict_paths_base64"]
    for error, kind in ((TargetMoved("main", None), "target_moved"), (RepoChanged(), "repo_changed")):
        assert render(error)[1]["conflict_type"] == kind


def test_other_conflicts_have_no_type() -> None:
    assert "conflict_type" not in render(BranchKeptMoving("main"))[1]


def test_a_failed_commit_names_its_branch_if_the_error_has_it() -> None:
    tip = Oid("2" * 40)
    moved = render(GuardMismatch(branch="main", expected="x", actual=tip), ErrorStyle.COMMIT_RESULT)[1][
        "result"
    ]
    assert (moved["branch"], moved["target_branch"], moved["old_sha"], moved["new_sha"]) == (
        "main",
        "main",
        tip,
        tip,
    )
    refname = branch_refname("side")
    lost = RefMismatch(refname, expected=None, actual=tip)
    assert render(lost, ErrorStyle.COMMIT_RESULT)[1]["result"]["branch"] == "side"
    assert render(PatchEmpty(), ErrorStyle.COMMIT_RESULT)[1]["result"] == {
        "success": False,
        "status": "invalid",
        "message": "patch is empty",
    }


def test_a_note_that_was_not_written_is_answered_as_a_note_write_only_when_its_ref_is_the_reason() -> None:
    at = NotesRefState(Oid("3" * 40), RefName(b"refs/notes/commits"), None)
    assert render(NoteMissing(at), ErrorStyle.NOTE)[1] == {
        "sha": "3" * 40,
        "notes_ref": "refs/notes/commits",
        "target_ref": "refs/notes/commits",
        "new_ref_sha": "",
        "result": {
            "success": False,
            "status": "not_found",
            "message": f"no note for object {'3' * 40}",
        },
    }
    assert render(NoteMissing(at))[1]["error"] == f"no note for object {'3' * 40}"
    assert "error" in render(FieldMissing("note"), ErrorStyle.NOTE)[1]


TABLE = Path(__file__).with_name("error_table.tsv")


def test_every_error_is_answered_as_in_the_table() -> None:
    """A new class adds a line, or two if its fields may be absent. No other line may change."""
    told = ["code\tstatus\tresult\tsentence of the API\ttext in logs\tline of the command line"]
    for error in (error for kind in error_classes() for error in examples(kind)):
        failure = describe_failure(error)
        cells = (
            error.code.name,
            failure.status,
            failure.result_status,
            failure.sentence,
            error,
            describe(error),
        )
        told.append("\t".join(map(str, cells)))
    changes = difflib.unified_diff(
        TABLE.read_text("utf-8").splitlines(), told, "table", "told", n=0, lineterm=""
    )
    assert "\n".join(changes) == ""
