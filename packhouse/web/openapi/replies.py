"""The schemas of answers. They are closed: an answer has no member that the document does not describe."""

from collections.abc import Iterable, Sequence
from inspect import cleandoc
from typing import Any, Final

import msgspec

from packhouse.web.json import OLD_NAME
from packhouse.web.openapi.headers import (
    ACCEPT_RANGES,
    CACHING,
    CONTENT_RANGE,
    EVERY_REPLY,
    FAILURE_REPLY,
    REPLAYED,
    Header,
)
from packhouse.web.openapi.requests import REF_TEMPLATE, Schema
from packhouse.web.routing.route import Claim, ErrorStyle, Paths, Route

_JSON: Final = "application/json"
_PROBLEM_JSON: Final = "application/problem+json"

_TEXT: Final = {"type": "string", "minLength": 1}
_SHA: Final = {"type": "string", "pattern": "^[0-9a-f]{40}$"}
_SHA_OR_BLANK: Final = {"type": "string", "pattern": "^([0-9a-f]{40})?$"}
_NOTES_REF: Final = {"type": "string", "pattern": "^refs/notes/."}
_RESULT_WORDS: Final = [
    "precondition_failed",
    "conflict",
    "not_found",
    "invalid",
    "unauthorized",
    "forbidden",
    "timeout",
    "unavailable",
    "internal",
    "failed",
]


def _closed(description: str, required: Sequence[str], properties: dict[str, Any]) -> Schema:
    return {
        "type": "object",
        "description": description,
        "required": list(required),
        "properties": properties,
        "additionalProperties": False,
    }


_PROBLEM: Final = _closed(
    "Problem details (RFC 9457); `error` repeats `detail`.",
    ["type", "title", "status", "detail", "error"],
    {
        "type": {"type": "string", "const": "about:blank"},
        "title": _TEXT,
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": _TEXT,
        "error": _TEXT,
        "instance": {"type": "string", "description": "The path of the request."},
    },
)
_FAILED_RESULT: Final[dict[str, Any]] = {
    "success": {"type": "boolean", "const": False},
    "status": {"type": "string", "enum": _RESULT_WORDS},
    "message": _TEXT,
}
_COMMIT_PROBLEM: Final = _closed(
    "Problem details with the outcome of the write.",
    [*_PROBLEM["required"], "result"],
    {
        **_PROBLEM["properties"],
        "result": _closed(
            "What happened to the branch: nothing. Members that are not known are left out.",
            ["success", "status", "message"],
            {
                **_FAILED_RESULT,
                "target_branch": _TEXT,
                "branch": {**_TEXT, "deprecated": True, "description": "Old name of `target_branch`."},
                "old_sha": _SHA,
                "new_sha": _SHA,
            },
        ),
    },
)
_NOTE_FAILURE: Final = _closed(
    "The answer of a note's write when the notes ref is the reason of the failure; it has no `error`.",
    ["sha", "notes_ref", "target_ref", "new_ref_sha", "result"],
    {
        "sha": _SHA,
        "notes_ref": _NOTES_REF,
        "target_ref": {**_NOTES_REF, "deprecated": True, "description": "Old name of `notes_ref`."},
        "new_ref_sha": _SHA_OR_BLANK,
        "result": _closed("Why not.", ["success", "status", "message"], _FAILED_RESULT),
    },
)
_CODEARTS_PROBLEM: Final = _closed(
    "A failure as CodeArts tells it.", ["error_code", "error_msg"], {"error_code": _TEXT, "error_msg": _TEXT}
)

PROBLEMS: Final[dict[str, Schema]] = {
    "Problem": _PROBLEM,
    "CommitProblem": _COMMIT_PROBLEM,
    "NoteWriteFailure": _NOTE_FAILURE,
    "CodeArtsProblem": _CODEARTS_PROBLEM,
}
_PROBLEM_NAMES: Final = {ErrorStyle.COMMIT_RESULT: "CommitProblem", ErrorStyle.CODEARTS: "CodeArtsProblem"}
_NOTES_REF_FAILURES: Final = (404, 409)

_REASONS: Final = {
    400: "The request is wrong in itself",
    401: "No valid token",
    403: "The token does not allow this",
    404: "There is no such thing",
    405: "The path does not take this method",
    408: "The client stopped in the middle of its body",
    409: "The state is not what the request assumed, or the first sync of the repository runs",
    410: "What was asked for is no longer kept",
    412: "A condition of the request does not hold",
    413: "There is too much of it",
    414: "The request target is too long",
    416: "No byte of the range exists",
    422: "The key of the request was used for another one",
    429: "Too many requests; retry later",
    431: "The header fields are too large",
    500: "A fault of this server",
    502: "A server that this one asked failed",
    503: "Something this server needs is away, or it is too busy; retry later",
    504: "The work took too long",
}
_BODILESS: Final = (204, 304)
_OF_EVERY_CALL: Final = (400, 414, 431, 500, 503, 504)
_OF_A_TOKEN: Final = (401, 403)
_OF_A_REPOSITORY: Final = (404, 409)
_OF_A_BODY: Final = (408, 413)
_OF_A_WRITE: Final = (409, 422, 502)  # the key may be another request's, and an upstream may refuse


