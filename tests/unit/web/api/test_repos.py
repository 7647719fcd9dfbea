"""Repositories over the whole pipeline: the exact bytes of each reply."""

import re

import pytest

from tests.support.exchanges import Sent
from tests.unit.web.api.conftest import Client

pytestmark = pytest.mark.quick

CREATED = "1970-01-01T00:16:40Z"  # the clock of the node stands at 1000


def shown(sent: Sent) -> tuple[int, str]:
    """Return status and body, with a constant in place of random ids of repositories."""
    return sent.status, re.sub(r"repo_[0-9a-z]{20,}", "repo_X", sent.body.decode())


def test_a_new_repository_is_shown_under_all_its_names(client: Client) -> None:
    assert shown(client.send("POST", "/api/repos", {"default_branch": "trunk"})) == (
        201,
        '{"repo_id":"repo_X","repository_id":1,"repo_name":"r","default_branch":"trunk",'
        f'"created_at":"{CREATED}","http_url":"http://git.test/r.git","message":"repository created",'
        '"url":"r","id":"r"}',
    )


def test_the_default_branch_may_stand_in_the_query(client: Client) -> None:
    assert '"default_branch":"trunk"' in shown(client.send("POST", "/api/repos?default_branch=trunk"))[1]


def test_creating_again_with_the_same_key_gets_the_same_bytes(client: Client) -> None:
    first = client.send("POST", "/api/repos", key="k")
    again = client.send("POST", "/api/repos", key="k")
    assert (again.status, again.body) == (first.status, first.body)
    assert again.headers["idempotency-replayed"] == "true"
    assert client.send("POST", "/api/repos", key="other").status == 409


@pytest.mark.parametrize("path", ["/api/repos/r", "/api/v1/repo"])
def test_one_repository_has_its_address(repo: Client, path: str) -> None:
    sent = repo.send("GET", path)
    assert shown(sent) == (
        200,
        '{"repo_id":"repo_X","repository_id":1,"repo_name":"r","default_branch":"main",'
        f'"created_at":"{CREATED}","http_url":"http://git.test/r.git","url":"r"}}',
    )
    assert sent.headers["cache-control"] == "private, no-cache"


def test_pages_of_repositories_name_the_next_one_until_the_last(repo: Client) -> None:
    alone = '{"repo_id":"repo_X","repository_id":1,"repo_name":"r","default_branch":"main",'
    alone += f'"created_at":"{CREATED}","url":"r"}}'
    assert shown(repo.send("GET", "/api/repos", repo=None)) == (
        200,
        f'{{"repos":[{alone}],"has_more":false}}',
    )
    repo.send("POST", "/api/repos", repo="other")
    status, page = shown(repo.send("GET", "/api/repos?limit=1", repo=None))
    assert status == 200
    assert re.fullmatch(
        rf'\{{"repos":\[{re.escape(alone)}\],"has_more":true,"next_cursor":"[\w-]+=*"\}}', page
    )


def test_a_change_is_answered_with_the_changed_repository(stocked: Client) -> None:
    assert (
        stocked.call("POST", "/branches/create", {"target_branch": "dev", "base_ref": "main"}).status == 200
    )
    assert shown(stocked.send("PATCH", "/api/repos/r", {"default_branch": "dev"})) == (
        200,
        '{"repo_id":"repo_X","repo_name":"r","default_branch":"dev","url":"r"}',
    )


def test_a_deleted_repository_is_shown_by_its_id(repo: Client) -> None:
    assert shown(repo.send("DELETE", "/api/repos/r")) == (
        200,
        '{"repo_id":"repo_X","message":"Repository r deletion initiated;'
        ' storage is cleaned up in the background."}',
    )
    assert repo.send("GET", "/api/repos/r").status == 404
