"""Creating a repository: persons have the same meaning as in commits."""

from typing import Any

from tests.support.clients.repo import AUTHOR, Org, Repo


def snapshot_of(source: Repo, author: dict[str, Any]) -> dict[str, Any]:
    auth = {"token": source.token(scopes=["git:read"])}
    base = {"provider": "code.storage", "name": source.name, "operation": "snapshot", "auth": auth}
    return {"base_repo": base, "initial_commit": {"message": "Start from template", "author": author}}


def test_the_first_commit_of_a_snapshot_has_its_authors_date(org: Org, repo: Repo) -> None:
    repo.write_commit("main", {"a": b"1"})
    made = org.repo()
    body = snapshot_of(repo, {**AUTHOR, "date": "2026-01-02T10:30:00+02:00"})
    assert made.create(**body).status_code == 201
    commit = made.api("GET", "/commit", params={"ref": "main"}).json()["commit"]
    assert (commit["date"], commit["parent_shas"]) == ("2026-01-02T08:30:00Z", [])


def test_a_snapshot_refuses_an_invalid_date(org: Org, repo: Repo) -> None:
    repo.write_commit("main", {"a": b"1"})
    for date in ("yesterday", "2026-13-01", 5):
        reply = org.repo().create(**snapshot_of(repo, {**AUTHOR, "date": date}))
        assert reply.status_code == 400, reply.text
