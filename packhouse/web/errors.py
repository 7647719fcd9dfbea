"""The one table from domain error to status, sentence and body (RFC 9457 members).

Nothing else knows status codes of failures. Fields of an error become the sentence a user reads; nothing
parses that sentence.
"""

import errno
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import Response

from packhouse.error_codes import Code
from packhouse.errors import (
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
)
from packhouse.log import log_event
from packhouse.operations.events.open_events import EventsForgotten
from packhouse.repository.apply_patch import PatchDoesNotApply
from packhouse.repository.damage import RepositoryDamaged
from packhouse.repository.upstream.access import UpstreamAway
from packhouse.web.call import Call
from packhouse.web.edge.body import ClientStalled
from packhouse.web.edge.responses import NOT_STORED, json_response
from packhouse.web.edge.wire_request import WireRequest
from packhouse.web.json.paths import path_list_members
from packhouse.web.routing.route import ErrorStyle
from packhouse.web.routing.router import MethodNotAllowed

SENTENCE_MAX_CHARS: Final = 1000
VALUE_MAX_CHARS: Final = 300
INSTANCE_MAX_CHARS: Final = 1000
GIT_CHALLENGE: Final = 'Basic realm="code storage", charset="UTF-8"'  # RFC 7617 section 2.1


class FilePreconditionFailed(PackhouseError):
    """If-Match or If-Unmodified-Since does not hold (RFC 9110 section 13)."""


class UnsupportedMediaType(PackhouseError):
    """The body is announced as something that this call does not take."""

    code = Code.UNSUPPORTED_MEDIA_TYPE
    expected: str


class KeyReused(PackhouseError):
    """The idempotency key came with another request before: other body, query or operation."""

    code = Code.KEY_REUSED


class RangeNotSatisfiable(PackhouseError):
    """No byte of the range exists. `size_bytes` is that of the file."""


@dataclass(frozen=True, slots=True)
class _Row:
    status: int
    result_status: str


ROWS: Final[Mapping[type[PackhouseError], _Row]] = {
    # the most special class of an error counts
    Invalid: _Row(400, "invalid"),
    PatchDoesNotApply: _Row(400, "conflict"),
    Unauthenticated: _Row(401, "unauthorized"),
    Denied: _Row(403, "forbidden"),
    NotFound: _Row(404, "not_found"),
    MethodNotAllowed: _Row(405, "invalid"),
    ClientStalled: _Row(408, "timeout"),
    Conflict: _Row(409, "conflict"),
    PreconditionFailed: _Row(409, "precondition_failed"),
    EventsForgotten: _Row(410, "not_found"),
    FilePreconditionFailed: _Row(412, "precondition_failed"),
    LimitExceeded: _Row(413, "invalid"),
    UnsupportedMediaType: _Row(415, "invalid"),
    RangeNotSatisfiable: _Row(416, "invalid"),
    KeyReused: _Row(422, "invalid"),
    Corrupt: _Row(500, "internal"),
    UpstreamAway: _Row(502, "unavailable"),
    Unavailable: _Row(503, "unavailable"),
    TimedOut: _Row(504, "timeout"),
    PackhouseError: _Row(500, "failed"),
}

INTERNAL: Final = _Row(500, "internal")

# A disk that is full, read-only or broken, or no more open files: no fault of the request, and it may pass.
_STORAGE_TROUBLE: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE}
)

