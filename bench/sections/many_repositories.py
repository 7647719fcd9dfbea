"""Many repositories with two commits each: their cost on the disk and in memory, and what they slow down."""

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from bench.context import Context, commit_request, measure, request_bytes
from bench.load import Outcome
from bench.report import Measure
from tests.support.clients.repo import Org, Repo
from tests.support.servers.processes import resident_bytes
from tests.support.servers.server import Server
from tests.support.servers.server_process import ServerOptions

CLIENTS = 8
REPOS = 2000
COMMITS = 2
COMMIT_BYTES = 1536
STEPS = 10
WARM_REPOS = 1000
"""The number of repositories after which memory should no longer grow."""

READ_SHARE = 5
"""One of so many repositories is read."""

MIB = 2**20


def run(context: Context) -> Iterator[Measure]:
    """Make the repositories in ten steps, and compare the first step with the last one. Then start the server anew."""
    total = context.repos or context.count(REPOS)
    server = context.start_server(ServerOptions(settings={"log_level": "warning"}))
    org = server.new_org()
    steps = []
    warm_bytes = 0
    count = 2 if context.quick else STEPS
    for number in range(count):
        first, end = total * number // count, total * (number + 1) // count
        steps.append(_Step(server, org, range(first, end)))
        if not warm_bytes and end >= min(WARM_REPOS, total):
            warm_bytes = resident_bytes(server.pid)
    yield from _compare(steps, total)
    grown = (resident_bytes(server.pid) - warm_bytes) / MIB
    note = f"{warm_bytes / MIB:.0f} MiB after {min(WARM_REPOS, total):,}"
    yield Measure(f"growth of memory to {total:,} repositories", grown, "MiB", better="lower", note=note)
    starts = sorted(_restart_s(server) for _ in range(3))
    yield Measure("start to the first answer, of three", starts[1], "s", better="lower", aim=2)
    server.terminate()
    allocated, inodes = _measure_folder(server.data)
    yield Measure("on the disk for each repository", allocated / total / 1024, "KiB", better="lower")
    yield Measure("inodes for each repository", inodes / total, "", better="lower")


class _Step:
    """A tenth of the repositories: created, written to, then read."""

    def __init__(self, server: Server, org: Org, numbers: Sequence[int]) -> None:
        repos = [org.repo(f"many/{number:06}") for number in numbers]
        tokens = {repo.name: repo.token() for repo in repos}
        self.created = self._send(server, [[_create_request(repo, tokens[repo.name])] for repo in repos])
        self.committed = self._send(
            server,
            [
                [
                    commit_request(repo, f"file{n}.txt", token=tokens[repo.name], size_bytes=COMMIT_BYTES)
                    for n in range(COMMITS)
                ]
                for repo in repos
            ],
        )
        self.read = self._send(
            server, [[_read_request(repo, tokens[repo.name])] for repo in repos[::READ_SHARE]], status=200
        )

    def _send(self, server: Server, requests: Sequence[list[bytes]], *, status: int = 201) -> Outcome:
        """Send the requests of each repository in order, and those of different repositories at once."""
        clients = [[request for group in requests[n::CLIENTS] for request in group] for n in range(CLIENTS)]
        outcome = measure(server, [client for client in clients if client])
        outcome.rate(status)
        return outcome


def _compare(steps: Sequence[_Step], total: int) -> Iterator[Measure]:
    """Yield the rates of the first and of the last step."""
    first, last = steps[0], steps[-1]
    for name, early, late, status in (
        ("repositories created", first.created, last.created, 201),
        ("commits to new repositories", first.committed, last.committed, 201),
        ("reads", first.read, last.read, 200),
    ):
        yield Measure(f"{name}, first tenth", early.rate(status), "/s", note=early.note())
        yield Measure(
            f"{name}, last tenth of {total:,}",
            late.rate(status),
            "/s",
            baseline=("first", early.rate(status)),
            note=late.note(),
        )


def _path(repo: Repo) -> str:
    return f"/api/repos/{quote(repo.name, safe='')}"


def _create_request(repo: Repo, token: str) -> bytes:
    body = b'{"default_branch":"main"}'
    return request_bytes(repo, "POST", "/api/v1/repos", token=token, body=body, kind="application/json")


def _read_request(repo: Repo, token: str) -> bytes:
    return request_bytes(repo, "GET", f"{_path(repo)}/file?path=file0.txt", token=token)


def _restart_s(server: Server) -> float:
    server.terminate()
    begun = time.monotonic()
    server.start()
    return time.monotonic() - begun


def _measure_folder(folder: Path) -> tuple[int, int]:
    """Return the bytes that the file system allocates for a folder, and its inodes. Hard links count once."""
    seen: dict[int, int] = {}
    for parent, _folders, names in os.walk(folder):
        for path in (parent, *(os.path.join(parent, name) for name in names)):
            if not path.endswith(("-wal", "-shm")):
                state = os.lstat(path)
                seen[state.st_ino] = 512 * state.st_blocks
    return sum(seen.values()), len(seen)
