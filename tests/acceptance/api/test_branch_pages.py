"""The list of branches: in order of creation, in pages that miss no branch that is created meanwhile."""

import base64
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.builders.rows import add_old_ref
from tests.support.builders.seeds import seed_of
from tests.support.clients.git import Git
from tests.support.clients.repo import Repo


def create(repo: Repo, name: str, **fields: object) -> None:
    body = {"target_branch": name, "base_ref": "main", **fields}
    assert repo.api("POST", "/branches/create", json=body).status_code == 200


def names_of(repo: Repo, **query: str) -> list[str]:
    return list(repo.branches(**query))


@pytest.mark.parametrize("server", ["sqlite", "postgres"], indirect=True)
def test_branches_made_within_one_second_are_listed_in_order_of_creation(repo: Repo) -> None:
    repo.write_commit("main", {"a": b"1"})
    for name in ("zeta", "alpha", "mid", "beta"):
        create(repo, name)
        create(repo, f"draft/{name}", target_is_ephemeral=True)
    repo.write_commit("another", {"b": b"2"}, base_branch="main")
    assert names_of(repo) == ["main", "zeta", "alpha", "mid", "beta", "another"]
    assert names_of(repo, ephemeral="true") == [f"draft/{name}" for name in ("zeta", "alpha", "mid", "beta")]
    assert repo.api("DELETE", "/branches", json={"name": "zeta"}).status_code == 200
    create(repo, "zeta")
    assert names_of(repo) == ["main", "alpha", "mid", "beta", "another", "zeta"]
    for branch in repo.api("GET", "/branches").json()["branches"]:
        assert len(branch["created_at"]) == len("2026-01-01T00:00:00Z")


@pytest.mark.parametrize("server", ["sqlite", "postgres"], indirect=True)
def test_a_caller_that_goes_on_from_the_last_page_gets_each_new_branch_once(
    repo: Repo, request: pytest.FixtureRequest
) -> None:
    rng = random.Random(seed_of(request))
    repo.write_commit("main", {"a": b"1"})
    names = [f"{rng.randrange(16**4):04x}/{number}" for number in range(40)]
    query = {"limit": "3"}
    seen: list[str] = []

    def read_page() -> bool:
        page = repo.api("GET", "/branches", params=query).json()
        seen.extend(branch["name"] for branch in page["branches"])
        if page["branches"]:
            query["cursor"] = page["branches"][-1]["cursor"]
        assert page["has_more"] == ("next_cursor" in page)
        return bool(page["branches"])

    with ThreadPoolExecutor(4) as pool:
        made = [pool.submit(create, repo, name) for name in names]
        while not all(future.done() for future in made):
            read_page()
        for future in made:
            future.result()
    while read_page():
        continue
    assert sorted(seen) == sorted(["main", *names])
    assert seen == names_of(repo)


def test_branches_of_one_push_are_listed_in_the_order_of_its_commands(
    repo: Repo, git: Git, tmp_path: Path
) -> None:
    work = git.init(tmp_path / "work")
    git.commit(work, {"a": b"1"})
    specs = [f"HEAD:refs/heads/{name}" for name in ("m", "z", "a")]
    lines = git.run("push", "--porcelain", repo.remote(), *specs, cwd=work).splitlines()
    sent = [line.split("\t")[1].rpartition("/")[2] for line in lines if line.startswith("*")]
    assert sorted(sent) == ["a", "m", "z"]
    assert names_of(repo) == sent


def test_a_fork_keeps_the_order_of_its_source(repo: Repo) -> None:
    repo.write_commit("main", {"a": b"1"})
    for name in ("zeta", "alpha", "mid"):
        create(repo, name)
    create(repo, "alpha2")
    add_old_ref(repo, "refs/heads/-x", repo.branches()["main"])
    base = {
        "provider": "code",
        "owner": repo.org.name,
        "name": repo.name,
        "operation": "fork",
        "auth": {"token": repo.token(scopes=["git:read"])},
    }
    copy = repo.org.create_repo(base_repo=base)
    assert names_of(copy) == ["main", "zeta", "alpha", "mid", "alpha2"]
    create(copy, "later")
    assert names_of(copy)[-1] == "later"
    assert names_of(repo.org.create_repo(base_repo={**base, "name": copy.name, "auth": {"token": copy.token()}})) == [
        "main", "zeta", "alpha", "mid", "alpha2", "later",
    ]  # fmt: skip


def test_a_cursor_of_the_release_before_is_refused_with_a_sentence(repo: Repo) -> None:
    repo.write_commit("main", {"a": b"1"})
    for key in (b"1767225600\0refs/heads/main", b"0\0refs/heads/main"):
        cursor = base64.urlsafe_b64encode(key).decode().rstrip("=")
        for call in (repo.api, repo.v1):
            path = "/branches" if call == repo.api else "/repos/branches"
            reply = call("GET", path, params={"cursor": cursor})
            assert (reply.status_code, reply.json()["error"]) == (400, "unreadable cursor")


def test_a_cursor_works_after_its_branch_was_deleted(repo: Repo) -> None:
    repo.write_commit("main", {"a": b"1"})
    for name in ("b", "c", "d"):
        create(repo, name)
    page = repo.api("GET", "/branches", params={"limit": "2"}).json()
    assert repo.api("DELETE", "/branches", json={"name": "b"}).status_code == 200
    rest = repo.api("GET", "/branches", params={"cursor": page["next_cursor"]}).json()
    assert [branch["name"] for branch in rest["branches"]] == ["c", "d"]
