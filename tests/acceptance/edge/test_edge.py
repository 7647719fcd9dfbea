"""The HTTP edge by ordinary requests: dialects, aliases, errors, HEAD, health and the OpenAPI document."""

from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.support.clients.repo import Org, Repo
from tests.support.servers.server import Server

PROBLEM_KEYS = {"type", "title", "status", "detail", "error", "instance"}


def assert_problem(reply: httpx.Response, status: int) -> dict[str, Any]:
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/json"
    fields: dict[str, Any] = reply.json()
    assert {"type", "title", "status", "detail", "error"} <= set(fields)
    assert fields["type"] == "about:blank"
    assert fields["status"] == status
    assert fields["error"] == fields["detail"]
    assert "message" not in fields
    return fields


def test_health_and_readiness_need_no_token(server: Server) -> None:
    for path in ("/healthz", "/readyz", "//healthz"):
        reply = server.http.get(server.url + path)
        assert (reply.status_code, reply.json()) == (200, {"status": "ok"})


def test_the_openapi_document_is_served_without_a_token(server: Server) -> None:
    document = server.http.get(f"{server.url}/api/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    assert {"/api/repos", "/api/v1/repos", "/api/repos/{repo}"} <= set(document["paths"])


def test_an_unknown_path_is_a_json_404(org: Org) -> None:
    fields = assert_problem(org.request("GET", "/api/repos/a/b/c"), 404)
    assert fields["title"] == "Not Found"
    assert fields["instance"] == "/api/repos/a/b/c"
    assert set(fields) == PROBLEM_KEYS


def test_problem_json_is_sent_to_clients_that_name_it(org: Org) -> None:
    for accept in ("application/problem+json", "text/html, Application/Problem+JSON;q=0.5"):
        reply = org.request("GET", "/nowhere", headers={"Accept": accept})
        assert reply.headers["content-type"] == "application/problem+json"
    for accept in ("*/*", "application/*", "application/json", ""):
        reply = org.request("GET", "/nowhere", headers={"Accept": accept})
        assert reply.headers["content-type"] == "application/json"


def test_a_known_path_with_another_method_is_405_with_allow(repo: Repo) -> None:
    reply = repo.api("POST")
    fields = assert_problem(reply, 405)
    assert reply.headers["allow"] == "DELETE, GET, HEAD, PATCH"
    assert fields["error"] == "POST is not allowed here, allowed: DELETE, GET, HEAD, PATCH"


def test_nothing_is_ever_redirected(org: Org, repo: Repo) -> None:
    for path in (
        "/api/repos/",
        "//api/repos",
        "/api/v1/repos/",
        "/",
        "/api",
        f"/{repo.name}",
        f"/{repo.name}.git",
    ):
        reply = org.request("GET", path)
        assert not reply.is_redirect
        assert "location" not in reply.headers


def test_a_doubled_slash_at_the_start_counts_as_one(org: Org) -> None:
    assert org.request("GET", "//api/v1/repos").status_code == 200
    assert org.request("GET", "///api/repos").status_code == 200


@pytest.mark.parametrize("path", ["/api/v2/repos", "/api/v2/repos/branches", "/api/v0/repo"])
def test_other_api_versions_are_404(org: Org, path: str) -> None:
    assert "is not served, use v1" in assert_problem(org.request("GET", path), 404)["error"]


def test_head_answers_like_get_without_a_body(org: Org, repo: Repo) -> None:
    get, head = repo.api("GET"), repo.api("HEAD")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]
    missing = org.repo().api("HEAD")
    assert (missing.status_code, missing.content) == (404, b"")


def test_a_name_travels_as_one_encoded_segment(org: Org) -> None:
    for name in ("a b+c/ü%2F", "plain", "with.dots/and-dashes", "日本/語", "a%b", "q?#&=;", "branches"):
        repo = org.create_repo(f"{name}-{org.repo().name[-6:]}")
        assert repo.api("GET").json()["repo_name"] == repo.name
        assert repo.v1("GET", "/repo").json()["repo_name"] == repo.name
        assert repo.api("DELETE").status_code == 200


def test_a_path_that_names_another_repository_than_the_token_is_403(org: Org, repo: Repo) -> None:
    for name in ("other", repo.name + "/", repo.name.upper(), quote(repo.name, safe="")):
        reply = org.request("GET", f"/api/repos/{quote(name, safe='')}", token=repo.token())
        assert_problem(reply, 403)


def test_401_challenges_for_a_bearer_token(server: Server) -> None:
    for header in ({}, {"Authorization": ""}, {"Authorization": "Bearer"}, {"Authorization": "Basic dDp4"}):
        reply = server.http.get(f"{server.url}/api/repos", headers=header)
        assert_problem(reply, 401)
        assert reply.headers["www-authenticate"] == "Bearer"


