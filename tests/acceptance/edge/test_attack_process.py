"""Harm to the server process itself, and to programs that it needs."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.conftest import StartServer
from tests.support.clients.git import Git
from tests.support.servers import processes
from tests.support.servers.server_process import STOP_TIMEOUT_S, ServerOptions


@pytest.mark.parametrize("workers", [1, 2])
def test_a_closed_terminal_ends_the_server_like_sigterm(start_server: StartServer, workers: int) -> None:
    server = start_server(ServerOptions(workers=workers))
    assert server.process is not None
    server.process.send_signal(signal.SIGHUP)
    assert server.process.wait(STOP_TIMEOUT_S) == 0
    assert not processes.wait_until_gone(server.pid)
    server.process = None


def test_a_push_that_cannot_start_git_leaves_nothing(
    start_server: StartServer, git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    git.run("init", "--quiet", work)
    git.commit(work, {"a": b"1"})
    (tmp_path / "empty").mkdir()
    with monkeypatch.context() as context:
        context.setenv("PATH", str(tmp_path / "empty"))
        server = start_server()
        repo = server.new_org().create_repo()
    pushed = git.try_run("push", repo.remote(), "main", cwd=work)
    assert b"503" in pushed.stderr
    assert not list(server.data.glob("quarantine/*/HEAD"))


def test_a_closed_terminal_does_not_end_a_server_under_nohup(start_server: StartServer) -> None:
    server = start_server(ServerOptions(nohup=True))
    os.kill(server.pid, signal.SIGHUP)
    assert server.process is not None
    with pytest.raises(subprocess.TimeoutExpired):
        server.process.wait(1)
