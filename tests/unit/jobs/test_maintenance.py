"""The maintenance loop on a node in memory: its work at the start, on request and at intervals."""

import logging
import threading
from dataclasses import replace

import pytest

from packhouse.auth.principal import Principal
from packhouse.db.repos import Repo
from packhouse.ids import RepoId
from packhouse.jobs import maintenance as maintenance_module
from packhouse.jobs.maintenance import Maintenance, Pace, maintain_packs
from packhouse.limits import Limits
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.repository.upkeep.maintain import Maintained, maintain
from packhouse.repository.view import RepoView
from packhouse.repository.write import Write
from tests.support.builders.node_writes import pack_states, put_blob
from tests.support.servers.steady_time import SteadyTime
from tests.support.waiting import wait_until
from tests.unit.jobs.conftest import Clocks, MemoryWithOutages

pytestmark = pytest.mark.quick

PACKS_MAX = 4
HOUR_S = 3600


@pytest.fixture
def few(node: Node) -> Node:
    """The node, which joins packs as soon as there are more than four."""
    return replace(node, limits=Limits(packs_before_consolidation=PACKS_MAX))


@pytest.fixture
def repo(few: Node, caller: Principal) -> Repo:
    create_repo(few, caller, CreateRepo("shop"))
    return lookup_repo(few, caller, "shop")


@pytest.fixture
def maintenance(node: Node, few: Node, clocks: Clocks) -> Maintenance:
    few.clock, few.monotonic = node.clock, node.monotonic
    return Maintenance(few, threading.Event())


def fill(node: Node, repo: Repo, *, packs: int = PACKS_MAX + 3) -> None:
    for number in range(packs):
        put_blob(node, repo, b"blob %d" % number)


def live_packs(node: Node, repo: Repo) -> int:
    return list(pack_states(node, repo).values()).count("live")


def abandon_pack(node: Node, repo: Repo) -> str:
    """Store a pack like a writer that is killed before it lists the pack; return the pack's name."""
    with RepoView(node, repo) as view:
        write = Write(view)
        write.writer.add_object("blob", b"half")
        (pack,) = write.publish(may_journal=False).packs
    return pack.name


