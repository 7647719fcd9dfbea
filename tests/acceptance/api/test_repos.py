"""Repositories over HTTP, in both dialects, on both database engines."""

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.support.clients.repo import Org, Repo
from tests.support.servers.server import Server

pytestmark = pytest.mark.parametrize("server", ["sqlite", "postgres"], indirect=True)

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z")


def create(repo: Repo, dialect: str, **options: Any) -> httpx.Response:
    path = "/api/v1/repos" if dialect == "v1" else "/api/repos"
    return repo.org.request("POST", path, token=repo.token(), **options)


@pytest.mark.parametrize("dialect", ["v1", "api"])
def test_creating_a_repository_returns_all_its_names(server: Server, org: Org, dialect: str) -> None:
    repo = org.repo("apps/" + org.repo().name[-8:])
    reply = create(repo, dialect, json={"default_branch": " trunk "})
    assert reply.status_code == 201, reply.text
    fields = reply.json()
    assert fields.pop("repo_id").startswith("repo_")
    assert fields.pop("repository_id") > 0
    created_at = fields.pop("created_at")
    assert TIMESTAMP.match(created_at)
    age = datetime.now(UTC) - datetime.fromisoformat(created_at.replace("Z", "+00:00"))
    assert -2 <= age.total_seconds() < 60
    assert fields == {
        "repo_name": repo.name,
        "url": repo.name,
        "id": repo.name,
        "http_url": f"{server.url}/{repo.name}.git",
        "default_branch": "trunk",
        "message": "repository created",
    }


def test_the_default_branch_comes_from_the_body_else_the_query_else_it_is_main(org: Org) -> None:
    for body, query, expected in [
        ({"default_branch": "a"}, "?default_branch=b", "a"),
        ({"default_branch": "refs/heads/a/b"}, "", "a/b"),
        ({"default_branch": "  "}, "?default_branch=b", "b"),
        ({"default_branch": None}, "?default_branch=b", "b"),
        ({}, "?default_branch=", "main"),
        (None, "", "main"),
    ]:
        repo = org.repo()
        reply = org.request("POST", "/api/repos" + query, token=repo.token(), json=body)
        assert (reply.status_code, reply.json().get("default_branch")) == (201, expected), reply.text


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"default_branch": "a..b"}, "a..b"),
        ({"default_branch": "refs/tags/x"}, "refs/tags/x"),
        ({"default_branch": "-x"}, "-x"),
        ({"default_branch": 5}, "default_branch"),
        ({"deployment": {}}, "deployment settings are not supported"),
        ({"deployment": {"a": [1, None]}}, "deployment settings are not supported"),
        ({"deployment": False}, "deployment settings are not supported"),
        ({"initial_commit": {}}, "initial_commit"),
        ({"initial_commit": []}, "initial_commit"),
        ({"base_repo": "x"}, "base_repo"),
    ],
)
def test_a_bad_body_creates_nothing(org: Org, body: dict[str, Any], words: str) -> None:
    repo = org.repo()
    reply = create(repo, "api", json=body)
    assert reply.status_code == 400, reply.text
    assert words in reply.json()["error"]
    assert repo.api("GET").status_code == 404


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a//b",
        "/a",
        "a/",
        "a/../b",
        "./a",
        "a\\b",
        "a\nb",
        "a\x00b",
        "a.git",
        "a.lock",
        "a+ephemeral",
        "a+import",
        "x" * 256,
        "é" * 128,
    ],
)
def test_a_name_that_no_repository_can_have_is_refused(org: Org, name: str) -> None:
    reply = org.request("POST", "/api/repos", token=org.sign(repo=name))
    assert reply.status_code == 400, reply.text
    assert "invalid repository name" in reply.json()["error"]


def test_a_token_for_the_name_org_creates_no_repository(org: Org) -> None:
    assert org.request("POST", "/api/repos", token=org.sign(repo="org")).status_code == 403


def test_a_repository_name_is_unique_within_its_organisation_only(server: Server, org: Org) -> None:
    repo = org.create_repo()
    for dialect in ("v1", "api"):
        reply = create(repo, dialect)
        assert reply.status_code == 409
        assert repo.name in reply.json()["error"]
    assert create(server.new_org().repo(repo.name), "api").status_code == 201
    assert create(org.repo(repo.name.upper()), "api").status_code == 201