SENTENCES: Final[Mapping[str, str]] = {
    # constant message of an error: what the user reads, made from its fields
    "API version is not served": "API version {version} is not served, use v1",
    "abbreviated id is unknown or not unique": "abbreviated id {ref} is unknown or not unique",
    "branch does not exist": "branch {branch} does not exist",
    "branch is not at the expected commit": "branch {branch} is at {actual}, expected {expected}",
    "branch has other writers": "branch {branch} is busy with other writes, please retry",
    "branch kept moving": "branch {branch} kept moving while this was written, please retry",
    "content encoding is not accepted here": "content encoding {encoding} is not accepted here",
    "content type does not fit": "the content type of this request must be {expected}",
    "database not available": "database not available",  # the reason names hosts and files
    "default branch is not deleted": "{refname} is the default branch and cannot be deleted",
    "denied by policy": "denied by policy: {op} ({refname})",
    "credential not found": "credential {credential} not found",
    "events are no longer kept": "events after {last_event_id} are no longer kept: read the state, then listen anew",
    "expected a JSON object": "expected a JSON object in {field}",
    "field does not fit": "field {field}: {reason}",
    "field is not base64": "{field} is not base64",
    "field is required": "field {field} is required",
    "git protocol error": "{reason}",
    "idempotency key was used for another request": "this Idempotency-Key was used for another request, use a new one",
    "Idempotency-Key has no fitting length": "Idempotency-Key must have 1 to {max_chars} characters",
    "a request with this key is in progress": "a request with this Idempotency-Key is in progress, please retry",
    "invalid branch name": "invalid branch name {branch}",
    "invalid notes ref": "{notes_name} is no ref below refs/notes/",
    "invalid ref": "invalid ref {ref}",
    "invalid ref name": "invalid ref name {refname}",
    "invalid repository name": "invalid repository name: {reason}",
    "invalid tag name": "invalid tag name {tag}",
    "limit is negative": "limit must not be negative",
    "merge conflict": "merge conflict",
    "merge takes too much memory": "too much differs to be merged here, merge in a clone and push",
    "merge is no fast-forward": "{branch} cannot be fast-forwarded to {source}: it has commits of its own",
    "merge target has moved": "branch {branch} has moved to {actual}, look at it and merge again",
    "method is not allowed": "{method} is not allowed here, allowed: {allow}",
    "name not allowed for a new ref": "{refname} cannot be the name of a new branch or tag: {reason}",
    "no note for this object": "no note for object {oid}",
    "not an ISO 8601 date": "{value} is not an ISO 8601 date",
    "not an object id": "{value} is not an object id of 40 hex digits",
    "note is too large": "the note {oid} is larger than {max_bytes} bytes",
    "notes ref does not exist": "notes ref {refname} does not exist",
    "notes ref conflicts with another ref": "{notes_ref} conflicts with the existing ref {existing}",
    "notes ref is not at the expected commit": "{notes_ref} is at {actual}, expected {expected}",
    "notes ref holds no commit": "{notes_ref} is at {actual}, which is no commit: delete or move it with git",
    "notes ref kept moving": "{notes_ref} kept moving while this was written, please retry",
    "object has a note": "object {object_oid} has a note already, append to it or remove it first",
    "object has no note": "no note for object {object_oid}",
    "object does not exist": "object {oid} does not exist",
    "parameter is not a boolean": "parameter {field} must be true or false, not {value}",
    "parameter is not a whole number": "parameter {field} must be a whole number, not {value}",
    "parameter is required": "parameter {field} is required",
    "patch does not apply": "patch does not apply: {reason}",
    "hunk header is unreadable": "the hunk header of line {line} ({header}) is not @@ -START,COUNT +START,COUNT @@",
    "hunk lacks the lines that its header announces": (
        "the patch seems cut off: the hunk header of line {line} ({header}) announces lines that do not follow"
    ),
    "line is no part of its hunk": (
        "the hunk header of line {header_line} ({header}) counts other lines than follow, and line {line}"
        " begins with neither a blank, +, - nor a backslash"
    ),
    "path and its base64 differ": "{field} and {field}_base64 name different paths",
    "path to delete is only shown so": (
        "nothing is called {path}: names that are not UTF-8 are shown with U+FFFD, delete them by path_base64"
    ),
    "path does not exist": "path {path} does not exist",
    "program is not installed": "the server lacks the program {program}",
    "query is not valid UTF-8": "the query is not valid UTF-8: give a path of other bytes as path_base64",
    "query has too many parameters": "query has more than {fields_max} parameters",
    "range is not satisfiable": "no byte of this range exists, the file has {size_bytes} bytes",
    "ref names a file": "{ref} names a file, not a folder: there is no {path} in it, leave path out",
    "ref names no commit": "{ref} names a {kind}, which is no commit",
    "ref does not exist": "ref {ref} does not exist",
    "ref has moved": "{refname} is at {actual}, expected {expected}",
    "ref name conflicts with another ref": "{refname} conflicts with the existing ref {existing}",
    "repository changed during the merge": "the repository changed during the merge, please retry",
    "repository exists": "repository {repo} already exists",
    "repository not found": "repository not found: {repo}",
    "request body holds too many values": "a member of the request body holds more than {values_max} values",
    "request body is not valid JSON": "request body is not valid JSON: {reason}",
    "request body is too large": "request body is larger than {max_bytes} bytes",
    "request body stalled": "nothing of the request body arrived for {stall_max_s} seconds",
    "not supported": "{what}",
    "nothing to update": "nothing to update: give default_branch",
    "repository deletion is pending": "repository {repo} was deleted, its cleanup is pending",
    "unknown event": "unknown event {event}",
    "webhook not found": "webhook {webhook} not found",
    "upstream address is refused": "field base_repo.upstream_host: {reason}",
    "upstream not available": "upstream not available: {reason}",
    "upstream rejected": "upstream rejected the update of {refname}",
    "pack idx cannot be rebuilt": "storage not available, please retry later",  # the reason names files
    "stored data was mended just now": "the stored data of repository {repo} was mended just now, please retry",
    "stored data is damaged": (
        "the stored data of repository {repo} is damaged: {what} cannot be read; the server's operator has been told"
    ),
    "server is busy": "server is busy with other {work}, please retry later",
    "git cannot be started": "server cannot start git now, please retry later",  # the reason is the operator's
    "new objects cannot be taken": "storage not available, please retry later",
    "pack is no longer incoming": "the write took too long, please retry",
    "source pack is gone": "the source changed while it was copied, please retry",
    "history is being read": "the history of this repository is still being read, please retry",
    "transaction gave way to a concurrent one": "too many concurrent writes to the same rows, please retry",
    "file of static tokens cannot be read": "the server's file of static tokens cannot be read",
    "secret key file is missing": "the key for stored secrets is missing on this server",
    "tag already exists": "tag {tag} already exists",
    "tag does not exist": "tag {tag} does not exist",
    "token has invalid ref policy claims": "token has invalid ref policy claims: {reason}",
    "token lacks the scope": "token lacks the scope {needed}",
    "blame has too many lines": "blame of more than {lines_max} lines, ask for ranges",
    "diff has too many files": "more than {files_max} files differ",
    "diff takes too much memory": "too much differs to be shown at once, ask for single paths",
    "tree has too many entries": "the tree has more than {entries_max} files and folders, ask for pages or a folder",
    "messages are too long for one answer": (
        "the messages of these commits take more than {max_bytes} bytes: ask for pages, with a limit"
    ),
    "file is too large for blame": "blame takes files of at most {max_bytes} bytes",
    "git took too long": "this took too long",
    "histories are unrelated": "the histories have no common ancestor",
    "invalid glob": "invalid glob {glob}: it {reason}",
    "invalid pattern": "invalid pattern: {reason}",
    "invalid range": "invalid range: {reason}",
    "too many globs": "more than {globs_max} globs",
    "too many ranges": "more than {ranges_max} ranges",
}