def reply_schemas(kinds: Iterable[type[msgspec.Struct]]) -> dict[str, Schema]:
    """Return the components of all answers."""
    ordered = sorted(set(kinds), key=lambda kind: kind.__name__)
    _, made = msgspec.json.schema_components(ordered, ref_template=REF_TEMPLATE)
    return {
        name: {
            **_with_old_names(schema),
            "description": cleandoc(schema["description"]),
            "additionalProperties": False,
        }
        for name, schema in made.items()
    }


def _with_old_names(schema: Schema) -> Schema:
    """Return the schema of a reply.

    Its members under old names are required too, since the server always fills them.
    """
    members, required = {}, set(schema.get("required", ()))
    for name, member in schema["properties"].items():
        if member.get("deprecated") and member.get("default") == OLD_NAME:
            required.add(name)
            member = {key: value for key, value in member.items() if key != "default"}
        members[name] = member
    return {**schema, "properties": members, "required": [name for name in members if name in required]}


class Responses:
    """The answers of all operations. Failures are alike, so they are collected as components."""

    def __init__(self) -> None:
        self.components: dict[str, Schema] = {}
        self.schemas: dict[str, Schema] = {}
        self._failure(_METHOD_NOT_ALLOWED, 405, head=False)

    def of(self, route: Route, *, head: bool = False) -> Schema:
        """Return the answers of a route by status; with `head` the answers to HEAD, which have no body."""
        described = route.description
        answers: dict[str, Schema] = {}
        for status in (described.status, *described.other_statuses):
            answers[str(status)] = _success(route, status, head=head)
        for status in sorted(_failures(route)):
            answers[str(status)] = self._failure(route, status, head=head)
        answers["default"] = self._failure(route, 0, head=head)
        return answers

    def _failure(self, route: Route, status: int, *, head: bool) -> Schema:
        headers = [header for header in FAILURE_REPLY if _has(header, status)]
        if status == 416:
            headers += [ACCEPT_RANGES, CONTENT_RANGE]
        reply: Schema = {
            "description": _REASONS.get(status, "Any other failure"),
            "headers": _headers(headers),
        }
        name = "Head"
        if not head:
            name, reply["content"] = self._content(route, status)
        name = f"{name}{status or 'Default'}"
        assert self.components.setdefault(name, reply) == reply, name
        return {"$ref": f"#/components/responses/{name}"}

    def _content(self, route: Route, status: int) -> tuple[str, Schema]:
        if route.description.failure_members is not None and status == 409:
            name = self._extended(route.description.failure_members)
        else:
            name = _PROBLEM_NAMES.get(route.errors, "Problem")
        schema = {"$ref": REF_TEMPLATE.format(name=name)}
        if route.errors is ErrorStyle.CODEARTS:
            return name, {_JSON: {"schema": schema}}
        content = {_JSON: {"schema": schema}, _PROBLEM_JSON: {"schema": schema}}
        if route.errors is ErrorStyle.NOTE and status in _NOTES_REF_FAILURES:
            either = [schema, {"$ref": REF_TEMPLATE.format(name="NoteWriteFailure")}]
            return "NoteProblem", {**content, _JSON: {"schema": {"anyOf": either}}}
        return name, content

    def _extended(self, kind: type[msgspec.Struct]) -> str:
        """Return the name of the schema of a problem that also has the members of `kind`."""
        _, made = msgspec.json.schema_components([kind], ref_template=REF_TEMPLATE)
        more = made[kind.__name__]
        properties = {**_PROBLEM["properties"], **more["properties"]}
        required = [*_PROBLEM["required"], *more.get("required", ())]
        self.schemas[kind.__name__] = _closed(cleandoc(more["description"]), required, properties)
        return kind.__name__


def _failures(route: Route) -> set[int]:
    described = route.description
    is_public = route.claim is Claim.HANDLER and not route.scopes
    statuses = {*described.failures, *_OF_EVERY_CALL}
    if not is_public:
        statuses.update(_OF_A_TOKEN)
    if not is_public and route.claim is not Claim.ORG:
        statuses.update(_OF_A_REPOSITORY)
    if described.body is not None:
        statuses.update(_OF_A_BODY)
    if route.writes.takes_key:
        statuses.update(_OF_A_WRITE)
    return statuses


def _success(route: Route, status: int, *, head: bool) -> Schema:
    described = route.description
    headers = [header for header in described.reply_headers if _has(header, status)]
    if route.method == "GET" and not any(header.name == CACHING.name for header in described.reply_headers):
        headers.append(CACHING)
    if route.writes.takes_key:
        headers.append(REPLAYED)
    reply: Schema = {"description": described.summary, "headers": _headers(headers)}
    if status not in _BODILESS and not head:
        media = (
            {}
            if route.reply is None
            else {"schema": {"$ref": REF_TEMPLATE.format(name=route.reply.__name__)}}
        )
        reply["content"] = dict.fromkeys(described.reply_media.split(", "), media)
    return reply


def _has(header: Header, status: int) -> bool:
    return not header.statuses or status in header.statuses


def _headers(headers: Iterable[Header]) -> Schema:
    return {
        header.name: {
            "description": header.description,
            "required": header.required,
            "schema": dict(header.schema),
        }
        for header in (*headers, *EVERY_REPLY)
    }


async def _nobody(_request: Any) -> Any:
    raise AssertionError("describes what answers instead of a handler")


_METHOD_NOT_ALLOWED: Final = Route("method_not_allowed", "*", Paths(), _nobody)