def test_a_token_in_the_query_is_ignored(server: Server, org: Org) -> None:
    token = org.sign(scopes=["org:read"])
    for name in ("access_token", "token", "authorization"):
        assert_problem(server.http.get(f"{server.url}/api/repos", params={name: token}), 401)


def test_the_authorization_scheme_is_case_insensitive(server: Server, org: Org) -> None:
    token = org.sign(scopes=["org:read"])
    for scheme in ("bearer", "BEARER", "Bearer  "):
        reply = server.http.get(f"{server.url}/api/repos", headers={"Authorization": f"{scheme} {token}"})
        assert reply.status_code == 200


def test_a_missing_scope_is_401_on_released_paths_and_403_on_preferred_ones(org: Org, repo: Repo) -> None:
    token = repo.token(scopes=["org:read"])
    reply = repo.v1("GET", "/repo", token=token)
    assert "git:read" in assert_problem(reply, 401)["error"]
    assert reply.headers["www-authenticate"] == "Bearer"
    assert "git:read" in assert_problem(repo.api("GET", token=token), 403)["error"]
    listing = org.sign(repo=repo.name, scopes=["git:read"])
    assert_problem(org.request("GET", "/api/v1/repos", token=listing), 401)
    assert_problem(org.request("GET", "/api/repos", token=listing), 403)


def test_an_organisation_token_cannot_reach_into_a_repository(org: Org, repo: Repo) -> None:
    for claim in ({"repo": "org"}, {"repo": None}):
        token = org.sign(**claim)
        assert_problem(repo.v1("GET", "/repo", token=token), 403)
        assert_problem(repo.api("GET", token=token), 403)


COMMIT_CALLS = ["/repos/commit-pack"]


@pytest.mark.parametrize("path", COMMIT_CALLS)
def test_commit_endpoints_answer_every_failure_with_a_result_too(
    server: Server, org: Org, repo: Repo, path: str
) -> None:
    def result_of(reply: httpx.Response, status: int, word: str) -> None:
        fields = assert_problem(reply, status)
        assert fields["result"]["success"] is False
        assert fields["result"]["status"] == word
        assert fields["result"]["message"] == fields["error"]
        assert None not in fields["result"].values()

    target = f"/api/v1{path}"
    preferred = f"/api/repos/{quote(repo.name, safe='')}{path.removeprefix('/repos')}"
    for url in (target, preferred):
        result_of(server.http.post(server.url + url), 401, "unauthorized")
        result_of(
            server.http.post(server.url + url, headers={"Authorization": "Bearer x"}), 401, "unauthorized"
        )
        result_of(org.request("GET", url, token=repo.token()), 405, "invalid")
        result_of(org.request("POST", url, token=repo.token(), content=b"{}"), 400, "invalid")
        result_of(org.request("POST", url, token=org.sign(repo="org")), 403, "forbidden")
    result_of(org.request("POST", target, token=repo.token(scopes=["git:read"])), 401, "unauthorized")
    result_of(org.request("POST", preferred, token=repo.token(scopes=["git:read"])), 403, "forbidden")
    result_of(org.request("POST", "/api/v2" + path, token=repo.token()), 404, "not_found")
    result_of(org.request("POST", "/api/repos/%ff/commit-pack", token=repo.token()), 400, "invalid")
    result_of(org.repo().post_commit("main", {"a": b"1"}), 404, "not_found")


def test_json_bodies_need_no_content_type_and_may_be_empty(org: Org) -> None:
    headers = {"Content-Type": "application/json"}
    for content in (b"", b"{}", b"  \n", b'{"unknown":{"x":[1]}}'):
        assert org.request("POST", "/api/repos", token=org.repo().token(), content=content).status_code == 201
        reply = org.request("POST", "/api/repos", token=org.repo().token(), content=content, headers=headers)
        assert reply.status_code == 201
    repo = org.repo()
    reply = org.request("POST", "/api/repos", token=repo.token(), content=b'{"default_branch":"trunk"}')
    assert reply.json()["default_branch"] == "trunk"


def test_delete_requests_may_have_a_body(org: Org, repo: Repo) -> None:
    reply = org.request("DELETE", "/api/v1/repos/delete", token=repo.token(), json={"anything": 1})
    assert reply.status_code == 200


def test_a_get_with_content_type_or_body_is_a_get(repo: Repo) -> None:
    assert repo.api("GET", headers={"Content-Type": "application/json"}).status_code == 200
    assert repo.api("GET", content=b"not json at all").status_code == 200


def test_successes_are_json_without_nulls(org: Org, repo: Repo) -> None:
    for reply in (repo.api("GET"), org.request("GET", "/api/repos"), repo.api("GET", "/branches")):
        assert reply.headers["content-type"] == "application/json"
        assert "null" not in reply.text
        assert "error" not in reply.json()
