"""Remote addresses as people and tools write them, with the real git."""

from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.clients.git import Git
from tests.support.clients.repo import Repo


def address(repo: Repo, login: str, path: str) -> str:
    scheme, _, rest = repo.org.server.url.partition("://")
    return f"{scheme}://{login}@{rest}{path}"


def answer_with(folder: Path, password: str) -> dict[str, str]:
    """Return an environment in which git gets this password when it asks for one."""
    program = folder / "askpass"
    program.write_text(f"#!/bin/sh\necho '{password}'\n")
    program.chmod(0o755)
    return {"GIT_ASKPASS": str(program)}


def check_clone_and_push(git: Git, url: str, folder: Path, env: dict[str, str] | None = None) -> None:
    git.run("clone", "--quiet", url, folder, env=env)
    pushed = git.commit(folder, {"a": b"1"})
    git.run("push", "--quiet", "origin", "HEAD:main", cwd=folder, env=env)
    assert git.run("ls-remote", url, "refs/heads/main", env=env).split()[0] == pushed


@pytest.mark.parametrize("login", ["{token}:x-oauth-basic", "{token}:"])
def test_a_token_may_be_the_user_of_an_address(git: Git, repo: Repo, tmp_path: Path, login: str) -> None:
    url = address(repo, login.format(token=repo.token()), f"/{quote(repo.name)}.git")
    check_clone_and_push(git, url, tmp_path / "work")


@pytest.mark.parametrize("password", ["", "x-oauth-basic"])
def test_a_token_may_be_the_user_when_git_asks_for_the_password(
    git: Git, repo: Repo, tmp_path: Path, password: str
) -> None:
    url = address(repo, repo.token(), f"/{quote(repo.name)}.git")
    check_clone_and_push(git, url, tmp_path / "work", answer_with(tmp_path, password))


@pytest.mark.parametrize("form", ["/{0}//{1}.git", "//{0}///{1}.git/", "/{0}//{1}", "/{0}//{1}.git//"])
def test_repeated_slashes_in_an_address_count_as_one(git: Git, repo: Repo, tmp_path: Path, form: str) -> None:
    url = address(repo, f"t:{repo.token()}", form.format(*repo.name.split("/")))
    check_clone_and_push(git, url, tmp_path / "work")


@pytest.mark.parametrize("suffix", ["+ephemeral", "+import"])
def test_repeated_slashes_count_as_one_in_the_special_remotes(
    git: Git, repo: Repo, tmp_path: Path, suffix: str
) -> None:
    work = git.init(tmp_path / "work")
    pushed = git.commit(work, {"a": b"1"})
    path = f"//{repo.name.replace('/', '//')}{suffix}.git//"
    git.run("push", "--quiet", address(repo, f"t:{repo.token()}", path), "main", cwd=work)
    seen = git.ls_remote(repo.remote("+ephemeral" if suffix == "+ephemeral" else ""))
    assert seen["refs/heads/main"] == pushed


def test_lfs_paths_with_repeated_slashes_are_lfs_paths(repo: Repo) -> None:
    server = repo.org.server
    for path in (
        f"/{repo.name.replace('/', '//')}.git//info/lfs//objects/batch",
        f"/{repo.name}.git/info//lfs/locks",
    ):
        reply = server.http.post(server.url + path, json={})
        assert (reply.status_code, reply.json()["error"]) == (404, "git LFS is not served")


def test_an_empty_segment_still_names_nothing_in_the_api(repo: Repo) -> None:
    server = repo.org.server
    headers = {"Authorization": f"Bearer {repo.token()}"}
    for path in ("/api//repos", "/api/repos//branches", f"/api/repos/{quote(repo.name, safe='')}//branches"):
        reply = server.http.get(server.url + path, headers=headers)
        assert (reply.status_code, reply.json()["error"]) == (404, "no such path")
