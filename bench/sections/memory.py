"""Peak memory of the server and its git processes in large transfers."""

import http.client
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pybase64

from bench.context import Context
from bench.memory import PeakMemory
from bench.report import Measure
from tests.support.clients.git import Git
from tests.support.clients.repo import AUTHOR, Repo
from tests.support.servers.server import Server

MIB = 2**20
CHUNK_BYTES = 4 * MIB


def run(context: Context) -> Iterator[Measure]:
    """Measure a push, its clone, and a commit of one large file."""
    git = context.git()
    server = context.start_server()
    org = server.new_org()
    org.create_repo().write_commit("main", {"a": b"1"})  # so that one-time loading does not count as growth
    size_mib = 16 if context.quick else 300
    repo = org.create_repo()
    source = _large_work_tree(git, context.folder / "source", size_mib)
    with PeakMemory(server.pid) as memory:
        begin = time.monotonic()
        git.run("push", "--quiet", repo.remote(), "main", cwd=source, timeout_s=600)
        taken = time.monotonic() - begin
    yield _growth(f"push of {size_mib} MiB in one file", memory, size_mib, taken)
    with PeakMemory(server.pid) as memory:
        begin = time.monotonic()
        git.run("clone", "--quiet", "--bare", repo.remote(), context.folder / "clone", timeout_s=600)
        taken = time.monotonic() - begin
    yield _growth(f"clone of {size_mib} MiB in one file", memory, size_mib, taken)
    commit_mib = 16 if context.quick else 1024
    with PeakMemory(server.pid) as memory:
        begin = time.monotonic()
        _commit_large_file(server, org.create_repo(), commit_mib)
        taken = time.monotonic() - begin
    yield _growth(f"commit-pack of {commit_mib} MiB in one file", memory, commit_mib, taken)


def _growth(name: str, memory: PeakMemory, size_mib: int, taken_s: float) -> Measure:
    note = (
        f"peak {memory.peak / MIB:.0f} MiB of all processes; {taken_s:.1f} s, {size_mib / taken_s:.0f} MiB/s"
    )
    return Measure(f"growth in {name}", memory.growth_mib, "MiB", better="lower", aim=100, note=note)


def _large_work_tree(git: Git, folder: Path, size_mib: int) -> Path:
    git.init(folder)
    git.run("config", "core.compression", "0", cwd=folder)
    with (folder / "large.bin").open("wb") as file:
        for _ in range(size_mib):
            file.write(os.urandom(MIB))
    git.commit(folder, {"small.txt": b"beside it\n"})
    return folder


def _commit_large_file(server: Server, repo: Repo, size_mib: int) -> None:
    """Stream one commit-pack request with one file of random bytes."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=600)
    headers = {"Authorization": f"Bearer {repo.token()}", "Content-Type": "application/x-ndjson"}
    target = f"/api/repos/{quote(repo.name, safe='')}/commit-pack"
    connection.request("POST", target, body=_lines(size_mib), headers=headers, encode_chunked=True)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != 201:
        raise RuntimeError(f"commit-pack answered {answer.status}: {body[:500]!r}")


def _lines(size_mib: int) -> Iterator[bytes]:
    entry = {"path": "large.bin", "content_id": "c", "operation": "upsert", "mode": "100644"}
    metadata = {"target_branch": "main", "commit_message": "Large", "author": AUTHOR, "files": [entry]}
    yield json.dumps({"metadata": metadata}).encode() + b"\n"
    chunks = size_mib * MIB // CHUNK_BYTES
    for number in range(chunks):
        data = pybase64.b64encode(os.urandom(CHUNK_BYTES))
        eof = b"true" if number == chunks - 1 else b"false"
        yield b'{"blob_chunk":{"content_id":"c","data":"' + data + b'","eof":' + eof + b"}}\n"
