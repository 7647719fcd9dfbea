"""The whole OpenAPI document: paths of both dialects, and the components that they share."""

from collections.abc import Iterable
from inspect import cleandoc
from typing import Any, Final

from packhouse import __version__
from packhouse.auth import Scope
from packhouse.web.openapi.replies import PROBLEMS, Responses, reply_schemas
from packhouse.web.openapi.requests import (
    BodySchemas,
    Schema,
    header_parameters,
    path_parameters,
    query_parameters,
)
from packhouse.web.routing.route import Claim, ErrorStyle, Route

_DESCRIPTION: Final = (
    "Git storage that programs drive. Paths under /api/v1 take the repository from the token's repo claim and are the "
    "older form of the others, which name it as one percent-encoded segment; both take the same members. A request is "
    "valid here when the server does not refuse it for its form alone. Methods that are not described are answered "
    "with 405, and every GET answers HEAD."
)
_RELEASED_PREFIX: Final = "/api/v1/"
_SECURITY_SCHEMES: Final[Schema] = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token of the organisation. The names beside it are scopes, of which one is needed.",
    },
    "codearts_token": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Auth-Token",
        "description": "The same token, or a static one of the server's settings.",
    },
}


def make_document(routes: Iterable[Route]) -> dict[str, Any]:
    """Return the document, with every path of both dialects and without git's own paths."""
    served = [route for route in routes if route.paths.released or route.paths.preferred]
    bodies, responses = BodySchemas(), Responses()
    paths: dict[str, dict[str, Any]] = {}
    for route in served:
        for path in filter(None, (route.paths.released, route.paths.preferred)):
            item = paths.setdefault(path, {})
            item[route.method.lower()] = _operation(route, path, bodies, responses)
            if route.method == "GET":
                item["head"] = _head_operation(item["get"], responses.of(route, head=True))
    replies = reply_schemas(filter(None, (route.reply for route in served)))
    schemas: dict[str, Schema] = {}
    for group in (PROBLEMS, responses.schemas, bodies.components, replies):
        twice = schemas.keys() & group.keys()
        assert not twice, f"two components have the same name: {twice}"
        schemas |= group
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Packhouse",
            "version": __version__,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": responses.components,
            "securitySchemes": _SECURITY_SCHEMES,
        },
    }


def _operation(route: Route, path: str, bodies: BodySchemas, responses: Responses) -> Schema:
    described = route.description
    is_released = path.startswith(_RELEASED_PREFIX)
    query = (is_released and described.released_query) or described.query
    body = (is_released and described.released_body) or described.body
    operation: Schema = {
        "operationId": f"released_{route.name}" if is_released else route.name,
        "summary": described.summary,
    }
    if query and query.__doc__:
        operation["description"] = cleandoc(query.__doc__)
    if is_released:
        operation["deprecated"] = True
    parameters = [
        *path_parameters(path),
        *(query_parameters(query, route.name) if query else ()),
        *header_parameters(route),
    ]
    if parameters:
        operation["parameters"] = parameters
    if body:
        operation["requestBody"] = bodies.request_body(route, body)
    operation["responses"] = responses.of(route)
    operation["security"] = _security(route)
    if route.scopes:
        operation["x-scopes"] = [scope.value for scope in route.scopes]
    return operation


def _head_operation(get: Schema, responses: Schema) -> Schema:
    """Return the description of HEAD: the description of GET, with replies that have no body."""
    return {**get, "operationId": f"{get['operationId']}_head", "responses": responses}


def _security(route: Route) -> list[Schema]:
    """Return the alternatives: each scope that opens the call, and the scopes that include one of these."""
    if route.claim is Claim.HANDLER and not route.scopes:
        return []
    if route.errors is ErrorStyle.CODEARTS:
        return [{"codearts_token": []}]
    scopes = list(route.scopes)
    if Scope.GIT_READ in scopes and Scope.GIT_WRITE not in scopes:
        scopes.append(Scope.GIT_WRITE)
    return [{"token": [scope.value]} for scope in scopes]
