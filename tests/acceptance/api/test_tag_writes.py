"""Creating and deleting tags over the API."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.clients.git import Git
from tests.support.clients.repo import Repo


def create(repo: Repo, name: str, ref: str = "main", *, token: str | None = None) -> httpx.Response:
    return repo.api("POST", "/tags", json={"name": name, "ref": ref}, token=token)


def tags(repo: Repo) -> dict[str, str]:
    reply = repo.api("GET", "/tags")
    assert reply.status_code == 200, reply.text
    return {tag["name"]: tag["sha"] for tag in reply.json()["tags"]}


def test_a_tag_is_lightweight_and_on_the_commit(repo: Repo, git: Git, tmp_path: Path) -> None:
    first = repo.write_commit("main", {"a": b"1"})
    head = repo.write_commit("main", {"a": b"2"})
    reply = create(repo, "release/v1", "main~0")
    assert reply.status_code == 200, reply.text
    assert reply.json() == {"name": "release/v1", "sha": head, "message": "tag created"}
    old = repo.v1("POST", "/repos/tags", json={"name": "v0", "target": "main~1"})
    assert (old.status_code, old.json()["sha"]) == (200, first)
    work = git.clone(repo.remote(), tmp_path / "work")
    git.run("tag", "-a", "-m", "annotated", "annotated", first, cwd=work)
    git.run("push", "--quiet", "origin", "annotated", cwd=work)
    assert create(repo, "copy", "annotated").json()["sha"] == first
    refs = git.ls_remote(repo.remote(), "refs/tags/*")
    assert refs["refs/tags/copy"] == first
    assert "refs/tags/copy^{}" not in refs
    assert tags(repo) == {"annotated": first, "copy": first, "release/v1": head, "v0": first}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "", "ref": "main"}, 400),
        ({"name": "v1"}, 400),
        ({"name": "refs/tags/v1", "ref": "main"}, 400),
        ({"name": "a b", "ref": "main"}, 400),
        ({"name": "v1.lock", "ref": "main"}, 400),
        ({"name": "v1", "ref": "a..b"}, 400),
        ({"name": "v1", "ref": "gone"}, 404),
        ({"name": "v1", "ref": "0" * 40}, 404),
        ({"name": "taken", "ref": "main"}, 409),
        ({"name": "taken/below", "ref": "main"}, 409),
    ],
)
def test_a_bad_tag_request_is_refused(repo: Repo, body: dict[str, Any], status: int) -> None:
    head = repo.write_commit("main", {"a": b"1"})
    create(repo, "taken")
    reply = repo.api("POST", "/tags", json=body)
    assert reply.status_code == status, reply.text
    assert reply.json()["error"]
    assert tags(repo) == {"taken": head}


def test_every_way_to_name_a_tag_deletes_it(repo: Repo) -> None:
    repo.write_commit("main", {"a": b"1"})
    ways: tuple[Callable[[], httpx.Response], ...] = (
        lambda: repo.api("DELETE", "/tags/release%2Fv1"),
        lambda: repo.api("DELETE", "/tags", json={"name": "release/v1"}),
        lambda: repo.v1("DELETE", "/repos/tags", json={"name": "release/v1"}),
    )
    for way in ways:
        assert create(repo, "release/v1").status_code == 200
        reply = way()
        assert (reply.status_code, reply.json()) == (200, {"name": "release/v1", "message": "tag deleted"})
        assert way().status_code == 404
    assert repo.api("DELETE", "/tags/refs%2Ftags%2Fx").status_code == 400
    assert repo.api("DELETE", "/tags").status_code == 400
    assert repo.api("DELETE", "/tags/v1", token=repo.token(scopes=["git:read"])).status_code == 403


def test_policies_apply_to_tags(repo: Repo) -> None:
    repo.write_commit("main", {"a": b"1"})
    create(repo, "v1")
    token = repo.token(refs=[["refs/tags/v1", ["no-force-push"]]])
    assert repo.api("DELETE", "/tags/v1", token=token).status_code == 403
    closed = repo.token(refs=[["refs/tags/*", ["no-push"]]])
    reply = create(repo, "v2", token=closed)
    assert reply.status_code == 403
    assert reply.json()["error"].startswith("denied by policy")
    assert repo.api("DELETE", "/tags/v1", token=closed).status_code == 403
    assert set(tags(repo)) == {"v1"}


def test_of_many_creations_of_a_tag_one_succeeds(repo: Repo) -> None:
    repo.write_commit("main", {"a": b"1"})
    with ThreadPoolExecutor(6) as pool:
        replies = list(pool.map(lambda _: create(repo, "race").status_code, range(6)))
    assert sorted(replies) == [200] + [409] * 5