# Fields that become members of the problem, for clients that act on them (merge conflicts).
_PROBLEM_MEMBERS: Final = ("conflict_type", "conflict_paths", "merge_base_sha")
# Fields that only the operator needs.
_HIDDEN_FIELDS: Final = frozenset({*_PROBLEM_MEMBERS, "retry_after_s", "allow"})
_MULTIPLE_WORD: Final = " or "
_PROBLEM_MEDIA: Final = "application/problem+json"
_LFS_MEDIA: Final = "application/vnd.git-lfs+json"
_ZERO_WEIGHT: Final = re.compile(r"q=0(?:\.0*)?")


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as it goes over the wire. `sentence` is one line that holds no secret."""

    status: int
    result_status: str
    sentence: str
    fields: Mapping[str, object]


def describe_failure(error: BaseException) -> Failure:
    """Return status and sentence of any error; what is not one of ours says nothing of its inside."""
    if _is_storage_trouble(error):
        away = ROWS[Unavailable]
        return Failure(away.status, away.result_status, "storage not available, please retry later", {})
    if not isinstance(error, PackhouseError):
        return Failure(INTERNAL.status, INTERNAL.result_status, "internal server error", {})
    row = next(ROWS[kind] for kind in type(error).__mro__ if kind in ROWS)
    if isinstance(error, Corrupt) and not isinstance(error, RepositoryDamaged):
        return Failure(row.status, row.result_status, "stored data cannot be read", {})
    if row is ROWS[PackhouseError]:
        # Not meant for callers, such as a failed git process: its text names folders of this machine.
        return Failure(INTERNAL.status, INTERNAL.result_status, "internal server error", {})
    return Failure(row.status, row.result_status, write_sentence(error), error.fields)


def _is_storage_trouble(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in _STORAGE_TROUBLE


def write_sentence(error: PackhouseError) -> str:
    """Return the sentence for an error: its row in SENTENCES, or its message and fields."""
    values = {name: _readable(value) for name, value in error.fields.items()}
    template = SENTENCES.get(error.message)
    if template is not None:
        try:
            return template.format_map(values)[:SENTENCE_MAX_CHARS]
        except KeyError:  # raised without a field that the sentence wants: say what there is
            return error.message
    facts = ", ".join(f"{name} {value}" for name, value in values.items() if name not in _HIDDEN_FIELDS)
    return (f"{error.message} ({facts})" if facts else error.message)[:SENTENCE_MAX_CHARS]


def _readable(value: object) -> str:
    if isinstance(value, bytes):
        text = value.decode("utf-8", "replace")
    elif isinstance(value, list | tuple | set | frozenset):
        text = _MULTIPLE_WORD.join(map(str, value))
    else:
        text = "nothing" if value is None else str(value)
    text = text.encode("utf-8", "replace").decode("utf-8")[:VALUE_MAX_CHARS]
    shown = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return shown.removeprefix("refs/heads/") if isinstance(value, bytes) else shown


def render_failure(wire: WireRequest, call: Call | None, error: BaseException, style: ErrorStyle) -> Response:
    """Return the answer for an error, in the form that the route's clients read. Without a route there is no call."""
    failure = describe_failure(error)
    if failure.status >= 500:
        log_failure(call, error, failure.status)
    headers = _headers(failure, style)
    if style is ErrorStyle.GIT:
        return Response(failure.sentence + "\n", failure.status, headers, "text/plain; charset=utf-8")
    if style is ErrorStyle.CODEARTS:
        return json_response(codearts_members(failure.status, failure.sentence), failure.status, headers)
    if style is ErrorStyle.NOTE and "notes_ref" in failure.fields:
        return json_response(_note_write(failure), failure.status, headers)
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
    """Tell whether the type is named itself, and not with the weight that refuses it (RFC 9110 section 12.5.1).

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
    """Return exactly the two members of that system; only the codes and texts of 401 and 403 are given by it."""
    unexpected = "CH.000001" if status == 500 else f"CH.004{status}"
    code, text = _CODEARTS_GIVEN.get(status, (unexpected, sentence))
    return {"error_code": code, "error_msg": text}


def log_failure(call: Call | None, error: BaseException, status: int) -> None:
    """Log what an operator must know of; a traceback only for what is a bug.

    Damage has been told as an error when it was found (repository/damage.py); here it is one more refused request.
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
    if failure.status == 401:
        headers["WWW-Authenticate"] = GIT_CHALLENGE if style is ErrorStyle.GIT else "Bearer"
    if failure.status == 405:
        headers["Allow"] = str(failure.fields.get("allow", ""))
    if failure.status == 503:
        headers["Retry-After"] = str(failure.fields.get("retry_after_s", 1))
    if failure.status == 416:
        headers["Accept-Ranges"] = "bytes"
        headers["Content-Range"] = f"bytes */{failure.fields.get('size_bytes', 0)}"
    return headers


