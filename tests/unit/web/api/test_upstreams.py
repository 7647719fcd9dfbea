"""Upstreams over the whole pipeline: the exact bytes of each answer."""

import json

import pytest

from tests.unit.web.api.conftest import Client, shown

pytestmark = pytest.mark.quick


@pytest.fixture
def mirror(client: Client) -> Client:
    """A client of a repository that follows an upstream."""
    made = client.send("POST", "/api/repos", {"base_repo": {"owner": "o", "name": "n"}})
    assert made.status == 201
    return client


def test_every_request_for_a_pull_is_accepted(mirror: Client) -> None:
    told = (202, '{"message":"Repository sync initiated successfully"}')
    assert shown(mirror.call("POST", "/pull-upstream", {})) == told
    assert shown(mirror.call("POST", "/pull-upstream", {"ref": "main", "after": "x"})) == told


def test_a_detached_repository_stays_detached_and_pulls_no_more(mirror: Client) -> None:
    for _ in range(2):
        assert shown(mirror.call("DELETE", "/base")) == (200, '{"message":"repository detached"}')
    refused = mirror.call("POST", "/pull-upstream", {})
    assert (refused.status, json.loads(refused.body)["error"]) == (400, "repository has no upstream")
