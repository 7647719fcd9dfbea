"""Tags over HTTP: peeled ids, pages in the order of names, bad input."""

from pathlib import Path

import pytest

from tests.support.clients.git import Git
from tests.support.clients.repo import Repo


def push_tags(repo: Repo, git: Git, work: Path, names: list[str]) -> str:
    """Push one commit with lightweight tags; return its id."""
    git.init(work)
    commit = git.commit(work, {"a": b"1\n"})
    for name in names:
        git.run("tag", name, cwd=work)
    git.run("push", "--quiet", "--tags", repo.remote(), "HEAD:main", cwd=work)
    return commit


def test_a_tag_is_shown_with_the_commit_it_leads_to(repo: Repo, git: Git, tmp_path: Path) -> None:
    work = tmp_path / "w"
    commit = push_tags(repo, git, work, ["light"])
    git.run("tag", "-a", "-m", "x", "release/v1", cwd=work)
    git.run("tag", "-a", "-m", "x", "nested", "release/v1", cwd=work)
    git.run("push", "--quiet", "--tags", repo.remote(), cwd=work)
    expected = [{"cursor": name, "name": name, "sha": commit} for name in ("light", "nested", "release/v1")]
    for reply in (repo.api("GET", "/tags"), repo.v1("GET", "/repos/tags")):
        assert reply.status_code == 200
        assert reply.json() == {"tags": expected, "has_more": False}
    for reply in (
        repo.api("GET", "/tag", params={"name": "release/v1"}),
        repo.v1("GET", "/repos/tag", params={"name": "release/v1"}),
    ):
        assert reply.json() == {"tag": {"name": "release/v1", "sha": commit}}


@pytest.mark.parametrize("server", ["sqlite", "postgres"], indirect=True)
def test_pages_of_tags_are_sorted_by_the_bytes_of_the_names(repo: Repo, git: Git, tmp_path: Path) -> None:
    names = ["B", "a", "a-b", "a0", "b/c", "v1.0", "v1.10", "v1.9", "é", "日本", "\U0001f600"]
    push_tags(repo, git, tmp_path / "w", names)
    seen: list[str] = []
    query = {"limit": "2"}
    while True:
        body = repo.api("GET", "/tags", params=query).json()
        seen += [tag["name"] for tag in body["tags"]]
        if not body["has_more"]:
            assert "next_cursor" not in body
            break
        assert body["next_cursor"] == body["tags"][-1]["cursor"]
        query["cursor"] = body["next_cursor"]
    assert seen == sorted(names, key=str.encode)


def test_a_repository_without_tags_lists_none(repo: Repo) -> None:
    assert repo.api("GET", "/tags").json() == {"tags": [], "has_more": False}


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("/tags", {"limit": "-1"}, 400),
        ("/tags", {"limit": "x"}, 400),
        ("/tags", {"cursor": "a..b"}, 400),
        ("/tags", {"cursor": "a\0"}, 400),
        ("/tags", {"cursor": "x" * 5000}, 400),
        ("/tag", {}, 400),
        ("/tag", {"name": " "}, 400),
        ("/tag", {"name": "refs/tags/v1"}, 400),
        ("/tag", {"name": "--output=x"}, 404),  # an older release took such a name
        ("/tag", {"name": "a\0b"}, 400),
        ("/tag", {"name": "../x"}, 400),
        ("/tag", {"name": "x" * 5000}, 400),
        ("/tag", {"name": "absent"}, 404),
    ],
)
def test_bad_parameters_of_tags_are_refused(
    repo: Repo, path: str, query: dict[str, str], status: int
) -> None:
    reply = repo.api("GET", path, params=query)
    assert reply.status_code == status, reply.text
    assert reply.json()["error"]
