"""The document describes exactly the served API."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from packhouse.web.app import API, ROUTES
from packhouse.web.openapi.document import make_document
from packhouse.web.routing.dialects import REQUEST_ALIASES
from packhouse.web.routing.route import Claim, Route

pytestmark = pytest.mark.quick

DOCUMENT: dict[str, Any] = make_document([route for route in ROUTES if not route.paths.git_suffix])


def _resolve(value: dict[str, Any]) -> dict[str, Any]:
    """Return the target of a reference, or the value itself if it is not a reference."""
    if "$ref" not in value:
        return value
    found = DOCUMENT
    for step in value["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return found


def test_the_document_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_every_route_is_in_the_document_and_nothing_else() -> None:
    served = {
        (path, method)
        for route in ROUTES
        for path in (route.paths.released, route.paths.preferred)
        for method in (("get", "head") if route.method == "GET" else (route.method.lower(),))
        if path
    }
    described = {(path, method) for path, item in DOCUMENT["paths"].items() for method in item}
    assert described == served


def test_operation_ids_are_unique() -> None:
    ids = [operation["operationId"] for item in DOCUMENT["paths"].values() for operation in item.values()]
    assert len(set(ids)) == len(ids)


def test_both_dialects_are_described_alike() -> None:
    for route in API:
        if route.paths.released and route.paths.preferred:
            method = route.method.lower()
            released = dict(DOCUMENT["paths"][route.paths.released][method])
            preferred = dict(DOCUMENT["paths"][route.paths.preferred][method])
            assert released["responses"] == preferred["responses"]
            if route.description.released_body is None:
                assert released.get("requestBody") == preferred.get("requestBody")


def test_every_operation_says_what_it_does_and_what_it_needs() -> None:
    for route in API:
        assert route.description.summary, route.name
        if route.claim is not Claim.HANDLER:
            assert route.scopes, route.name


def test_old_names_and_no_others_are_deprecated() -> None:
    for item in DOCUMENT["paths"].values():
        for operation in item.values():
            for parameter in operation.get("parameters", ()):
                assert parameter.get("deprecated", False) == ("Old name" in parameter.get("description", ""))
    for schema in DOCUMENT["components"]["schemas"].values():
        for member in schema.get("properties", {}).values():
            assert member.get("deprecated", False) == ("Old name" in member.get("description", ""))


@pytest.mark.parametrize("where", REQUEST_ALIASES)
@pytest.mark.parametrize("dialect", ["released", "preferred"])
def test_each_old_name_that_is_taken_is_described_and_neither_name_is_required(
    where: str, dialect: str
) -> None:
    route = next(route for route in API if route.name == where)
    operation = DOCUMENT["paths"][getattr(route.paths, dialect)][route.method.lower()]
    described, required = _members(operation)
    for name, old_names in REQUEST_ALIASES[where].items():
        if name not in described:  # a row serves several calls, of which not all take each member
            continue
        assert name not in required
        assert not described[name].get("deprecated", False)
        for old in old_names:
            assert str(old) not in required
            assert described[str(old)]["deprecated"] is True


def _members(operation: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """Return the parameters of a query, or else the members of a body, and the names of the required ones."""
    if "requestBody" not in operation:
        parameters = [parameter for parameter in operation["parameters"] if parameter["in"] == "query"]
        names = {parameter["name"] for parameter in parameters if parameter["required"]}
        return {parameter["name"]: parameter for parameter in parameters}, names
    schema = next(iter(operation["requestBody"]["content"].values()))["schema"]
    if "contentSchema" in schema:
        schema = schema["contentSchema"]["prefixItems"][0]
    schema = _resolve(schema)
    schema = _resolve(schema["properties"].get("metadata", schema))
    return schema["properties"], set(schema.get("required", ()))


def test_the_released_paths_are_the_old_ones() -> None:
    for path, item in DOCUMENT["paths"].items():
        for operation in item.values():
            assert operation.get("deprecated", False) == path.startswith("/api/v1/")


def test_each_limit_has_its_bounds_and_permits_clamped_values() -> None:
    limits = [
        (path, parameter["schema"])
        for path, item in DOCUMENT["paths"].items()
        for parameter in item.get("get", {}).get("parameters", ())
        if parameter["name"] == "limit"
    ]
    assert len(limits) == 18
    for path, schema in limits:
        maximum = schema["anyOf"][0]["maximum"]
        assert schema["minimum"] == 0
        assert schema["anyOf"][1]["minimum"] == maximum + 1
        is_opted_into = path.endswith("/files") or path == "/api/v1/repos/files/metadata"
        assert ("default" in schema) != is_opted_into, path
        judge = Draft202012Validator(schema)
        assert judge.is_valid(0)
        assert judge.is_valid(10 * maximum)
        assert not judge.is_valid(-1)


def test_failures_have_both_content_types_and_their_headers() -> None:
    responses = DOCUMENT["components"]["responses"]
    for name, reply in responses.items():
        if name.startswith(("Problem", "CommitProblem", "NoteProblem", "MergeProblem")):
            assert set(reply["content"]) == {"application/json", "application/problem+json"}
        elif name.startswith("CodeArts"):
            assert set(reply["content"]) == {"application/json"}
        for status, header in (("401", "WWW-Authenticate"), ("405", "Allow"), ("503", "Retry-After")):
            assert (header in reply["headers"]) == name.endswith(status)


def test_answers_are_closed_and_requests_are_open() -> None:
    replies = {route.reply.__name__ for route in API if route.reply is not None}
    bodies = {kind.__name__ for route in API for kind in _bodies(route) if kind is not None}
    schemas = DOCUMENT["components"]["schemas"]
    assert all(schemas[name]["additionalProperties"] is False for name in replies)
    assert not any("additionalProperties" in schemas[name] for name in bodies)


def _bodies(route: Route) -> tuple[type[msgspec.Struct] | None, ...]:
    return route.description.body, route.description.released_body


def test_patterns_use_only_syntax_that_every_validator_knows() -> None:
    patterns = set(_patterns(DOCUMENT))
    assert len(patterns) > 20
    for pattern in patterns:
        re.compile(pattern)
        assert "(?" not in pattern, pattern
        assert not re.search(r"\{[0-9]{4,}", pattern), pattern  # RE2 repeats at most a thousand times


def _patterns(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("pattern"), str):
            yield value["pattern"]
        for part in value.values():
            yield from _patterns(part)
    elif isinstance(value, list):
        for part in value:
            yield from _patterns(part)


def test_a_head_is_described_like_its_get_without_a_body() -> None:
    file = DOCUMENT["paths"]["/api/repos/{repo}/file"]
    assert set(file["head"]["responses"]) == set(file["get"]["responses"]) >= {"200", "206", "304", "416"}
    replies = [_resolve(reply) for reply in file["head"]["responses"].values()]
    assert all("content" not in reply for reply in replies)
    assert file["head"]["parameters"] == file["get"]["parameters"]
