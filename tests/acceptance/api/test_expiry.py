"""Repositories that expire: over HTTP in both dialects, on both database engines."""

import time
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.support.clients.repo import Org, Repo
from tests.support.waiting import wait_until

pytestmark = pytest.mark.parametrize("server", ["sqlite", "postgres"], indirect=True)

FAR = "2999-12-31T00:00:00Z"


def after(seconds: int) -> str:
    return datetime.fromtimestamp(int(time.time()) + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def create(repo: Repo, dialect: str, **body: Any) -> httpx.Response:
    path = "/api/v1/repos" if dialect == "v1" else "/api/repos"
    return repo.org.request("POST", path, token=repo.token(), json=body)


def update(repo: Repo, dialect: str, **body: Any) -> httpx.Response:
    return repo.v1("PATCH", "/repo", json=body) if dialect == "v1" else repo.api("PATCH", json=body)


def expiry(repo: Repo, dialect: str = "api") -> str | None:
    """Return the member of the answer to get. An absent member is None, and null is a fault."""
    reply = repo.v1("GET", "/repo") if dialect == "v1" else repo.api("GET")
    assert reply.status_code == 200, reply.text
    value: str = reply.json().get("expires_at", "")
    assert value is not None
    return value or None


@pytest.mark.parametrize("dialect", ["v1", "api"])
def test_a_repository_deletes_itself_when_its_time_has_come(org: Org, dialect: str) -> None:
    repo, kept = org.repo(), org.create_repo(expires_at=FAR)
    moment = after(2)
    reply = create(repo, dialect, expires_at=moment)
    assert (reply.status_code, reply.json().get("expires_at")) == (201, moment), reply.text
    head = repo.write_commit("main", {"a": b"1"})
    assert expiry(repo, dialect) == moment
    wait_until(lambda: repo.api("GET").status_code == 404, "the repository expires")
    late = datetime.now(UTC) - datetime.fromisoformat(moment.replace("Z", "+00:00"))
    assert 0 <= late.total_seconds() < 60
    assert repo.api("DELETE").status_code == 409
    assert kept.api("GET").status_code == 200
    assert org.server.try_cli("repo", "undelete", org.name, repo.name).returncode == 0
    assert (repo.branches(), expiry(repo)) == ({"main": head}, None)


@pytest.mark.parametrize("dialect", ["v1", "api"])
def test_the_time_is_shown_moved_and_taken_away(new_org: Org, dialect: str) -> None:
    repo = new_org.create_repo()
    assert "expires_at" not in repo.api("GET").json()
    reply = update(repo, dialect, expires_at="2999-12-31T02:30:00+02:30")
    assert (reply.status_code, reply.json().get("expires_at")) == (200, FAR), reply.text
    assert expiry(repo, dialect) == FAR
    (listed,) = new_org.request("GET", "/api/repos").json()["repos"]
    assert listed["expires_at"] == FAR
    assert update(repo, dialect, default_branch="next").json()["expires_at"] == FAR
    for absent in ("", "  "):
        assert update(repo, dialect, default_branch="next", expires_at=absent).json()["expires_at"] == FAR
    reply = update(repo, dialect, expires_at=None)
    assert reply.status_code == 200, reply.text
    assert "expires_at" not in reply.json()
    assert expiry(repo, dialect) is None


@pytest.mark.parametrize(
    "value", ["2020-01-01T00:00:00Z", "soon", "2999-13-01", 32503680000, True, ["x"], {}]
)
@pytest.mark.parametrize("dialect", ["v1", "api"])
def test_a_time_that_cannot_be_is_refused_and_changes_nothing(org: Org, dialect: str, value: object) -> None:
    repo = org.repo()
    reply = create(repo, dialect, expires_at=value)
    assert reply.status_code == 400, reply.text
    assert repo.api("GET").status_code == 404
    assert create(repo, dialect, expires_at=FAR).status_code == 201
    reply = update(repo, dialect, expires_at=value, default_branch="next")
    assert reply.status_code == 400, reply.text
    assert (expiry(repo), repo.api("GET").json()["default_branch"]) == (FAR, "main")


def test_the_present_second_is_refused_as_past(org: Org) -> None:
    reply = create(org.repo(), "api", expires_at=after(0))
    assert (reply.status_code, reply.json()["error"]) == (400, "expires_at must be in the future")


def test_null_at_creation_is_no_expiry(org: Org) -> None:
    repo = org.repo()
    assert "expires_at" not in create(repo, "api", expires_at=None).json()


def test_an_update_with_neither_setting_is_refused(org: Org) -> None:
    repo = org.create_repo(expires_at=FAR)
    for body in ({}, {"expires_at": " "}, {"default_branch": None}):
        reply = update(repo, "api", **body)
        assert reply.status_code == 400
        assert "expires_at" in reply.json()["error"]
    assert expiry(repo) == FAR


def test_a_fork_and_a_snapshot_take_a_time(org: Org, repo: Repo) -> None:
    repo.write_commit("main", {"a": b"1"})
    base = {
        "provider": "code.storage",
        "name": repo.name,
        "auth": {"token": repo.token(scopes=["git:read"])},
    }
    commit = {"message": "Start", "author": {"name": "Ada", "email": "ada@example.test"}}
    for body in (
        {"base_repo": base},
        {"base_repo": {**base, "operation": "snapshot"}, "initial_commit": commit},
    ):
        made = org.repo()
        reply = create(made, "api", expires_at=FAR, **body)
        assert (reply.status_code, reply.json().get("expires_at")) == (201, FAR), reply.text
        assert expiry(made) == FAR


def test_a_repeat_of_a_creation_gets_the_first_answer(org: Org) -> None:
    for _ in range(5):
        repo = org.repo()
        replies = create_twice(repo, after(1))
        if repo.api("GET").status_code == 200:
            break  # otherwise it was deleted at this moment, and its answers with it
    assert [reply.status_code for reply in replies] == [201, 201]
    assert replies[0].json() == replies[1].json()


def create_twice(repo: Repo, moment: str) -> list[httpx.Response]:
    """Create a repository and repeat the request when its time has come. Return both answers."""
    replies = []
    for _ in range(2):
        replies.append(
            repo.org.request(
                "POST",
                "/api/repos",
                token=repo.token(),
                json={"expires_at": moment},
                headers={"Idempotency-Key": "once"},
            )
        )
        time.sleep(1.5)  # the time has come before the repeat
    return replies


def test_the_command_line_shows_the_time(new_org: Org) -> None:
    repo = new_org.create_repo(expires_at=FAR)
    for words in (("show", new_org.name, repo.name), ("list", new_org.name)):
        done = new_org.server.try_cli("repo", *words)
        assert done.returncode == 0, done.stderr
        assert FAR in done.stdout
