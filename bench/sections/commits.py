"""Durable commits of one 2 KB file, over HTTP and in process."""

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from bench.context import Context, commit_request, make_files, measure
from bench.report import Measure
from packhouse.auth.principal import operator_principal
from packhouse.config import load_config
from packhouse.db.orgs import find_org
from packhouse.git.objects.codec import MODE_FILE, Person
from packhouse.git.objects.tree_path import TreePath
from packhouse.git.refname import PERSISTENT, branch_refname
from packhouse.node.node import Node, open_node
from packhouse.operations.commits.add_commit import CommitFacts
from packhouse.operations.commits.commit_target import CommitTarget
from packhouse.operations.commits.start_commit import FileChange, StartCommit, start_commit
from tests.support.builders.upkeep import consolidate
from tests.support.clients.repo import Org, Repo
from tests.support.servers.server import Server
from tests.support.servers.server_process import ServerOptions

CLIENTS = 8
FILES = 1000
SIZE_BYTES = 2048


def run(context: Context) -> Iterator[Measure]:
    """Measure commits in process, then over HTTP with one and with eight clients."""
    server = context.start_server()
    org = server.new_org()
    seconds = context.seconds(8)
    yield Measure("this disk: a 2 KB file written and synced, 1 thread", _syncs(context, seconds / 4), "/s")
    single = _in_process(server, org, threads=1, seconds=seconds)
    yield Measure("in process, 1 thread", single, "/s")
    several = _in_process(server, org, threads=CLIENTS, seconds=seconds)
    yield Measure(f"in process, {CLIENTS} threads, a repository each", several, "/s")
    for workers in (1, 2):
        running = server if workers == 1 else context.start_server(_workers(workers))
        label = "" if workers == 1 else f", --workers {workers}"
        owner = running.new_org()
        yield _over_http(context, running, owner, 1, f"HTTP, 1 connection{label}", ("in process", single))
        yield _over_http(
            context,
            running,
            owner,
            CLIENTS,
            f"HTTP, {CLIENTS} clients, a repository each{label}",
            (f"in process, {CLIENTS} threads", several),
            aim=400,
        )
        yield _one_branch(context, running, owner, f"HTTP, {CLIENTS} clients, all on one branch{label}")


def _syncs(context: Context, seconds: float) -> float:
    """Return how many small files a second this disk makes durable. This bounds all other figures.

    A commit needs four such waits: pack, idx, their folder, SQL.
    """
    folder = context.folder / "syncs"
    folder.mkdir()
    content = os.urandom(SIZE_BYTES)
    begin = time.monotonic()
    count = 0
    while time.monotonic() < begin + seconds:
        with (folder / str(count)).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        count += 1
    return count / (time.monotonic() - begin)


def _workers(number: int) -> ServerOptions:
    return ServerOptions(workers=number, settings={"log_level": "warning"})


def _seeded_repo(org: Org) -> Repo:
    repo = org.create_repo()
    repo.write_commit("main", make_files(FILES, 64))
    return repo


def _over_http(
    context: Context,
    server: Server,
    org: Org,
    clients: int,
    name: str,
    baseline: tuple[str, float],
    aim: float | None = None,
) -> Measure:
    repos = [_seeded_repo(org) for _ in range(clients)]
    requests = [[commit_request(repo, "src/part0/new.txt", token=repo.token())] for repo in repos]
    outcome = measure(server, requests, duration_s=context.seconds(8), warm_up_s=context.seconds(1))
    return Measure(name, outcome.rate(201), "/s", aim=aim, baseline=baseline, note=outcome.note())


def _one_branch(context: Context, server: Server, org: Org, name: str) -> Measure:
    repo = _seeded_repo(org)
    token = repo.token()
    requests = [[commit_request(repo, f"src/part0/new{n}.txt", token=token)] for n in range(CLIENTS)]
    outcome = measure(server, requests, duration_s=context.seconds(8), warm_up_s=context.seconds(1))
    return Measure(name, outcome.rate(201), "/s", note=outcome.note())


def _in_process(server: Server, org: Org, *, threads: int, seconds: float) -> float:
    """Return commits a second of the operation alone, without HTTP, tokens and JSON."""
    repos = [_seeded_repo(org) for _ in range(threads)]
    node = open_node(load_config({"data": server.data}, {}))
    ended = threading.Event()
    keeper = threading.Thread(target=_keep_packs_few, args=(node, ended))
    keeper.start()
    try:
        begin = time.monotonic()
        with ThreadPoolExecutor(threads) as pool:
            counts = list(pool.map(lambda repo: _commit_until(node, org, repo, begin + seconds), repos))
        return sum(counts) / (time.monotonic() - begin)
    finally:
        ended.set()
        keeper.join()
        node.close()


def _keep_packs_few(node: Node, ended: threading.Event) -> None:
    """Do the server's background work."""
    while not ended.is_set():
        repo_id = node.maintenance.get(timeout_s=0.1)
        if repo_id is not None:
            consolidate(node, repo_id)


def _commit_until(node: Node, org: Org, repo: Repo, deadline: float) -> int:
    with node.database.read() as session:
        owner = find_org(session, org.name)
        assert owner is not None
    caller = operator_principal(owner.id, owner.name)
    person = Person("Ada", "ada@example.test", int(time.time()), "+0000")
    facts = CommitFacts(b"change\n", person, person)
    target = CommitTarget(PERSISTENT, branch_refname("main"))
    count = 0
    while time.monotonic() < deadline:
        change = FileChange(TreePath(b"src/part0/new.txt"), "c", MODE_FILE)
        with start_commit(node, caller, StartCommit(repo.name, target, facts, [change])) as commit:
            commit.add_chunk("c", os.urandom(SIZE_BYTES), eof=True)
            commit.commit()
        count += 1
    return count
