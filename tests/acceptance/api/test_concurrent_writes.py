"""Many clients write to the same refs at once: the history of each ref is one line of acknowledged moves."""

import random
import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.clients.git import Git
from tests.support.clients.repo import Repo

ZEROS = "0" * 40
CLIENTS = 8
SECONDS = 4.0
BRANCHES = ("main", "work/0", "work/1")


@dataclass
class Record:
    """The moves that clients were told are done, by ref."""

    moves: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    guard: threading.Lock = field(default_factory=threading.Lock)
    statuses: set[int] = field(default_factory=set)

    def note(self, branch: str, old: str, new: str) -> None:
        with self.guard:
            self.moves[f"refs/heads/{branch}"].append((old, new))


def commit(repo: Repo, rng: random.Random, record: Record, number: int) -> None:
    branch = rng.choice(BRANCHES)
    fields: dict[str, Any] = {}
    if branch != "main":
        fields["base_branch"] = "main"
    if rng.random() < 0.4:
        tip = repo.branches().get(branch)
        if tip is None:
            return
        fields["expected_target_sha"] = tip
    reply = repo.post_commit(branch, {f"f{rng.randrange(20)}": b"%d" % number}, message=str(number), **fields)
    record.statuses.add(reply.status_code)
    if reply.status_code == 201:
        result = reply.json()["result"]
        record.note(branch, result["old_sha"], result["new_sha"])
    else:
        assert reply.status_code in (404, 409), reply.text


def delete(repo: Repo, rng: random.Random, record: Record) -> None:
    branch = rng.choice(BRANCHES[1:])
    reply = repo.api("DELETE", "/branches", json={"name": branch})
    assert reply.status_code in (200, 404), reply.text
    if reply.status_code == 200:
        record.note(branch, "?", ZEROS)


def push(repo: Repo, git: Git, work: Path, rng: random.Random, record: Record) -> None:
    """Push a commit on top of a recent tip of main. The push may come too late."""
    here = ("-C", str(work))
    tip = repo.branches()["main"]
    git.run(*here, "fetch", "--quiet", repo.remote(), tip)
    tree = git.run(*here, "rev-parse", f"{tip}^{{tree}}").strip()
    made = git.run(*here, "commit-tree", "-p", tip, "-m", str(rng.random()), tree).strip()
    pushed = git.try_run(*here, "push", "--quiet", repo.remote(), f"{made}:refs/heads/main")
    if pushed.returncode == 0:
        record.note("main", "?", made)


def run_client(repo: Repo, git: Git, work: Path, number: int, record: Record, until: float) -> None:
    rng = random.Random(number)
    while time.monotonic() < until:
        kind = rng.random()
        if kind < 0.8 or (number >= 2 and kind >= 0.9):
            commit(repo, rng, record, rng.randrange(10**9))
        elif kind < 0.9:
            delete(repo, rng, record)
        else:
            push(repo, git, work, rng, record)


def read_log(repo: Repo) -> dict[str, list[tuple[str, str]]]:
    """Return the ref log, oldest first, by ref."""
    entries: list[dict[str, Any]] = []
    query: dict[str, str] = {"limit": "100"}
    while True:
        page = repo.api("GET", "/ref-log", params=query).json()
        entries += page["entries"]
        if not page["has_more"]:
            break
        query["cursor"] = page["next_cursor"]
    log: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for entry in reversed(entries):
        log[entry["ref"]].append((entry["old_sha"], entry["new_sha"]))
    return log


@pytest.mark.parametrize("server", ["sqlite", "workers", "postgres"], indirect=True)
def test_each_ref_has_one_history_made_of_acknowledged_writes(repo: Repo, git: Git, tmp_path: Path) -> None:
    record = Record()
    first = repo.write_commit("main", {"start": b"0"})
    record.note("main", ZEROS, first)
    works = [git.init(tmp_path / f"work{number}") for number in range(CLIENTS)]
    until = time.monotonic() + SECONDS
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [
            pool.submit(run_client, repo, git, works[number], number, record, until)
            for number in range(CLIENTS)
        ]
        for client in clients:
            client.result()
    log = read_log(repo)
    assert set(log) == set(record.moves)
    for ref, moves in log.items():
        values = [ZEROS, *(new for _old, new in moves)]
        assert [old for old, _new in moves] == values[:-1], (
            f"{ref}: a move does not start where the last ended"
        )
        acknowledged = record.moves[ref]
        assert sorted(new for _old, new in moves) == sorted(new for _old, new in acknowledged), ref
        assert set(moves) >= {move for move in acknowledged if move[0] != "?"}, ref
    tips = {f"refs/heads/{name}": tip for name, tip in repo.branches().items()}
    assert tips == {ref: moves[-1][1] for ref, moves in log.items() if moves[-1][1] != ZEROS}
    assert len(log["refs/heads/main"]) > CLIENTS
