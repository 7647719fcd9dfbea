"""The document says what is served, and all of it."""

from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from packhouse.web.app import API, ROUTES
from packhouse.web.openapi.document import make_document
from packhouse.web.routing import Claim

pytestmark = pytest.mark.quick

DOCUMENT: dict[str, Any] = make_document([route for route in ROUTES if not route.git_suffix])


def _resolve(value: dict[str, Any]) -> dict[str, Any]:
    """Return what a reference leads to; anything else as it is."""
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
        for path in (route.released, route.preferred)
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
        if route.released and route.preferred:
            method = route.method.lower()
            released = dict(DOCUMENT["paths"][route.released][method])
            preferred = dict(DOCUMENT["paths"][route.preferred][method])
            assert released["responses"] == preferred["responses"]
            if route.released_body is None:
                assert released.get("requestBody") == preferred.get("requestBody")


def test_every_operation_says_what_it_does_and_what_it_needs() -> None:
    for route in API:
        assert route.summary, route.name
        if route.claim is not Claim.HANDLER:
            assert route.scopes, route.name


def test_old_parameter_names_are_marked_as_such() -> None:
    for item in DOCUMENT["paths"].values():
        for operation in item.values():
            for parameter in operation.get("parameters", ()):
                assert parameter.get("deprecated", False) == ("Old name" in parameter.get("description", ""))


def test_a_head_is_described_like_its_get_without_a_body() -> None:
    file = DOCUMENT["paths"]["/api/repos/{repo}/file"]
    assert set(file["head"]["responses"]) == set(file["get"]["responses"]) >= {"200", "206", "304", "416"}
    replies = [_resolve(reply) for reply in file["head"]["responses"].values()]
    assert all("content" not in reply for reply in replies)
    assert file["head"]["parameters"] == file["get"]["parameters"]
