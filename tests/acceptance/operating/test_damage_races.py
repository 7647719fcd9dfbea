"""An idx is lost just before git reads it. No answer is made of what git says then."""

import shutil
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.conftest import StartServer
from tests.support.clients.git import Git
from tests.support.clients.repo import Repo
from tests.support.damage import find_pack
from tests.support.servers.server import Server
from tests.support.servers.server_process import STORED, ServerOptions

CALLS: dict[str, tuple[str, Callable[[Repo], httpx.Response]]] = {
    "commits": ("rev-list", lambda repo: repo.api("GET", "/commits")),
    "diff": ("diff-tree", lambda repo: repo.api("GET", "/diff", params={"ref": "main"})),
    "branch diff": (
        "merge-base",
        lambda repo: repo.api("GET", "/branches/diff", params={"branch": "main", "base": "side"}),
    ),
    "blame": ("blame", lambda repo: repo.api("GET", "/blame", params={"path": "a.txt"})),
    "grep": ("grep", lambda repo: repo.api("POST", "/grep", json={"query": {"pattern": "line"}})),
    "merge preview": (
        "merge-tree",
        lambda repo: repo.api(
            "GET", "/merge/preview", params={"source_branch": "side", "target_branch": "main"}
        ),
    ),
    "metadata": ("ls-tree", lambda repo: repo.api("GET", "/files/metadata")),
}


class Thief:
    """A program in place of git. It removes an idx, once, with its links, when the server runs a certain command."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        self._order = folder / "order"
        git = self.bin / "git"
        git.write_text(
            "#!/bin/sh\n"
            f'if [ -f "{self._order}" ] && [ "$1" = "$(head -n 1 "{self._order}")" ]; then\n'
            f'  idx=$(tail -n 1 "{self._order}"); rm -f "{self._order}" "$idx"\n'
            '  name=$(basename "$idx"); rm -f "${idx%%/repos/*}"/views/*/*/pack/"$name"\n'
            "fi\n"
            f'exec {shutil.which("git")} "$@"\n'
        )
        git.chmod(0o755)

    def order(self, command: str, idx: Path) -> None:
        """Remove `idx` before the next `git <command>`."""
        self._order.write_text(f"{command}\n{idx}\n")

    @property
    def has_struck(self) -> bool:
        """Tell whether the idx was removed."""
        return not self._order.exists()


@pytest.fixture
def thief(tmp_path: Path) -> Thief:
    return Thief(tmp_path)


@pytest.fixture
def server(start_server: StartServer, thief: Thief, monkeypatch: pytest.MonkeyPatch) -> Server:
    with monkeypatch.context() as patched:
        patched.setenv("PATH", str(thief.bin), prepend=":")
        return start_server(ServerOptions(settings=STORED))


def fill_repo(server: Server, name: str) -> tuple[Repo, Path]:
    """Make a history whose first commit has a pack of its own; return the idx of that pack."""
    repo = server.shared_org().create_repo(name)
    first = repo.write_commit("main", {"a.txt": b"line one\n", "b.txt": b"line b\n", "dir/c": b"line c\n"})
    repo.write_commit("side", {"side.txt": b"line side\n"}, base_branch="main")
    repo.write_commit("main", {"a.txt": b"line one\nline two\n"})
    repo.write_commit("main", {"a.txt": b"line one\nline two\nline three\n"})
    return repo, find_pack(repo, first).with_suffix(".idx")


@pytest.mark.parametrize("name", CALLS)
def test_an_answer_is_complete_when_an_idx_is_lost_before_git_reads(
    server: Server, thief: Thief, name: str
) -> None:
    command, call = CALLS[name]
    expected = call(fill_repo(server, "whole")[0])
    assert expected.status_code == 200
    repo, idx = fill_repo(server, "robbed")
    thief.order(command, idx)
    first = call(repo)
    assert thief.has_struck, "the call runs another command"
    is_repeated = first.request.method == "GET"  # a POST may have used its body up
    assert first.status_code in ((200,) if is_repeated else (200, 503)), first.text
    second = call(repo)
    assert second.status_code == 200
    if first.status_code == 200:
        assert first.json() == second.json()
    else:
        assert "please retry" in first.json()["error"]
    assert idx.exists()
    assert server.http.get(f"{server.url}/readyz?verbose").json() == {"status": "ok", "damage": []}


def test_a_push_is_not_called_wrong_when_an_idx_is_lost_before_git_reads(
    server: Server, thief: Thief, git: Git, tmp_path: Path
) -> None:
    repo, idx = fill_repo(server, "pushed")
    work = git.clone(repo.remote(), tmp_path / "work")
    git.commit(work, {"a.txt": b"line one\nline two\nline three\nline four\n"})
    thief.order("rev-list", idx)
    pushed = git.try_run("push", "origin", "HEAD:main", cwd=work)
    assert thief.has_struck
    assert b"missing necessary" not in pushed.stderr
    git.run("push", "origin", "HEAD:main", cwd=work)
    assert repo.branches()["main"] == git.run("rev-parse", "HEAD", cwd=work)
