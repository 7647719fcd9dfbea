"""The CodeArts download, where its rules differ from those of the API."""

import json

import pytest

from tests.support.clients.raw_http import HOST, send
from tests.support.clients.repo import Repo
from tests.support.servers.server import Server


@pytest.mark.parametrize("path", ["", "%20", "%20%09", "&path=docs"])
def test_a_blank_path_is_refused_and_not_taken_for_everything(repo: Repo, path: str) -> None:
    repo.write_commit("main", {"docs/a": b"1", "b": b"2"})
    number = repo.api("GET").json()["repository_id"]
    server = repo.org.server
    reply = server.http.get(
        f"{server.url}/v4/repositories/{number}/repository/archive?path={path}",
        headers={"X-Auth-Token": repo.token(scopes=["git:read"])},
    )
    assert (reply.status_code, reply.headers["content-type"]) == (400, "application/json")
    assert reply.json() == {"error_code": "CH.004400", "error_msg": "parameter does not fit (field path)"}


def test_a_token_of_any_allowed_length_is_checked(repo: Repo) -> None:
    server = repo.org.server
    for length in (1, 100_000, 100_001):
        reply = server.http.get(
            f"{server.url}/v4/repositories/1/repository/archive", headers={"X-Auth-Token": "x" * length}
        )
        assert reply.status_code == 401, reply.text
        assert reply.json() == {
            "error_code": "DEV.00000003",
            "error_msg": "Authentication information expired.",
        }


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v4"),
        ("GET", "/v4/"),
        ("GET", "//v4/repositories"),
        ("GET", "/v4/repositories/1/repository/archives"),
        ("GET", "/v4/repositories/1/repository/archive/"),
        ("GET", "/v4/repositories//repository/archive"),
        ("POST", "/v4/repositories/1/files"),
        ("DELETE", "/v4/projects"),
        ("OPTIONS", "/v4/x"),
        ("PUT", "/v4/repositories/1/commit-pack"),
    ],
)
def test_an_unknown_path_is_not_found_in_the_two_members(server: Server, method: str, path: str) -> None:
    reply = server.http.request(method, server.url + path)
    assert (reply.status_code, reply.headers["content-type"]) == (404, "application/json")
    assert reply.json() == {"error_code": "CH.004404", "error_msg": "no such path"}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_another_method_is_refused_in_the_two_members(server: Server, method: str) -> None:
    reply = server.http.request(method, server.url + "/v4/repositories/1/repository/archive")
    assert (reply.status_code, reply.headers["allow"]) == (405, "GET, HEAD")
    assert set(reply.json()) == {"error_code", "error_msg"}
    assert reply.json()["error_code"] == "CH.004405"


def test_a_path_that_cannot_be_decoded_is_refused_in_the_two_members(server: Server) -> None:
    for target in (b"/v4/%zz", b"/v4/repositories/%ff/repository/archive", b"/v4/repositories/%/x"):
        answer, body = send(server, b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n")
        assert (answer.status, json.loads(body)["error_code"]) == (400, "CH.004400"), body


def test_a_refusal_of_the_socket_layer_has_the_two_members(server: Server) -> None:
    path = b"/v4/repositories/1/repository/archive"
    for target, header, status in (
        (path + b"?path=" + b"a" * 140_000, b"", 414),
        (b"http://git.example.test" + path + b"?path=" + b"a" * 140_000, b"", 414),
        (path + b"/" + b"a" * 66_000, b"", 414),
        (b"//v4?" + b"a" * 140_000, b"", 414),
        (path, b"X: " + b"a" * 140_000 + b"\r\n", 431),
        (path, b"Bad Header: x\r\n", 400),
    ):
        answer, body = send(server, b"GET " + target + b" HTTP/1.1\r\n" + HOST + header + b"\r\n")
        assert answer.status == status, body
        assert json.loads(body).keys() == {"error_code", "error_msg"}
        assert json.loads(body)["error_code"] == f"CH.004{status}"


def test_a_path_of_any_allowed_length_is_looked_for(repo: Repo) -> None:
    repo.write_commit("main", {"a": b"1"})
    number = repo.api("GET").json()["repository_id"]
    for query, status in (
        ("path=" + "a" * 100_000, 404),
        ("path=" + "a" * 100_001, 400),
        ("path=a&" + "&".join(f"x{n}" for n in range(300)), 400),
        ("path=a&x=" + "a" * 100_000, 200),
    ):
        target = f"/v4/repositories/{number}/repository/archive?{query} HTTP/1.1\r\n".encode()
        token = f"X-Auth-Token: {repo.token()}\r\n\r\n".encode()
        answer, body = send(repo.org.server, b"GET " + target + HOST + token)
        assert answer.status == status, body
        if status != 200:
            assert json.loads(body).keys() == {"error_code", "error_msg"}
            assert json.loads(body)["error_code"] == f"CH.004{status}"
