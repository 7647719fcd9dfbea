"""The one table from errors to statuses and bodies (RFC 9457 members). Other modules know no statuses of failures."""

import errno
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Protocol, runtime_checkable

from starlette.responses import Response

from packhouse.errors import (
    Code,
    Conflict,
    Corrupt,
    Denied,
    Invalid,
    LimitExceeded,
    NotFound,
    PackhouseError,
    PreconditionFailed,
    TimedOut,
    Unauthenticated,
    Unavailable,
    WithRetry,
)
from packhouse.git import Oid
from packhouse.log import log_event
from packhouse.operations.commits.merge import MergeConflict
from packhouse.operations.notes.write_note import NotesRefFailure, NotesRefState
from packhouse.repository import RepositoryDamaged
from packhouse.web.call import Call
from packhouse.web.conditions import RangeNotSatisfiable
from packhouse.web.edge.responses import NOT_STORED, json_response
from packhouse.web.edge.wire_request import WireRequest
from packhouse.web.json import path_list_members
from packhouse.web.routing.route import ErrorStyle
from packhouse.web.routing.router import MethodNotAllowed
from packhouse.web.sentences import show_value, write_sentence

INSTANCE_MAX_CHARS: Final = 1000
GIT_CHALLENGE: Final = 'Basic realm="code storage", charset="UTF-8"'  # RFC 7617 section 2.1


@dataclass(frozen=True, slots=True)
class _Row:
    status: int
    result_status: str


FAMILIES: Final[Mapping[type[Exception], _Row]] = {
    # of the families of an error the most special one counts
    Invalid: _Row(400, "invalid"),
    Unauthenticated: _Row(401, "unauthorized"),
    Denied: _Row(403, "forbidden"),
    NotFound: _Row(404, "not_found"),
    Conflict: _Row(409, "conflict"),
    PreconditionFailed: _Row(409, "precondition_failed"),
    LimitExceeded: _Row(413, "invalid"),
    Corrupt: _Row(500, "internal"),
    Unavailable: _Row(503, "unavailable"),
    TimedOut: _Row(504, "timeout"),
    PackhouseError: _Row(500, "failed"),
}

KINDS: Final[Mapping[Code, _Row]] = {
    # codes whose status is not that of their family, or that have no family
    Code.PATCH_DOES_NOT_APPLY: _Row(400, "conflict"),
    Code.METHOD_NOT_ALLOWED: _Row(405, "invalid"),
    Code.CLIENT_STALLED: _Row(408, "timeout"),
    Code.EVENTS_FORGOTTEN: _Row(410, "not_found"),
    Code.FILE_PRECONDITION_FAILED: _Row(412, "precondition_failed"),
    Code.UNSUPPORTED_MEDIA_TYPE: _Row(415, "invalid"),
    Code.RANGE_NOT_SATISFIABLE: _Row(416, "invalid"),
    Code.KEY_REUSED: _Row(422, "invalid"),
    Code.UPSTREAM_AWAY: _Row(502, "unavailable"),
}

INTERNAL: Final = _Row(500, "internal")

CONFLICT_TYPES: Final[Mapping[Code, str]] = {
    Code.MERGE_CONFLICT: "merge_conflict",
    Code.TARGET_MOVED: "target_moved",
    Code.REPO_CHANGED: "repo_changed",
}
"""The member `conflict_type`, for clients that act on it."""

# The disk is full, read-only or broken, or no more files can be opened. A retry of the same request may succeed.
_STORAGE_TROUBLE: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE}
)
_PROBLEM_MEDIA: Final = "application/problem+json"
_LFS_MEDIA: Final = "application/vnd.git-lfs+json"
_ZERO_WEIGHT: Final = re.compile(r"q=0(?:\.0*)?")


@runtime_checkable
class OfBranch(Protocol):
    """An error about a branch; `branch` is its plain name."""

    @property
    def branch(self) -> str: ...


@runtime_checkable
class OfRef(Protocol):
    """An error about a ref; `refname` is plain text where git would not accept the name."""

    @property
    def refname(self) -> bytes | str: ...


