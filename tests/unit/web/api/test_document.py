"""The API's description of itself, over the whole pipeline."""

import json

import pytest

from packhouse.web.app import API, ROUTES
from packhouse.web.openapi.document import make_document
from tests.unit.web.api.conftest import Client, as_sent

pytestmark = pytest.mark.quick


def test_the_document_has_all_routes_except_those_of_git(client: Client) -> None:
    sent = client.send("GET", "/api/openapi.json")
    assert (sent.status, sent.headers["content-type"]) == (200, "application/json")
    assert sent.headers["cache-control"] == "private, no-cache"
    document = make_document([route for route in ROUTES if not route.paths.git_suffix])
    assert sent.body.decode() == as_sent(document)


def test_the_document_describes_itself_and_every_route(client: Client) -> None:
    paths = json.loads(client.send("GET", "/api/openapi.json").body)["paths"]
    assert paths["/api/openapi.json"]["get"]["operationId"] == "openapi"
    assert {route.paths.preferred for route in API if route.paths.preferred} < set(paths)
