"""Merges and patch commits over HTTP: one client, then eight on one branch and on a branch each."""

import base64
import json
from collections.abc import Iterator
from urllib.parse import quote

from bench.context import Context, make_files, measure, request_bytes
from bench.report import Measure
from tests.support.clients.repo import AUTHOR, Org, Repo, ndjson_line

CLIENTS = 8
FILES = 1000


def run(context: Context) -> Iterator[Measure]:
    """Measure merges, then patch commits. Each request is sent once, because it can succeed only once."""
    server = context.start_server()
    org = server.new_org()
    for what, count, prepare in (
        ("merge commits", context.count(100), _merge_requests),
        ("patch commits", context.count(200), _patch_requests),
    ):
        for clients, branches in ((1, 1), (CLIENTS, 1), (CLIENTS, CLIENTS)):
            repo = _seeded_repo(org, branches)
            requests = prepare(repo, clients, branches, max(1, count // clients))
            outcome = measure(server, requests)
            where = "one branch" if branches == 1 else "a branch each"
            name = f"{what}, {clients} client{'s' if clients > 1 else ''}, {where}"
            yield Measure(name, outcome.rate(200, 201), "/s", note=outcome.note())


def _seeded_repo(org: Org, branches: int) -> Repo:
    repo = org.create_repo()
    repo.write_commit("main", make_files(FILES, 64))
    for number in range(branches):
        _create_branch(repo, f"target{number}")
    return repo


def _create_branch(repo: Repo, name: str) -> None:
    reply = repo.api("POST", "/branches/create", json={"target_branch": name, "base_ref": "main"})
    assert reply.status_code == 200, reply.text


def _merge_requests(repo: Repo, clients: int, branches: int, count: int) -> list[list[bytes]]:
    """Return merges of branches that each add a file of their own, so that no two conflict."""
    token = repo.token()
    requests = []
    for client in range(clients):
        mine = []
        for number in range(count):
            source = f"source{client}-{number}"
            repo.write_commit(source, {f"src/part0/{source}.txt": b"new\n"}, base_branch="main")
            body = {
                "source_ref": source,
                "target_branch": f"target{client % branches}",
                "strategy": "merge",
                "author": AUTHOR,
            }
            target = f"/api/repos/{quote(repo.name, safe='')}/merge"
            mine.append(
                request_bytes(
                    repo,
                    "POST",
                    target,
                    token=token,
                    body=json.dumps(body).encode(),
                    kind="application/json",
                )
            )
        requests.append(mine)
    return requests


def _patch_requests(repo: Repo, clients: int, branches: int, count: int) -> list[list[bytes]]:
    token = repo.token()
    return [
        [_patch_request(repo, token, client, client % branches, number) for number in range(count)]
        for client in range(clients)
    ]


def _patch_request(repo: Repo, token: str, client: int, branch: int, number: int) -> bytes:
    """Return a patch that adds a file of its own."""
    path = f"src/part0/patch{client}-{number}.txt"
    lines = "".join(f"+line {line}\n" for line in range(20))
    head = f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n"
    patch = f"{head}@@ -0,0 +1,20 @@\n{lines}"
    metadata = {"target_branch": f"target{branch}", "commit_message": "change", "author": AUTHOR}
    chunk = {"diff_chunk": {"data": base64.b64encode(patch.encode()).decode(), "eof": True}}
    body = ndjson_line({"metadata": metadata}) + ndjson_line(chunk)
    target = f"/api/repos/{quote(repo.name, safe='')}/diff-commit"
    return request_bytes(repo, "POST", target, token=token, body=body, kind="application/x-ndjson")
