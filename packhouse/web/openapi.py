"""The OpenAPI 3.1 document, generated from the routes and the structs that stand beside their handlers."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from packhouse import __version__
from packhouse.web.dialects import REQUEST_ALIASES
from packhouse.web.routing import Claim, ErrorStyle, Route

_NDJSON: Final = "application/x-ndjson"
_REF_TEMPLATE: Final = "#/components/schemas/{name}"

_PROBLEM: Final[dict[str, Any]] = {
    "type": "object",
    "description": "Problem details (RFC 9457); `error` repeats `detail`.",
    "required": ["type", "title", "status", "detail", "error"],
    "properties": {
        "type": {"type": "string", "const": "about:blank"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "error": {"type": "string"},
        "instance": {"type": "string"},
    },
}
_COMMIT_PROBLEM: Final[dict[str, Any]] = {
    "description": "Problem details with the outcome of the write.",
    "allOf": [{"$ref": "#/components/schemas/Problem"}],
    "required": ["result"],
    "properties": {
        "result": {
            "type": "object",
            "required": ["success", "status", "message"],
            "properties": {
                "success": {"type": "boolean", "const": False},
                "status": {
                    "type": "string",
                    "enum": [
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
                    ],
                },
                "message": {"type": "string"},
                "target_branch": {"type": "string"},
                "branch": {"type": "string"},
                "old_sha": {"type": "string"},
                "new_sha": {"type": "string"},
            },
        }
    },
}
_CODEARTS_PROBLEM: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["error_code", "error_msg"],
    "properties": {"error_code": {"type": "string"}, "error_msg": {"type": "string"}},
    "additionalProperties": False,
}
_SECURITY_SCHEMES: Final[dict[str, Any]] = {
    "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "codearts_token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"},
}
_PROBLEM_SCHEMAS: Final = {
    ErrorStyle.COMMIT_RESULT: "CommitProblem",
    ErrorStyle.CODEARTS: "CodeArtsProblem",
}
_NOTE_FAILURES: Final = (404, 409)  # the notes ref may be the reason, which the write's answer tells
_FAILURE_REASONS: Final = {
    400: "The request is wrong in itself",
    401: "No valid token",
    403: "The token does not allow this",
    404: "There is no such thing",
    405: "The path does not take this method",
    408: "The client stopped in the middle of its body",
    409: "The state is not what the request assumed",
    410: "What was asked for is no longer kept",
    412: "A condition of the request does not hold",
    413: "The body is too large",
    416: "No byte of the range exists",
    429: "Too many requests; retry later",
    500: "A fault of this server",
    502: "A server that this one asked failed",
    503: "Something this server needs is away; retry later",
    504: "The work took too long",
}
_BODILESS: Final = (204, 304)
_COMMON_FAILURES: Final = (400, 401, 403, 413, 503)


def make_document(routes: Iterable[Route]) -> dict[str, Any]:
    """Return the document: every path of both dialects, git's own paths left out."""
    served = [route for route in routes if route.released or route.preferred]
    structs = {struct for r in served for struct in (r.query, r.body, r.reply) if struct is not None}
    ordered = sorted(structs, key=lambda struct: struct.__name__)
    schemas, components = msgspec.json.schema_components(ordered, ref_template=_REF_TEMPLATE)
    by_struct = dict(zip(ordered, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in served:
        for path, prefix in ((route.released, "released_"), (route.preferred, "")):
            if path:
                operation = _operation(route, path, prefix + route.name, by_struct, components)
                paths.setdefault(path, {})[route.method.lower()] = operation
                if route.head:
                    paths[path]["head"] = _head_operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Packhouse",
            "version": __version__,
            "description": "Git storage that programs drive. Paths under /api/v1 take the repository from the "
            "token's repo claim; the others name it as one percent-encoded segment.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": {
                "Problem": _PROBLEM,
                "CommitProblem": _COMMIT_PROBLEM,
                "CodeArtsProblem": _CODEARTS_PROBLEM,
                **components,
            },
            "securitySchemes": _SECURITY_SCHEMES,
        },
    }


def _operation(
    route: Route,
    path: str,
    operation_id: str,
    by_struct: dict[type[msgspec.Struct], dict[str, Any]],
    components: dict[str, Any],
) -> dict[str, Any]:
    operation: dict[str, Any] = {"operationId": operation_id, "summary": route.summary}
    parameters = [*_path_parameters(path), *_query_parameters(route, components)]
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        content = {route.body_media: {"schema": _body_schema(route, by_struct[route.body])}}
        operation["requestBody"] = {"content": content}
    operation["responses"] = _responses(route, by_struct)
    public = route.claim is Claim.HANDLER and not route.scopes
    scheme = "codearts_token" if route.errors is ErrorStyle.CODEARTS else "token"
    operation["security"] = [] if public else [{scheme: []}]
    if route.scopes:
        operation["x-scopes"] = [scope.value for scope in route.scopes]
    return operation


def _head_operation(get: dict[str, Any]) -> dict[str, Any]:
    """Return the description of HEAD: that of GET, without any body."""
    responses = {status: {"description": reply["description"]} for status, reply in get["responses"].items()}
    return {**get, "operationId": f"{get['operationId']}_head", "responses": responses}


def _body_schema(route: Route, schema: dict[str, Any]) -> dict[str, Any]:
    if route.body_media != _NDJSON:
        return schema
    return {
        "type": "object",
        "description": "The first line; each further line is one chunk, as docs/reference/http-api.md describes.",
        "required": ["metadata"],
        "properties": {"metadata": schema},
    }


def _path_parameters(path: str) -> list[dict[str, Any]]:
    names = [segment.strip("{}") for segment in path.split("/") if segment.startswith("{")]
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _query_parameters(route: Route, components: dict[str, Any]) -> list[dict[str, Any]]:
    if route.query is None:
        return []
    schema = components[route.query.__name__]
    aliases = REQUEST_ALIASES.get(route.name, {})
    parameters = []
    for name, member in schema["properties"].items():
        parameters.append(
            {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": member}
        )
        parameters.extend(
            {
                "name": str(old),  # of a class of its own, which JSON encoders refuse
                "in": "query",
                "required": False,
                "deprecated": True,
                "description": f"Old name of `{name}`.",
                "schema": member,
            }
            for old in aliases.get(name, ())
        )
    return parameters


def _responses(route: Route, by_struct: dict[type[msgspec.Struct], dict[str, Any]]) -> dict[str, Any]:
    success: dict[str, Any] = {} if route.reply is None else {"schema": by_struct[route.reply]}
    responses: dict[str, Any] = {}
    for status in (route.status, *route.other_statuses):
        responses[str(status)] = {"description": route.summary}
        if status not in _BODILESS:
            responses[str(status)]["content"] = dict.fromkeys(route.reply_media.split(", "), success)
    common = () if route.claim is Claim.HANDLER and not route.scopes else _COMMON_FAILURES
    problem = {"$ref": f"#/components/schemas/{_PROBLEM_SCHEMAS.get(route.errors, 'Problem')}"}
    for status in sorted({*common, *route.failures}):
        schema: dict[str, Any] = problem
        if route.errors is ErrorStyle.NOTE and status in _NOTE_FAILURES:
            schema = {"anyOf": [problem, success["schema"]]}
        content = {"application/json": {"schema": schema}}
        responses[str(status)] = {"description": _FAILURE_REASONS[status], "content": content}
    content = {"application/json": {"schema": problem}}
    responses["default"] = {"description": "Any other failure", "content": content}
    return responses