@runtime_checkable
class WithActual(Protocol):
    """An error about a ref that is not where it was expected. `actual` is None for an absent ref."""

    @property
    def actual(self) -> Oid | None: ...


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as it goes over the wire. `sentence` is one line that holds no secret.

    `error` has facts that callers may know. It is None for a fault of the server.
    """

    status: int
    result_status: str
    sentence: str
    error: PackhouseError | None = None


def describe_failure(error: BaseException) -> Failure:
    """Return status and sentence of any error. Foreign exceptions and faults of the server give no details."""
    if _is_storage_trouble(error):
        return _fault(FAMILIES[Unavailable], "storage not available, please retry later")
    if not isinstance(error, PackhouseError):
        return _fault(INTERNAL, "internal server error")
    row = find_row(error)
    if isinstance(error, Corrupt) and not isinstance(error, RepositoryDamaged):
        return _fault(row, "stored data cannot be read")
    if row is FAMILIES[PackhouseError]:
        # The text is not for callers. That of a failed git process, for example, names folders of this machine.
        return _fault(INTERNAL, "internal server error")
    return Failure(row.status, row.result_status, write_sentence(error), error)


def find_row(error: PackhouseError) -> _Row:
    """Return the row of an error: the row of its code, or else the row of its family."""
    row = KINDS.get(error.code)
    return row or next(FAMILIES[kind] for kind in type(error).__mro__ if kind in FAMILIES)


def _fault(row: _Row, sentence: str) -> Failure:
    return Failure(row.status, row.result_status, sentence)


def _is_storage_trouble(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in _STORAGE_TROUBLE


def render_failure(wire: WireRequest, call: Call | None, error: BaseException, style: ErrorStyle) -> Response:
    """Return the answer for an error, in the form that the route's clients read. `call` is None without a route."""
    failure = describe_failure(error)
    if failure.status >= 500:
        log_failure(call, error, failure.status)
    headers = _headers(failure, style)
    if style is ErrorStyle.GIT:
        return Response(failure.sentence + "\n", failure.status, headers, "text/plain; charset=utf-8")
    if style is ErrorStyle.CODEARTS:
        return json_response(codearts_members(failure.status, failure.sentence), failure.status, headers)
    if style is ErrorStyle.NOTE and isinstance(failure.error, NotesRefFailure):
        return json_response(_note_write(failure, failure.error.at), failure.status, headers)
    problem = _problem(wire, failure)
    if style is ErrorStyle.COMMIT_RESULT:
        problem["result"] = _commit_result(call, failure)
    if style is ErrorStyle.LFS:
        # Without a message git-lfs prints a text of its own, with the whole address, token included.
        problem["message"] = failure.sentence
        media = _LFS_MEDIA if _LFS_MEDIA in wire.headers.get("accept", "") else "application/json"
        return json_response(problem, failure.status, headers, media_type=media)
    media = _PROBLEM_MEDIA if _accepts_problem(wire.headers.getlist("accept")) else "application/json"
    return json_response(problem, failure.status, headers, media_type=media)


def _accepts_problem(accept: list[str]) -> bool:
    """Tell whether the type is named literally, with another weight than 0 (RFC 9110 section 12.5.1).

    A wildcard does not count: clients that send one look for application/json in the answer's content type.
    """
    for named in ",".join(accept).lower().split(","):
        media, *parameters = (part.strip() for part in named.split(";"))
        if media == _PROBLEM_MEDIA:
            return not any(_ZERO_WEIGHT.fullmatch(parameter) for parameter in parameters)
    return False


_CODEARTS_GIVEN: Final = {
    401: ("DEV.00000003", "Authentication information expired."),
    403: ("CH.004403", "Insufficient permissions. Apply for the required permissions and try again."),
}


def codearts_members(status: int, sentence: str) -> dict[str, str]:
    """Return exactly the two members of a CodeArts failure. CodeArts documents codes and texts for 401 and 403 only."""
    unexpected = "CH.000001" if status == 500 else f"CH.004{status}"
    code, text = _CODEARTS_GIVEN.get(status, (unexpected, sentence))
    return {"error_code": code, "error_msg": text}