def problem_members(status: int, sentence: str) -> dict[str, Any]:
    """Return the members that every error body has; `error` is what the clients show."""
    title = HTTPStatus(status).phrase
    return {"type": "about:blank", "title": title, "status": status, "detail": sentence, "error": sentence}


def _problem(wire: WireRequest, failure: Failure) -> dict[str, Any]:
    problem = problem_members(failure.status, failure.sentence)
    if len(wire.raw_path) <= INSTANCE_MAX_CHARS:
        problem["instance"] = wire.raw_path.decode("ascii", "replace")
    problem.update({name: failure.fields[name] for name in _PROBLEM_MEMBERS if name in failure.fields})
    if "conflict_paths" in problem:
        problem.update(path_list_members(problem["conflict_paths"], "conflict_paths"))
    return problem


def _commit_result(call: Call | None, failure: Failure) -> dict[str, Any]:
    """Return the `result` member: what is known of the branch, nothing blank."""
    result: dict[str, Any] = {
        "success": False,
        "status": failure.result_status,
        "message": failure.sentence,
    }
    fields = failure.fields
    target = call.failure_facts.get("branch") if call else None
    failed = fields.get("branch")
    if failed is None and isinstance(refname := fields.get("refname"), bytes):
        failed = _readable(refname)
    if branch := target or failed:
        result["target_branch"] = result["branch"] = _readable(branch)
    if (actual := fields.get("actual")) and failed == branch:  # not the tip of a base
        result["old_sha"] = result["new_sha"] = actual
    return result


def _note_write(failure: Failure) -> dict[str, Any]:
    """Return the note write response of a failure that the notes ref caused; it has no `error` member."""
    fields = failure.fields
    notes_ref = _readable(fields["notes_ref"])
    return {
        "sha": str(fields.get("object_oid", "")),
        "notes_ref": notes_ref,
        "target_ref": notes_ref,
        "new_ref_sha": str(fields.get("actual") or ""),
        "result": {"success": False, "status": failure.result_status, "message": failure.sentence},
    }