def warnings(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Return (message, work) of every line about maintenance."""
    return [
        (record.message, record.__dict__["fields"]["work"])
        for record in caplog.records
        if record.message.startswith("maintenance ")
    ]


def test_a_repository_with_a_request_is_consolidated(few: Node, repo: Repo, maintenance: Maintenance) -> None:
    fill(few, repo)
    few.request_maintenance(repo.public_id)
    maintenance.run_once(wait_s=0)
    assert live_packs(few, repo) <= PACKS_MAX


def test_a_repository_without_a_request_is_left_alone(
    few: Node, repo: Repo, maintenance: Maintenance
) -> None:
    fill(few, repo)
    before = pack_states(few, repo)
    maintenance.run_once(wait_s=0)
    assert pack_states(few, repo) == before


def test_one_round_serves_one_repository_in_the_order_of_requests(
    few: Node, caller: Principal, maintenance: Maintenance
) -> None:
    repos = []
    for name in ("first", "second"):
        create_repo(few, caller, CreateRepo(name))
        repos.append(lookup_repo(few, caller, name))
        fill(few, repos[-1])
        few.request_maintenance(repos[-1].public_id)
    maintenance.run_once(wait_s=0)
    assert [live_packs(few, repo) <= PACKS_MAX for repo in repos] == [True, False]
    maintenance.run_once(wait_s=0)
    assert [live_packs(few, repo) <= PACKS_MAX for repo in repos] == [True, True]


def test_the_start_sweeps_leftovers_of_dead_writers(
    few: Node, repo: Repo, maintenance: Maintenance, clocks: Clocks
) -> None:
    name = abandon_pack(few, repo)
    clocks.advance(HOUR_S + 1)
    maintenance.begin()
    assert name not in pack_states(few, repo)


def test_leftovers_are_swept_every_ten_minutes(
    few: Node, repo: Repo, maintenance: Maintenance, clocks: Clocks
) -> None:
    maintenance.begin()
    name = abandon_pack(few, repo)
    clocks.sleep(HOUR_S + 1)
    clocks.advance(599)
    maintenance.run_once(wait_s=0)
    assert name in pack_states(few, repo)
    clocks.advance(1)
    maintenance.run_once(wait_s=0)
    assert name not in pack_states(few, repo)


def test_a_busy_process_sweeps_as_often(
    few: Node, repo: Repo, maintenance: Maintenance, clocks: Clocks
) -> None:
    """Requests that never end must not put off the sweep."""
    maintenance.begin()
    name = abandon_pack(few, repo)
    clocks.sleep(HOUR_S + 1)
    for _ in range(61):
        few.request_maintenance(repo.public_id)
        clocks.advance(10)
        maintenance.run_once(wait_s=0)
    assert name not in pack_states(few, repo)


def test_a_sweep_is_followed_by_another_ten_minutes_later(
    few: Node, repo: Repo, maintenance: Maintenance, clocks: Clocks
) -> None:
    maintenance.begin()
    for _ in range(3):
        name = abandon_pack(few, repo)
        clocks.sleep(HOUR_S + 1)
        clocks.advance(600)
        maintenance.run_once(wait_s=0)
        assert name not in pack_states(few, repo)


def test_a_sweep_gives_unused_space_of_the_database_back_until_none_is_due(
    maintenance: Maintenance, clocks: Clocks, database: MemoryWithOutages
) -> None:
    maintenance.begin()
    database.unused_steps = 3
    maintenance.run_once(wait_s=0)
    assert database.unused_steps == 3, "no sweep is due"
    clocks.advance(600)
    maintenance.run_once(wait_s=0)
    assert database.unused_steps == -1


def test_giving_space_back_ends_when_the_process_stops(
    few: Node, clocks: Clocks, database: MemoryWithOutages
) -> None:
    few.clock, few.monotonic = lambda: clocks.now, lambda: 0.0
    stopping = threading.Event()
    maintenance = Maintenance(few, stopping)
    database.unused_steps = 3
    stopping.set()
    maintenance.run_once(wait_s=0)
    assert database.unused_steps == 3


def test_postponed_work_is_logged_in_one_line_and_the_other_work_goes_on(
    few: Node,
    repo: Repo,
    maintenance: Maintenance,
    database: MemoryWithOutages,
    caplog: pytest.LogCaptureFixture,
) -> None:
    database.is_away = True
    maintenance.begin()
    works = [work for message, work in warnings(caplog) if message == "maintenance put off"]
    assert "sweep" in works
    assert works[-1] == "recheck damage"
    assert not any(record.exc_info for record in caplog.records)


def test_a_request_lost_in_an_outage_is_made_again_by_the_next_write(
    few: Node,
    repo: Repo,
    maintenance: Maintenance,
    database: MemoryWithOutages,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fill(few, repo)
    few.request_maintenance(repo.public_id)
    database.is_away = True
    maintenance.run_once(wait_s=0)
    assert ("maintenance put off", "maintain") in warnings(caplog)
    database.is_away = False
    few.request_maintenance(repo.public_id)
    maintenance.run_once(wait_s=0)
    assert live_packs(few, repo) <= PACKS_MAX


@pytest.mark.parametrize(
    ("error", "message", "level", "has_trace"),
    [
        (OSError(28, "No space left on device"), "maintenance put off", logging.WARNING, False),
        (RuntimeError("of the test"), "maintenance failed", logging.ERROR, True),
    ],
)
def test_the_failure_of_one_repository_is_logged_and_the_next_one_is_served(
    few: Node,
    repo: Repo,
    maintenance: Maintenance,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    message: str,
    level: int,
    has_trace: bool,
) -> None:
    def fail_for_one(node: Node, repo_id: RepoId) -> Maintained | None:
        if repo_id == "repo_bad":
            raise error
        return maintain(node, repo_id)

    monkeypatch.setattr(maintenance_module, "maintain", fail_for_one)
    fill(few, repo)
    few.request_maintenance(RepoId("repo_bad"))
    few.request_maintenance(repo.public_id)
    for _ in range(2):
        maintenance.run_once(wait_s=0)
    (record,) = [record for record in caplog.records if record.message == message]
    assert (record.levelno, bool(record.exc_info)) == (level, has_trace)
    assert live_packs(few, repo) <= PACKS_MAX


def test_the_loop_serves_requests_and_ends_when_asked(few: Node, repo: Repo) -> None:
    fill(few, repo)
    few.request_maintenance(repo.public_id)
    stopping = threading.Event()
    thread = threading.Thread(target=maintain_packs, args=(few, stopping))
    thread.start()
    try:
        wait_until(lambda: live_packs(few, repo) <= PACKS_MAX, "the packs are joined")
    finally:
        stopping.set()
        thread.join(60)
    assert not thread.is_alive()


# Long work


class CountingEvent(threading.Event):
    """An event that notes how long it was waited for, and lets nobody wait."""

    def __init__(self) -> None:
        super().__init__()
        self.waited_s: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        """Note the time."""
        self.waited_s.append(timeout or 0)
        return self.is_set()


def test_long_work_rests_as_long_as_each_page_took(node: Node) -> None:
    time, stopping = SteadyTime(node), CountingEvent()
    pace = Pace(node, stopping)
    for took_s in (0.5, 0, 0.25, 30):
        time.pass_by(took_s)
        assert not pace()
    assert stopping.waited_s == [0.5, 0, 0.25, 2]
    stopping.set()
    assert pace()
