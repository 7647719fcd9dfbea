"""The things that every section gets: a folder on the measured disk, servers, prepared requests."""

import base64
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from bench.load import COUNTER_MARK, Job, Outcome, run_load
from tests.support.clients.git import Git
from tests.support.clients.repo import AUTHOR, Org, Repo, ndjson_line
from tests.support.servers.processes import cpu_seconds
from tests.support.servers.server import Server
from tests.support.servers.server_process import ServerOptions


@dataclass
class Context:
    """`quick` asks for runs that only show that the section works. Their figures mean nothing.

    `repos` is the number of repositories for the section that makes many; 0 leaves it to the section.
    """

    folder: Path
    quick: bool = False
    repos: int = 0
    _servers: list[Server] = field(default_factory=list)

    def start_server(self, options: ServerOptions | None = None) -> Server:
        """Start a server with its own data folder. It is stopped at the end of the section."""
        quiet = options or ServerOptions(settings={"log_level": "warning"})
        server = Server(self.folder / f"server{len(self._servers)}", quiet)
        self._servers.append(server)
        return server.start()

    def stop_servers(self) -> None:
        """Stop the servers that the section started."""
        while self._servers:
            self._servers.pop().stop()

    def git(self) -> Git:
        """Return the real git, with a home in the section's folder."""
        return Git(self.folder / "home")

    def seconds(self, full: float) -> float:
        """Return how long to measure."""
        return 0.3 if self.quick else full

    def count(self, full: int) -> int:
        """Return how often to do something."""
        return max(2, full // 50) if self.quick else full


def request_bytes(
    repo: Repo | Org, method: str, target: str, *, token: str, body: bytes = b"", kind: str = ""
) -> bytes:
    """Return one HTTP/1.1 request as it goes over the wire."""
    server = repo.server if isinstance(repo, Org) else repo.org.server
    lines = [f"{method} {target} HTTP/1.1", f"Host: {server.host_port}", f"Authorization: Bearer {token}"]
    if kind:
        lines += [f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def commit_request(
    repo: Repo, path: str, *, token: str, size_bytes: int = 2048, branch: str = "main"
) -> bytes:
    """Return a commit of one file whose bytes differ each time the request is sent."""
    entry = {"path": path, "content_id": "c", "operation": "upsert", "mode": "100644"}
    metadata = {"target_branch": branch, "commit_message": "change", "author": AUTHOR, "files": [entry]}
    # Digits are base64 too, so the counter changes the file without any decoding here.
    rest = base64.b64encode(os.urandom(size_bytes - len(COUNTER_MARK) // 4 * 3)).decode()
    content = COUNTER_MARK.decode() + rest
    chunk = {"blob_chunk": {"content_id": "c", "data": content, "eof": True}}
    body = ndjson_line({"metadata": metadata}) + json.dumps(chunk).encode() + b"\n"
    target = f"/api/repos/{quote(repo.name, safe='')}/commit-pack"
    return request_bytes(repo, "POST", target, token=token, body=body, kind="application/x-ndjson")


def measure(
    server: Server, connections: Iterable[list[bytes]], *, duration_s: float = 0.0, warm_up_s: float = 0.0
) -> Outcome:
    """Send prepared requests from another process. Return the outcome, with the server's processor time."""
    before = cpu_seconds(server.pid)
    outcome = run_load(Job("127.0.0.1", server.port, list(connections), duration_s, warm_up_s))
    outcome.server_cpu_s = cpu_seconds(server.pid) - before
    return outcome


def make_files(count: int, size_bytes: int) -> Mapping[str, bytes]:
    """Return files in a few folders, each of random hex text."""
    return {
        f"src/part{number % 4}/file{number:02}.txt": os.urandom(size_bytes // 2).hex().encode()
        for number in range(count)
    }
