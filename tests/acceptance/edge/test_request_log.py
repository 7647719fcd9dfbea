"""The log of requests: one line each, enough facts to find a request, and no secret."""

import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import StartServer
from tests.support.clients import raw_http
from tests.support.clients.git import Git
from tests.support.clients.repo import Repo
from tests.support.servers.server import Server
from tests.support.servers.server_process import ServerOptions, ServerProcess
from tests.support.waiting import comes_true, wait_until

MEMBERS = [
    "time",
    "level",
    "logger",
    "message",
    "request_id",
    "method",
    "path",
    "operation",
    "status",
    "bytes_in",
    "bytes_out",
    "duration_ms",
    "client",
    "org",
    "sub",
    "repo",
]


def lines_of(server: ServerProcess, request_id: str) -> list[dict[str, Any]]:
    """Return the lines with this id. The server writes a line after the answer."""
    wait_until(lambda: request_id in server.stderr(), f"no line with {request_id}")
    return [line for line in server.log() if line.get("request_id") == request_id]


def line_of(server: ServerProcess, reply: httpx.Response) -> dict[str, Any]:
    """Return the one line of an answered request."""
    (line,) = lines_of(server, reply.headers["x-request-id"])
    return line


def facts(line: Mapping[str, Any], *names: str) -> tuple[Any, ...]:
    return tuple(line[name] for name in names)


@pytest.mark.parametrize("server", ["sqlite", "workers"], indirect=True)
@pytest.mark.parametrize("dialect", ["api", "v1"])
def test_a_request_is_one_line_with_its_caller_and_its_template(repo: Repo, dialect: str) -> None:
    repo.write_commit("main", {"secret-plan.txt": b"x"})
    token = repo.token(sub="ci/build-7")
    if dialect == "api":
        reply = repo.api("GET", "/file", token=token, params={"path": "secret-plan.txt"})
    else:
        reply = repo.v1("GET", "/repos/file", token=token, params={"path": "secret-plan.txt"})
    line = line_of(repo.org.server, reply)
    assert list(line) == MEMBERS
    template = {"api": "/api/repos/{repo}/file", "v1": "/api/v1/repos/file"}[dialect]
    assert facts(line, "level", "message", "method", "path", "operation") == (
        "info",
        "request",
        "GET",
        template,
        "file",
    )
    assert facts(line, "status", "bytes_in", "bytes_out", "client") == (200, 0, 1, "127.0.0.1")
    assert facts(line, "org", "sub", "repo") == (repo.org.name, "ci/build-7", repo.name)
    assert 0 < line["duration_ms"] < 60_000
    assert "secret-plan" not in repo.org.server.stderr()
    assert token not in repo.org.server.stderr()


def test_bodies_are_counted_as_they_went_over_the_wire(repo: Repo) -> None:
    body = b'{"target": "main"}'
    reply = repo.api("POST", "/branches", content=body)
    line = line_of(repo.org.server, reply)
    assert line["bytes_in"] == len(body)
    assert line["bytes_out"] == len(reply.content)
    assert line["status"] == reply.status_code
    head = repo.api("HEAD", "/file", params={"path": "x"})
    assert facts(line_of(repo.org.server, head), "method", "bytes_out") == ("HEAD", 0)


def test_a_git_request_is_logged_with_the_template_of_the_remote(
    repo: Repo, git: Git, tmp_path: Path
) -> None:
    repo.write_commit("main", {"a": b"a"})
    token = repo.token(sub="laptop")
    git.run("clone", repo.remote(token=token), str(tmp_path / "clone"))

    def told(path: str) -> list[dict[str, Any]]:
        lines = server.log("request")
        return [line for line in lines if facts(line, "path", "sub") == (path, "laptop")]

    def packs() -> list[dict[str, Any]]:
        return [line for line in told("/{repo}.git/git-upload-pack") if line["bytes_out"] > 200]

    server = repo.org.server
    wait_until(packs, "the clone is told")
    asked = {"/{repo}.git/info/refs": "info_refs", "/{repo}.git/git-upload-pack": "upload_pack"}
    for path, operation in asked.items():
        assert {facts(line, "operation", "org", "repo", "status") for line in told(path)} == {
            (operation, repo.org.name, repo.name, 200)
        }
    assert packs()[0]["bytes_in"] > 0
    assert token not in server.stderr()


def test_a_refused_caller_is_named_only_if_its_token_is_valid(repo: Repo) -> None:
    server = repo.org.server
    other = line_of(server, repo.api("GET", "/files", token=repo.token(repo="team/other", sub="me")))
    assert facts(other, "status", "org", "sub", "repo") == (403, repo.org.name, "me", repo.name)
    stranger = line_of(server, repo.api("GET", "/files", token="nonsense"))
    assert facts(stranger, "status", "org", "sub", "repo") == (401, "", "", "")
    nowhere = line_of(server, repo.org.request("GET", "/nowhere/of/mine?token=abc"))
    assert facts(nowhere, "status", "path", "operation") == (404, "", "")
    assert "of/mine" not in server.stderr()
    wrong = line_of(server, repo.api("PUT", "/files"))
    assert facts(wrong, "status", "path", "operation") == (405, "/api/repos/{repo}/files", "")


