"""The clean-up of many deleted repositories, and the latency of commits and jobs meanwhile."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from bench.context import Context
from bench.report import Measure, percentiles
from packhouse import limits
from packhouse.auth import Principal
from packhouse.config import Config
from packhouse.db import insert_job
from packhouse.jobs.lease_loop import LeaseLoop
from packhouse.jobs.task import Job, Task
from packhouse.jobs.tasks import TASKS
from packhouse.jobs.worker import Worker
from packhouse.node import Node, open_node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.jobs.list_jobs import ListJobs, list_jobs
from packhouse.operations.removal.delete_repos import DeleteRepos, delete_repos
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.operations.tenants.act_as_operator import ActAsOperator, act_as_operator
from packhouse.operations.tenants.create_org import CreateOrg, create_org
from tests.support.builders.node_writes import put_commit

REPOS = 100_000
WITH_A_PACK = 20  # one in so many repositories has a commit, and so a folder
MAKERS = 8


@dataclass
class _Work:
    """The latencies of a writer that commits to one repository all the time, and of jobs that others queue."""

    node: Node
    caller: Principal
    stopping: threading.Event = field(default_factory=threading.Event)
    commits_s: list[float] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)

    def commit(self) -> None:
        """Commit until told to stop."""
        repo = lookup_repo(self.node, self.caller, "kept")
        while not self.stopping.is_set():
            begin = time.perf_counter()
            put_commit(self.node, self.caller, repo)
            self.commits_s.append(time.perf_counter() - begin)
            time.sleep(0.01)

    def queue(self) -> None:
        """Queue a job of another kind twice in a second until told to stop."""
        number = 0
        while not self.stopping.wait(0.5):
            number += 1
            now = self.node.clock()
            payload = f'{{"queued_at": {time.perf_counter()}}}'
            with self.node.database.write() as session:
                insert_job(session, "probe", str(number), payload=payload, run_at=now, now=now)
            self.node.wakeups.notify()

    def probe(self, _node: Node, job: Job) -> None:
        """Run such a job."""
        self.waits_s.append(time.perf_counter() - job.payload["queued_at"])


def run(context: Context) -> Iterator[Measure]:
    """Make and delete repositories, then measure their clean-up with the jobs of one process."""
    node = open_node(Config(data=context.folder / "data", log_level="warning"))
    try:
        create_org(node, CreateOrg("bench"))
        caller = act_as_operator(node, ActAsOperator("bench"))
        yield from _measure(node, caller, context.count(REPOS))
    finally:
        node.close()


def _longest_commit(name: str, work: _Work) -> Measure:
    return Measure(name, max(work.commits_s) * 1000, "ms", "lower", note=percentiles(work.commits_s))


def _measure(node: Node, caller: Principal, count: int) -> Iterator[Measure]:
    create_repo(node, caller, CreateRepo("kept"))
    with ThreadPoolExecutor(MAKERS) as makers:
        list(makers.map(lambda number: _make(node, caller, number), range(count)))
    begin = time.perf_counter()
    while delete_repos(node, caller, DeleteRepos("ci/")).has_more:
        pass
    yield Measure("deleted by prefix", count / (time.perf_counter() - begin), "/s")
    alone = _Work(node, caller)
    _run_beside(lambda: time.sleep(min(5.0, count / 1000)), alone.commit, stopping=alone.stopping)
    yield _longest_commit("longest commit without clean-ups", alone)
    late = node.clock() + limits.deleted_repo_keep_s + 1
    node.clock = lambda: late
    beside = _Work(node, caller)
    begin = time.perf_counter()
    _run_beside(lambda: _clean(node, beside), beside.commit, beside.queue, stopping=beside.stopping)
    yield Measure("cleaned up", count / (time.perf_counter() - begin), "/s")
    yield _longest_commit("longest commit beside them", beside)
    yield Measure(
        "longest wait of another job",
        max(beside.waits_s, default=0.0),
        "s",
        "lower",
        aim=1.0,
        note=percentiles(beside.waits_s),
    )


def _make(node: Node, caller: Principal, number: int) -> None:
    name = f"ci/{number}"
    create_repo(node, caller, CreateRepo(name))
    if number % WITH_A_PACK == 0:
        put_commit(node, caller, lookup_repo(node, caller, name))


def _run_beside(action: Callable[[], None], *loops: Callable[[], None], stopping: threading.Event) -> None:
    """Run `action` while each loop runs in a thread of its own."""
    threads = [threading.Thread(target=loop) for loop in loops]
    for thread in threads:
        thread.start()
    try:
        action()
    finally:
        stopping.set()
        for thread in threads:
            thread.join()


def _clean(node: Node, work: _Work) -> None:
    """Run jobs until no clean-up waits."""
    stopping = threading.Event()
    worker = Worker(node, {**TASKS, "probe": Task(work.probe)}, stopping)
    loop = threading.Thread(target=LeaseLoop(node, worker, stopping).run)
    loop.start()
    while _is_any_left(node):
        time.sleep(0.2)
    stopping.set()
    loop.join()


def _is_any_left(node: Node) -> bool:
    return any(job.kind == "clean_repo" for job in list_jobs(node, ListJobs()))
