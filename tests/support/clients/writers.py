"""Writers of refs, each in its own process, like another server on the same database."""

import os
import threading
import time
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.queues import Queue

from packhouse.db.engines.database import Database, open_database
from packhouse.db.ref_transaction import RefMismatch
from packhouse.db.refs import get_ref
from packhouse.git.refname import PERSISTENT, RefName
from packhouse.ids import RepoKey
from tests.support.builders.rows import apply, branch_update, oid

SPAWN = get_context("spawn")  # like `packhouse serve --workers`; a fork would share our threads' locks
JOIN_MAX_S = 120


@dataclass(frozen=True)
class Share:
    """The result of one writing thread: its acknowledged values."""

    values: list[str]


def run_writers(url: str, repo_id: RepoKey, *, processes: int, threads: int, run_s: float) -> list[Share]:
    """Let all write to one branch for `run_s` seconds, starting together. Return the share of each thread."""
    answers: Queue[Share] = SPAWN.Queue()
    ready = SPAWN.Barrier(processes)
    workers = [
        SPAWN.Process(target=_write_in_process, args=(url, repo_id, threads, run_s, ready, answers))
        for _ in range(processes)
    ]
    for worker in workers:
        worker.start()
    shares = [answers.get(timeout=JOIN_MAX_S) for _ in range(processes * threads)]
    for worker in workers:
        worker.join(JOIN_MAX_S)
        assert worker.exitcode == 0
    return shares


def _write_in_process(
    url: str,
    repo_id: RepoKey,
    threads: int,
    run_s: float,
    ready: "threading.Barrier",
    answers: "Queue[Share]",
) -> None:
    database = open_database(url)
    database.check()
    ready.wait(JOIN_MAX_S)
    stop_at = time.monotonic() + run_s
    pool = [
        threading.Thread(target=lambda: answers.put(_write_until(database, repo_id, stop_at)))
        for _ in range(threads)
    ]
    for thread in pool:
        thread.start()
    for thread in pool:
        thread.join()
    database.close()


def _write_until(database: Database, repo_id: RepoKey, stop_at: float) -> Share:
    values: list[str] = []
    while time.monotonic() < stop_at:
        values.append(move_on(database, repo_id))
    return Share(values)


def move_on(database: Database, repo_id: RepoKey) -> str:
    """Move branch `shared` to a new value. Retry until no other writer was faster. Return the value."""
    value = oid((os.getpid(), threading.get_ident(), time.monotonic_ns()))
    refname = RefName(b"refs/heads/shared")
    while True:
        with database.read() as session:
            ref = get_ref(session, repo_id, PERSISTENT, refname)
        try:
            apply(database, repo_id, branch_update("shared", None if ref is None else ref.oid, value))
        except RefMismatch:
            continue
        return value


def write_and_tell(url: str, repo_id: RepoKey, told: "Connection[str, str]") -> None:
    """Move the branch for ever. Send each acknowledged value through `told`."""
    database = open_database(url)
    while True:
        told.send(move_on(database, repo_id))
