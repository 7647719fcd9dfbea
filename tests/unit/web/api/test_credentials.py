"""Credentials over the whole pipeline: the exact bytes of each answer, which hold no password."""

import json

import pytest

from tests.support.exchanges import Sent
from tests.unit.web.api.conftest import Client, as_sent, shown

pytestmark = pytest.mark.quick

RELEASED = "/api/v1/repos/git-credentials"
CREATED = "1970-01-01T00:16:40Z"


@pytest.fixture
def owner(repo: Client) -> Client:
    """A client of a repository, on a node that can seal secrets."""
    node = repo.shared.node
    node.config.data.mkdir(parents=True, exist_ok=True)
    node.secret_keys.ensure()
    return repo


def told(sent: Sent, status: int) -> str:
    """Return the id in an answer about a credential. All other bytes must be as expected."""
    name = str(json.loads(sent.body)["id"])
    assert name.startswith("ggc_")
    assert shown(sent) == (status, as_sent({"id": name, "created_at": CREATED}))
    return name


def test_a_created_or_changed_credential_is_shown_by_its_id(owner: Client) -> None:
    name = told(owner.call("POST", "/git-credentials", {"password": "first", "username": "bot"}), 201)
    owner.shared.node.clock = lambda: 2000
    assert told(owner.call("PUT", f"/git-credentials/{name}", {"password": "second"}), 200) == name


def test_the_deletion_of_a_credential_is_answered_without_a_body(owner: Client) -> None:
    name = told(owner.call("POST", "/git-credentials", {"password": "first"}), 201)
    gone = owner.call("DELETE", f"/git-credentials/{name}")
    assert shown(gone) == (204, "")
    assert "content-type" not in gone.headers
    assert owner.call("DELETE", f"/git-credentials/{name}").status == 404


def test_released_paths_name_repository_and_credential_in_the_body(owner: Client) -> None:
    name = told(owner.send("POST", RELEASED, {"password": "first", "repo_id": "r"}), 201)
    assert told(owner.send("PUT", RELEASED, {"id": name, "password": "second"}), 200) == name
    assert shown(owner.send("DELETE", RELEASED, {"id": name})) == (204, "")


def test_a_released_path_needs_the_repository(owner: Client) -> None:
    refused = owner.send("POST", RELEASED, {"password": "first"})
    assert (refused.status, json.loads(refused.body)["error"]) == (400, "field repo_id is required")


def test_a_repository_has_one_credential(owner: Client) -> None:
    assert owner.call("POST", "/git-credentials", {"password": "first"}).status == 201
    assert owner.call("POST", "/git-credentials", {"password": "second"}).status == 409
