"""Timing one request against one git command, taking turns."""

import http.client
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.support.clients.git import Git
from tests.support.clients.repo import Repo


def timed_request(
    repo: Repo, method: str, target: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> tuple[float, int]:
    """Send one request on a new connection. Return the seconds until its last byte and the size of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", repo.org.server.port, timeout=600)
    allowed = {"Authorization": f"Bearer {repo.token()}", **(headers or {})}
    begin = time.perf_counter()
    connection.request(method, target, body=body or None, headers=allowed)
    answer = connection.getresponse()
    size = 0
    start = b""
    while piece := answer.read(1 << 20):
        size += len(piece)
        start = start or piece[:500]
    taken = time.perf_counter() - begin
    connection.close()
    if answer.status >= 300:
        raise RuntimeError(f"{method} {target} answered {answer.status}: {start!r}")
    return taken, size


def timed_git(git: Git, folder: Path, *args: str) -> float:
    """Run git, discard its output, and return the seconds."""
    begin = time.perf_counter()
    subprocess.run(["git", *args], cwd=folder, env=git.env, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begin


def take_turns(rounds: int, *actions: Callable[[], float]) -> Sequence[float]:
    """Run each action `rounds` times in turn. Return the median of each."""
    taken: list[list[float]] = [[] for _ in actions]
    for _ in range(rounds):
        for times, action in zip(taken, actions, strict=True):
            times.append(action())
    return [statistics.median(times) for times in taken]
