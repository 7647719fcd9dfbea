"""Deleting repositories by the start of their names: over HTTP in both dialects, and from the command line."""

import os
import pty
import subprocess
from typing import Any

import httpx
import pytest

from tests.support.builders.shapes import ANSWERS, judge
from tests.support.clients.repo import Org
from tests.support.servers.server_process import COMMAND_TIMEOUT_S, PROGRAM

pytestmark = pytest.mark.parametrize("server", ["sqlite", "postgres"], indirect=True)

PATHS = {"v1": "/api/v1/repos", "api": "/api/repos"}
BULK = ["repo:write", "org:read"]


def delete(
    org: Org, dialect: str = "api", *, claims: dict[str, Any] | None = None, **body: Any
) -> httpx.Response:
    token = org.sign(**{"scopes": BULK, **(claims or {})})
    return org.request("DELETE", PATHS[dialect], token=token, json=body)


def names(org: Org) -> list[str]:
    return [
        repo["repo_name"] for repo in org.request("GET", "/api/repos", params={"limit": 100}).json()["repos"]
    ]


@pytest.mark.parametrize("dialect", ["v1", "api"])
def test_the_repositories_with_a_prefix_are_deleted_and_named(new_org: Org, dialect: str) -> None:
    made = {name: new_org.create_repo(name) for name in ("ci/b", "ci/a", "ci", "CI/a", "ci_a", "keep")}
    made["ci/a"].write_commit("main", {"a": b"1"})
    ids = {name: repo.api("GET").json()["repo_id"] for name, repo in made.items()}
    answer = judge(delete(new_org, dialect, prefix="ci/"), ANSWERS["delete_repos"], status=200)
    assert answer == {
        "repos": [{"repo_id": ids[name], "repo_name": name, "url": name} for name in ("ci/a", "ci/b")],
        "count": 2,
        "has_more": False,
    }
    assert names(new_org) == ["ci", "CI/a", "ci_a", "keep"]
    assert made["ci/a"].api("DELETE").status_code == 409
    assert new_org.create_repo("ci/a").branches() == {}
    assert delete(new_org, dialect, prefix="nothing/").json() == {"repos": [], "count": 0, "has_more": False}


def test_a_caller_repeats_the_call_until_nothing_is_left(new_org: Org) -> None:
    for number in range(7):
        new_org.create_repo(f"ci/{number}")
    counts = []
    while True:
        answer = delete(new_org, prefix="ci/", limit=3).json()
        counts.append(answer["count"])
        if not answer["has_more"]:
            break
    assert (counts, names(new_org)) == ([3, 3, 1], [])


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"prefix": ""},
        {"prefix": None},
        {"prefix": 5},
        {"prefix": ["ci/"]},
        {"prefix": "x" * 256},
        {"prefix": "ci/", "limit": -1},
        {"prefix": "ci/", "limit": "3"},
    ],
)
@pytest.mark.parametrize("dialect", ["v1", "api"])
def test_a_call_without_a_proper_prefix_deletes_nothing(
    new_org: Org, dialect: str, body: dict[str, Any]
) -> None:
    new_org.create_repo("ci/a")
    assert delete(new_org, dialect, **body).status_code == 400
    assert names(new_org) == ["ci/a"]


def test_a_prefix_in_the_query_or_in_the_path_deletes_nothing(new_org: Org) -> None:
    new_org.create_repo("ci/a")
    token = new_org.sign(scopes=BULK)
    for path, status in (
        ("/api/repos?prefix=ci/", 400),
        ("/api/v1/repos?prefix=ci/", 400),
        ("/api/repos/", 404),
    ):
        assert new_org.request("DELETE", path, token=token).status_code == status
    assert names(new_org) == ["ci/a"]


@pytest.mark.parametrize(
    "claims",
    [
        {"repo": "ci/a"},
        {"repo": "ci/"},
        {"scopes": ["repo:write"]},
        {"scopes": ["org:read", "git:write"]},
        {"refs": [["refs/heads/main", ["no-push"]]]},
        {"ops": ["no-force-push"]},
    ],
)
@pytest.mark.parametrize("dialect", ["v1", "api"])
def test_a_narrower_token_deletes_nothing(new_org: Org, dialect: str, claims: dict[str, Any]) -> None:
    new_org.create_repo("ci/a")
    reply = delete(new_org, dialect, claims=claims, prefix="ci/")
    assert reply.status_code == 403, reply.text
    assert names(new_org) == ["ci/a"]


def test_another_organisation_deletes_nothing_here(new_org: Org, org: Org) -> None:
    new_org.create_repo("ci/a")
    assert delete(org, prefix="ci/").json()["count"] == 0
    assert names(new_org) == ["ci/a"]


def on_terminal(org: Org, answer: bytes, *args: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command whose standard input is a terminal on which somebody types `answer`."""
    leader, follower = pty.openpty()
    try:
        os.write(leader, answer)
        command = [str(PROGRAM), "repo", "delete", org.name, *args]
        return subprocess.run(
            command,
            stdin=follower,
            capture_output=True,
            env=org.server.environment,
            timeout=COMMAND_TIMEOUT_S,
        )
    finally:
        os.close(follower)
        os.close(leader)


def test_the_command_asks_on_a_terminal(new_org: Org) -> None:
    for name in ("ci/a", "ci/b", "keep"):
        new_org.create_repo(name)
    refused = on_terminal(new_org, b"n\n", "--prefix", "ci/")
    assert (refused.returncode, b"2 repositories" in refused.stderr) == (1, True), refused.stderr
    assert b"nothing deleted" in refused.stderr
    assert len(names(new_org)) == 3
    agreed = on_terminal(new_org, b"y\n", "--prefix", "ci/", "--json")
    assert (agreed.returncode, agreed.stdout) == (0, b'{"deleted": 2}\n'), agreed.stderr
    assert names(new_org) == ["keep"]


def test_the_command_deletes_nothing_unasked(new_org: Org) -> None:
    new_org.create_repo("ci/a")
    asked = new_org.server.try_cli("repo", "delete", new_org.name, "--prefix", "ci/")
    assert (asked.returncode, "1 repositories" in asked.stderr) == (2, True)
    assert names(new_org) == ["ci/a"]
    done = new_org.server.try_cli("repo", "delete", new_org.name, "--prefix", "ci/", "--yes")
    assert (done.returncode, done.stdout) == (0, "deleted 1 repositories\n")
    assert names(new_org) == []