def test_getting_a_repository_gives_the_members_of_its_creation(server: Server, org: Org) -> None:
    repo = org.repo()
    created = create(repo, "v1").json()
    for reply in (repo.v1("GET", "/repo"), repo.api("GET")):
        assert reply.status_code == 200
        assert reply.json() == {k: v for k, v in created.items() if k not in ("id", "message")}


@pytest.mark.parametrize("scope", ["git:read", "git:write", "repo:write"])
def test_any_repository_scope_allows_getting_a_repository(org: Org, scope: str) -> None:
    repo = org.create_repo()
    token = repo.token(scopes=[scope])
    assert repo.v1("GET", "/repo", token=token).status_code == 200
    assert repo.api("GET", token=token).status_code == 200


def test_get_of_a_missing_repository_is_404(org: Org) -> None:
    repo = org.repo()
    for reply in (repo.v1("GET", "/repo"), repo.api("GET")):
        assert reply.status_code == 404
        assert reply.json()["error"] == f"repository not found: {repo.name}"


@pytest.mark.parametrize("path", ["/api/v1/repos", "/api/repos"])
def test_listing_walks_all_pages_in_order_of_creation(new_org: Org, path: str) -> None:
    names = [new_org.create_repo(f"r/{n}").name for n in (3, 1, 2, 5, 4)]
    new_org.create_repo("gone").api("DELETE")
    seen, cursor = [], ""
    while True:
        page = new_org.request("GET", path, params={"limit": 2, "cursor": cursor}).json()
        seen += [item["repo_name"] for item in page["repos"]]
        assert page["has_more"] == ("next_cursor" in page)
        if not page["has_more"]:
            break
        assert len(page["repos"]) == 2
        cursor = page["next_cursor"]
    assert seen == names


def test_list_items_have_every_required_field(new_org: Org) -> None:
    repo = new_org.create_repo()
    got = repo.api("GET").json()
    del got["http_url"]
    assert new_org.request("GET", "/api/repos").json() == {"repos": [got], "has_more": False}


def test_an_empty_organisation_lists_an_empty_array(new_org: Org) -> None:
    assert new_org.request("GET", "/api/repos").json() == {"repos": [], "has_more": False}


def test_search_finds_parts_of_names_without_regard_to_case(new_org: Org) -> None:
    for name in ("apps/Shop", "apps/shop_2", "apps/100%", "ÄPFEL/x"):
        new_org.create_repo(name)
    for q, expected in [
        ("SHOP", ["apps/Shop", "apps/shop_2"]),
        ("  shop  ", ["apps/Shop", "apps/shop_2"]),
        ("p_2", ["apps/shop_2"]),
        ("%", ["apps/100%"]),
        ("äpfel", ["ÄPFEL/x"]),
        ("nothing", []),
        ("  ", ["apps/Shop", "apps/shop_2", "apps/100%", "ÄPFEL/x"]),
    ]:
        page = new_org.request("GET", "/api/repos", params={"q": q}).json()
        assert [item["repo_name"] for item in page["repos"]] == expected, q


@pytest.mark.parametrize(
    "query",
    [
        "limit=-1",
        "limit=x",
        "limit=1.5",
        "limit=",
        "cursor=!",
        "cursor=abc",
        "q=%ff",
        "cursor=%00",
    ],
)
def test_a_bad_page_request_is_400(org: Org, query: str) -> None:
    reply = org.request("GET", f"/api/repos?{query}")
    assert reply.status_code == 400, reply.text


@pytest.mark.parametrize("query", ["limit=0", "limit=100000", "cursor=", "limit=" + "9" * 30, "q=", "x=y"])
def test_lenient_page_requests_are_served(org: Org, query: str) -> None:
    assert org.request("GET", f"/api/repos?{query}").status_code == 200