def log_failure(call: Call | None, error: BaseException, status: int) -> None:
    """Log failures that an operator must know of, bugs with a traceback.

    Damage was logged as an error when it was found (repository/damage.py). Here it is one more refused request.
    """
    operation = call.match.operation if call else ""
    is_told = isinstance(error, RepositoryDamaged)
    expected = is_told or (isinstance(error, PackhouseError) and not isinstance(error, Corrupt))
    log_event(
        "request failed",
        level=logging.WARNING if expected else logging.ERROR,
        exc_info=not expected and not _is_storage_trouble(error),
        operation=operation,
        status=status,
        reason=str(error) if isinstance(error, PackhouseError | OSError) else type(error).__name__,
    )


def _headers(failure: Failure, style: ErrorStyle) -> dict[str, str]:
    headers = {"Cache-Control": NOT_STORED}
    error = failure.error
    if failure.status == 401:
        headers["WWW-Authenticate"] = GIT_CHALLENGE if style is ErrorStyle.GIT else "Bearer"
    if failure.status == 503:
        headers["Retry-After"] = str(_retry_after_s(error))
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = error.allow
    if isinstance(error, RangeNotSatisfiable):
        headers["Accept-Ranges"] = "bytes"
        headers["Content-Range"] = f"bytes */{error.size_bytes}"
    return headers


def _retry_after_s(error: PackhouseError | None) -> int:
    return error.retry_after_s if error is not None and isinstance(error, WithRetry) else 1


def problem_members(status: int, sentence: str) -> dict[str, Any]:
    """Return the members that every error body has. Clients show the member `error`."""
    title = HTTPStatus(status).phrase
    return {"type": "about:blank", "title": title, "status": status, "detail": sentence, "error": sentence}


def _problem(wire: WireRequest, failure: Failure) -> dict[str, Any]:
    problem = problem_members(failure.status, failure.sentence)
    if len(wire.raw_path) <= INSTANCE_MAX_CHARS:
        problem["instance"] = wire.raw_path.decode("ascii", "replace")
    if failure.error is not None and failure.error.code in CONFLICT_TYPES:
        problem["conflict_type"] = CONFLICT_TYPES[failure.error.code]
    if isinstance(failure.error, MergeConflict):
        paths = path_list_members(failure.error.paths, "conflict_paths")
        base = failure.error.merge_base
        known = {} if base is None else {"merge_base_sha": base}
        problem.update({"conflict_paths": paths["conflict_paths"], **known, **paths})
    return problem


def _commit_result(call: Call | None, failure: Failure) -> dict[str, Any]:
    """Return the `result` member: the known facts about the branch, without blank ones."""
    result: dict[str, Any] = {
        "success": False,
        "status": failure.result_status,
        "message": failure.sentence,
    }
    error = failure.error
    target = call.failure_facts.get("branch") if call else None
    failed = None if error is None else _failed_branch(error)
    if branch := target or failed:
        result["target_branch"] = result["branch"] = show_value(branch)
    if error is not None and isinstance(error, WithActual) and error.actual and failed == branch:
        result["old_sha"] = result["new_sha"] = error.actual  # and not the tip of a base
    return result


def _failed_branch(error: PackhouseError) -> str | None:
    if isinstance(error, OfBranch):
        return error.branch
    if isinstance(error, OfRef) and isinstance(error.refname, bytes):
        return show_value(error.refname)
    return None


def _note_write(failure: Failure, at: NotesRefState) -> dict[str, Any]:
    """Return the response of a note write that failed because of the notes ref. It has no `error` member."""
    notes_ref = show_value(at.refname)
    return {
        "sha": at.target,
        "notes_ref": notes_ref,
        "target_ref": notes_ref,
        "new_ref_sha": at.tip or "",
        "result": {"success": False, "status": failure.result_status, "message": failure.sentence},
    }
