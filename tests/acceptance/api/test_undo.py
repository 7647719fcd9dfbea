"""The ref log, and the changes that an operator can take back with it."""

import time
from pathlib import Path

import pytest

from tests.support.clients.git import Git
from tests.support.clients.repo import Org, Repo

ZEROS = "0" * 40


def log_of(repo: Repo, **query: str) -> list[dict[str, object]]:
    reply = repo.api("GET", "/ref-log", params=query)
    assert reply.status_code == 200, reply.text
    entries: list[dict[str, object]] = reply.json()["entries"]
    return entries


def restore(repo: Repo, ref: str, *options: str, works: bool = True) -> str:
    done = repo.org.server.try_cli("ref", "restore", repo.org.name, repo.name, ref, *options)
    assert (done.returncode == 0) == works, done.stderr
    return done.stdout + done.stderr


def test_every_move_is_logged_newest_first(repo: Repo) -> None:
    first = repo.write_commit("main", {"a": b"1"})
    second = repo.write_commit("main", {"a": b"2"})
    repo.write_commit("draft", {"b": b"1"}, base_branch="main", ephemeral=True)
    entries = log_of(repo)
    assert [(entry["ref"], entry["ephemeral"]) for entry in entries] == [
        ("refs/heads/draft", True),
        ("refs/heads/main", False),
        ("refs/heads/main", False),
    ]
    assert [(entry["old_sha"], entry["new_sha"]) for entry in entries[1:]] == [
        (first, second),
        (ZEROS, first),
    ]
    assert {entry["action"] for entry in entries} == {"commit-pack"}
    assert len(log_of(repo, ref="main")) == len(log_of(repo, ref="refs/heads/main")) == 2
    assert len(log_of(repo, ref="draft", ephemeral="true")) == 1
    assert repo.v1("GET", "/repos/ref-log").json()["entries"] == entries


def test_pages_of_the_ref_log_neither_repeat_nor_miss_a_move(repo: Repo) -> None:
    for number in range(7):
        repo.write_commit("main", {"a": b"%d" % number})
    seen: list[object] = []
    query: dict[str, str] = {"limit": "3"}
    while True:
        page = repo.api("GET", "/ref-log", params=query).json()
        seen += [entry["id"] for entry in page["entries"]]
        if not page["has_more"]:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == [entry["id"] for entry in log_of(repo)]
    assert len(seen) == 7


@pytest.mark.parametrize("query", [{"limit": "-1"}, {"cursor": "!"}, {"ref": "a..b"}, {"ephemeral": "maybe"}])
def test_bad_parameters_of_the_ref_log_are_refused(repo: Repo, query: dict[str, str]) -> None:
    assert repo.api("GET", "/ref-log", params=query).status_code == 400


def test_a_forced_push_is_undone_by_time_or_entry(repo: Repo, git: Git, tmp_path: Path) -> None:
    kept = repo.write_commit("main", {"a": b"work"})
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    time.sleep(1.1)  # the log counts whole seconds
    work = git.init(tmp_path / "work")
    git.commit(work, {"b": b"other"})
    git.run("-C", str(work), "push", "--quiet", "--force", repo.remote(), "HEAD:refs/heads/main")
    forced = repo.branches()["main"]
    assert forced != kept
    assert kept in restore(repo, "main", "--at", moment)
    assert repo.branches()["main"] == kept
    assert repo.read_file("a") == b"work"
    [entry] = [entry for entry in log_of(repo) if entry["action"] == "restore-ref"]
    assert restore(repo, "refs/heads/main", "--entry", str(entry["id"]), "--json")
    assert repo.branches()["main"] == forced


def test_a_deleted_branch_can_be_restored(repo: Repo) -> None:
    head = repo.write_commit("main", {"a": b"1"})
    repo.write_commit("draft", {"b": b"1"}, base_branch="main", ephemeral=True)
    tip = repo.branches(ephemeral="true")["draft"]
    assert repo.api("DELETE", "/branches", json={"name": "draft", "ephemeral": True}).status_code == 200
    assert repo.api("GET", "/commit", params={"ref": tip}).status_code == 404
    [deletion] = [entry for entry in log_of(repo) if entry["new_sha"] == ZEROS]
    restore(repo, "draft", "--ephemeral", "--entry", str(deletion["id"]))
    assert repo.branches(ephemeral="true") == {"draft": tip}
    assert repo.branches() == {"main": head}


def test_an_impossible_restore_is_refused_with_the_reason(repo: Repo) -> None:
    repo.write_commit("main", {"a": b"1"})
    assert "log" in restore(repo, "main", "--at", "2020-01-01", works=False)
    assert "(ref refs/heads/gone)" in restore(repo, "gone", "--at", "2040-01-01", works=False)
    assert "invalid ref name" in restore(repo, "refs/heads/\udcff", "--entry", "1", works=False)
    [creation] = log_of(repo)
    assert "did not exist" in restore(repo, "main", "--entry", str(creation["id"]), works=False)
    assert "either" in restore(repo, "main", works=False)
    assert "date" in restore(repo, "main", "--at", "yesterday", works=False)


def test_a_restored_repository_has_everything_it_had(org: Org) -> None:
    repo = org.create_repo()
    head = repo.write_commit("main", {"a": b"1"})
    assert repo.api("DELETE").status_code == 200
    assert repo.api("GET").status_code == 404
    assert org.server.try_cli("repo", "undelete", org.name, repo.name).returncode == 0
    assert repo.branches() == {"main": head}
    again = org.server.try_cli("repo", "undelete", org.name, repo.name)
    assert (again.returncode, "exists" in again.stderr) == (1, True)
    assert org.server.try_cli("repo", "undelete", org.name, "never-there").returncode == 1