@pytest.mark.parametrize("given", ["req-1", "0123456789abcdef" * 8, "a/b:c;d=e"])
def test_a_short_printable_request_id_is_used(repo: Repo, given: str) -> None:
    reply = repo.api("GET", "/files", headers={"X-Request-Id": given})
    assert reply.headers.get_list("x-request-id") == [given]
    assert line_of(repo.org.server, reply)["status"] == reply.status_code


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "caf\u00e9", "tab\tbed"])
def test_any_other_request_id_is_replaced(repo: Repo, given: str) -> None:
    headers = [(b"Authorization", f"Bearer {repo.token()}".encode()), (b"X-Request-Id", given.encode())]
    path = f"/api/repos/{repo.name.replace('/', '%2F')}/files"
    reply = repo.org.server.http.get(repo.org.server.url + path, headers=headers)
    assert re.fullmatch("[0-9a-f]{32}", reply.headers["x-request-id"])


@pytest.mark.parametrize(
    "path",
    ["/healthz", "/nowhere", "/api/repos/x/files", "/x.git/info/refs?service=git-upload-pack", "/x%ff"],
)
def test_every_answer_names_its_request(server: Server, path: str) -> None:
    first, second = (server.http.get(server.url + path).headers["x-request-id"] for _ in "12")
    assert first != second


def test_bytes_that_are_not_a_request_are_answered_with_an_id_and_logged(server: Server) -> None:
    answer, _ = raw_http.send(server, b"GET / HTTP/1.1\r\nX-Request-Id: mine-1\r\nBad Header\r\n\r\n")
    assert answer.status == 400
    request_id = answer.headers["x-request-id"]
    (line,) = lines_of(server, request_id)
    assert facts(line, "message", "status", "path", "client") == ("request refused", 400, "", "127.0.0.1")


def test_probes_are_logged_at_debug_only(start_server: StartServer) -> None:
    server = start_server()
    assert [line for line in server.log() if line.get("operation") in ("healthz", "readyz")] == []
    loud = start_server(ServerOptions(settings={"log_level": "debug"}))
    loud.http.get(loud.url + "/healthz")
    assert comes_true(lambda: [line for line in loud.log("request") if line["operation"] == "healthz"])
    assert {line["level"] for line in loud.log("request")} == {"debug"}


def test_a_quieter_level_has_no_lines_for_requests(start_server: StartServer) -> None:
    server = start_server(ServerOptions(settings={"log_level": "warning"}))
    server.http.get(server.url + "/nowhere")
    assert server.log() == []


def test_a_stream_is_logged_at_its_end_with_the_bytes_sent(repo: Repo) -> None:
    path = f"/api/repos/{repo.name.replace('/', '%2F')}/events"
    server = repo.org.server
    headers = {"Authorization": f"Bearer {repo.token(scopes=['git:read'])}", "X-Request-Id": f"s-{repo.name}"}
    with httpx.stream("GET", server.url + path, headers=headers) as response:
        pieces = response.iter_raw()
        said = next(pieces)
        assert f"s-{repo.name}" not in server.stderr()
    (line,) = lines_of(server, f"s-{repo.name}")
    assert facts(line, "message", "operation", "status") == ("client left", "stream_events", 200)
    assert line["bytes_out"] >= len(said)


def test_a_client_that_leaves_within_its_body_is_logged_with_the_bytes_received(repo: Repo) -> None:
    server = repo.org.server
    request_id = f"gone-{repo.name}"
    head = [
        f"POST /api/repos/{repo.name.replace('/', '%2F')}/commit-pack HTTP/1.1",
        f"Host: {server.host_port}",
        f"Authorization: Bearer {repo.token(sub='hasty')}",
        f"X-Request-Id: {request_id}",
        "Content-Length: 1000",
    ]
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        raw.sendall("\r\n".join([*head, "", "0123456789"]).encode())
    (line,) = lines_of(server, request_id)
    assert facts(line, "message", "status", "sub") == ("client left", 0, "hasty")
    assert line["bytes_in"] in (0, 10)  # bytes that arrive together with the end are dropped unread


def test_lines_about_a_failure_have_the_id_of_its_request(start_server: StartServer) -> None:
    server = start_server()
    repo = server.new_org().create_repo()
    repo.write_commit("main", {"a": b"a"})
    for pack in repo.folder().glob("objects/pack/pack-*"):
        pack.unlink()
    reply = repo.api("GET", "/file", params={"path": "a"}, headers={"X-Request-Id": "broken-1"})
    assert reply.status_code == 500
    assert reply.headers["x-request-id"] == "broken-1"
    wait_until(lambda: len(lines_of(server, "broken-1")) >= 3, "three lines")
    messages = [line["message"] for line in lines_of(server, "broken-1")]
    assert {"stored data is damaged", "request failed", "request"} <= set(messages)
    assert messages.count("request") == 1


@pytest.mark.parametrize("level", ["info", "debug"])
def test_libraries_write_nothing_of_their_own(
    start_server: StartServer, git: Git, tmp_path: Path, level: str
) -> None:
    server = start_server(ServerOptions(settings={"log_level": level, "trusted_hosts": "http://127.0.0.1:9"}))
    org = server.new_org()
    repo = org.create_repo()
    repo.write_commit("main", {"a": b"a"})
    hook = {"url": "http://127.0.0.1:9/hook?token=of-the-receiver", "events": ["push"]}
    assert org.request("POST", "/api/webhooks", json=hook).status_code < 300
    repo.write_commit("main", {"b": b"b"})
    git.run("clone", repo.remote(), str(tmp_path / "clone"))
    wait_until(lambda: "upload_pack" in server.stderr(), "the clone is told")
    assert {line["logger"] for line in server.log()} == {"packhouse"}
    assert "of-the-receiver" not in server.stderr()
