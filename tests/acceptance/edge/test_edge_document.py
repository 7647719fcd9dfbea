"""Real answers fit the OpenAPI document."""

import httpx
import pytest

from tests.support.clients.repo import Org, Repo
from tests.support.servers.gateway import Gateway, read_exchange
from tests.support.servers.server import Server


class Document:
    """The OpenAPI document, and checks of answers against it."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def check(self, path: str, method: str, reply: httpx.Response) -> None:
        """Fail for an answer that does not fit the description of this path and method."""
        assert method in self._gateway.document["paths"][path]
        self._gateway.check(read_exchange(reply))


@pytest.fixture
def document(server: Server) -> Document:
    return Document(server.gateway())


def test_answers_about_repositories_fit_the_document(document: Document, org: Org) -> None:
    repo = org.repo()
    create = org.request("POST", "/api/repos", token=repo.token())
    document.check("/api/repos", "post", create)
    document.check("/api/repos", "post", org.request("POST", "/api/repos", token=repo.token()))
    document.check("/api/v1/repos", "get", org.request("GET", "/api/v1/repos"))
    document.check("/api/repos/{repo}", "get", repo.api("GET"))
    document.check("/api/repos/{repo}", "patch", repo.api("PATCH", json={"default_branch": "next"}))
    document.check("/api/repos/{repo}", "patch", repo.api("PATCH", json={}))
    document.check("/api/repos/{repo}", "delete", repo.api("DELETE"))
    document.check("/api/repos/{repo}", "delete", repo.api("DELETE"))
    document.check("/api/repos/{repo}", "get", repo.api("GET"))


READS = [
    ("/branches", {}),
    ("/branches", {"limit": "x"}),
    ("/branch", {"name": "main"}),
    ("/branch", {"name": "absent"}),
    ("/files", {}),
    ("/files", {"ref": "absent"}),
    ("/files/metadata", {}),
    ("/file", {"path": "a.txt"}),
    ("/file", {"path": "absent"}),
    ("/file", {}),
    ("/commits", {}),
    ("/commit", {"ref": "main"}),
    ("/diff", {"ref": "main"}),
    ("/branches/diff", {"branch": "topic"}),
    ("/merge/preview", {"source_branch": "topic", "target_branch": "main"}),
    ("/merge/preview", {"source_branch": "topic", "target_branch": "main", "include_content": "true"}),
    ("/blame", {"path": "a.txt"}),
    ("/tags", {}),
    ("/tag", {"name": "absent"}),
    ("/notes", {"sha": "main"}),
    ("/notes/refs", {}),
]


def test_reading_answers_fit_the_document(document: Document, repo: Repo) -> None:
    repo.write_commit("main", {"a.txt": b"one\ntwo\n", "folder/b.txt": b"b"})
    repo.write_commit("topic", {"a.txt": b"one\nTWO\n"}, base_branch="main")
    repo.write_commit("main", {"a.txt": b"one\n2\n"})
    for path, query in READS:
        document.check("/api/repos/{repo}" + path, "get", repo.api("GET", path, params=query))
        document.check("/api/v1/repos" + path, "get", repo.v1("GET", "/repos" + path, params=query))


def test_answers_that_are_files_fit_the_document(document: Document, repo: Repo) -> None:
    repo.write_commit("main", {"a.txt": b"one\ntwo\n"})
    etag = repo.api("GET", "/file", params={"path": "a.txt"}).headers["etag"]
    for method in ("GET", "HEAD"):
        for headers in ({"Range": "bytes=0-1"}, {"Range": "bytes=99-"}, {"If-None-Match": etag}):
            reply = repo.api(method, "/file", params={"path": "a.txt"}, headers=headers)
            document.check("/api/repos/{repo}/file", method.lower(), reply)
    number = repo.api("GET").json()["repository_id"]
    path = "/v4/repositories/{repository_id}/repository/archive"
    for query, token in (
        ("", repo.token()),
        ("?archive_format=zip", repo.token()),
        ("?sha=x", repo.token()),
        ("", ""),
    ):
        target = path.replace("{repository_id}", str(number)) + query
        reply = repo.org.server.http.get(repo.org.server.url + target, headers={"X-Auth-Token": token})
        document.check(path, "get", reply)


def test_writing_answers_fit_the_document(document: Document, repo: Repo) -> None:
    path = "/api/repos/{repo}/commit-pack"
    for reply in (
        repo.post_commit("main", {"a": b"1"}),
        repo.post_commit("main", {"a": b"2"}, expected_target_sha="1" * 40),
        repo.post_commit("main", {"../a": b"2"}),
        repo.post_commit("main", {"a": b"2"}, token=repo.token(scopes=["git:read"])),
        repo.post_commit("main", {"a": b"2"}, token="x.y.z"),
    ):
        document.check(path, "post", reply)
    for note in (
        {"action": "add", "note": "n"},
        {"action": "add", "note": "n"},
        {"action": "append", "note": "n"},
        {"action": "remove", "notes_ref": "other"},
        {"action": "none"},
    ):
        reply = repo.api("POST", "/notes", json={"object_ref": "main", **note})
        document.check("/api/repos/{repo}/notes", "post", reply)
    grep = repo.api("POST", "/grep", json={"query": {"pattern": "1"}})
    document.check("/api/repos/{repo}/grep", "post", grep)