def test_listing_repositories_needs_org_read_and_takes_every_repo_claim(org: Org) -> None:
    for claims in ({"repo": None}, {"repo": "org"}, {"repo": "some/repo"}):
        token = org.sign(scopes=["org:read"], **claims)
        assert org.request("GET", "/api/repos", token=token).status_code == 200


@pytest.mark.parametrize("dialect", ["v1", "api"])
def test_the_default_branch_of_an_empty_repository_may_be_any(org: Org, dialect: str) -> None:
    repo = org.create_repo()
    body = {"default_branch": "refs/heads/next", "color": 1}
    reply = repo.v1("PATCH", "/repo", json=body) if dialect == "v1" else repo.api("PATCH", json=body)
    assert reply.status_code == 200, reply.text
    fields = reply.json()
    assert set(fields) == {"repo_id", "repo_name", "url", "default_branch"}
    assert (fields["repo_name"], fields["url"], fields["default_branch"]) == (repo.name, repo.name, "next")
    assert repo.api("GET").json()["default_branch"] == "next"


def test_the_default_branch_must_exist_once_there_is_one(org: Org) -> None:
    repo = org.create_repo()
    repo.write_commit("main", {"a": b"1"})
    reply = repo.api("PATCH", json={"default_branch": "next"})
    assert (reply.status_code, reply.json()["error"]) == (404, "branch next does not exist")
    assert repo.api("GET").json()["default_branch"] == "main"


@pytest.mark.parametrize(
    "body",
    [{}, {"default_branch": " "}, {"default_branch": None}, {"deployment": {}}, {"default_branch": "a b"}],
)
def test_a_bad_update_changes_nothing(org: Org, body: dict[str, Any]) -> None:
    repo = org.create_repo()
    assert repo.api("PATCH", json=body).status_code == 400
    assert repo.api("GET").json()["default_branch"] == "main"


def test_updating_needs_repo_write(org: Org) -> None:
    repo = org.create_repo()
    token = repo.token(scopes=["git:write"])
    assert repo.api("PATCH", json={"default_branch": "x"}, token=token).status_code == 403
    assert repo.v1("PATCH", "/repo", json={"default_branch": "x"}, token=token).status_code == 401
    assert repo.api("DELETE", token=token).status_code == 403


@pytest.mark.parametrize("dialect", ["v1", "api"])
def test_a_deleted_repository_is_not_found_and_its_name_is_free(org: Org, dialect: str) -> None:
    repo = org.create_repo()
    internal = repo.api("GET").json()

    def delete() -> httpx.Response:
        if dialect == "api":
            return repo.api("DELETE")
        headers = {"Content-Type": "application/json"}
        return repo.v1("DELETE", "/repos/delete", headers=headers)

    reply = delete()
    assert reply.status_code == 200
    assert reply.json() == {
        "repo_id": internal["repo_id"],
        "message": f"Repository {repo.name} deletion initiated; storage is cleaned up in the background.",
    }
    assert repo.api("GET").status_code == 404
    assert delete().status_code == 409
    again = create(repo, dialect)
    assert again.status_code == 201
    assert again.json()["repository_id"] > internal["repository_id"]
    assert again.json()["repo_id"] != internal["repo_id"]


def test_deleting_an_unknown_repository_is_404(org: Org) -> None:
    assert org.repo().api("DELETE").status_code == 404
    assert org.repo().v1("DELETE", "/repos/delete").status_code == 404


def test_creating_a_repository_makes_no_folder(server: Server, org: Org) -> None:
    before = set(server.data.glob("repos/*/*/*"))
    org.create_repo()
    assert set(server.data.glob("repos/*/*/*")) == before


def test_clone_addresses_follow_the_request_or_the_setting(server: Server, org: Org) -> None:
    repo = org.create_repo("a b/ü+" + org.repo().name[-6:])
    path = quote(repo.name, safe="/+")
    assert repo.api("GET").json()["http_url"] == f"{server.url}/{path}.git"
    other = repo.api("GET", headers={"Host": "git.example.test:8443"}).json()
    assert other["http_url"] == f"http://git.example.test:8443/{path}.git"
    odd = repo.api("GET", headers={"Host": 'x"><script>'}).json()
    assert odd["http_url"] == f"{server.url}/{path}.git"
