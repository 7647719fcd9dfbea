"""Group commit: waits, groups and their outcomes, on a transaction that a test can break."""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import pytest

from packhouse.db.engines.sqlite_group import GroupCommit, SharedTransaction, _Block
from packhouse.db.session import DatabaseAway, Row, Session, SqlValue
from packhouse.errors import Code, Corrupt
from tests.support.waiting import WAIT_S, wait_until

pytestmark = pytest.mark.quick


class Damaged(Corrupt):
    """A failure that is not `Unavailable`."""

    code = Code.DATABASE_FILE_DAMAGED
    reason: str


class Ledger(Session):
    """The rows of a database that has one list."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.committed: list[str] = []
        self.pending: list[str] = []
        self.marked_at = 0
        self.is_sound = True
        self.failures: dict[str, BaseException] = {}
        """What the next step of that name raises."""

    def define(self, statement: str, /) -> None:
        self.pending.append(statement)

    def all(self, query: str, /, **params: SqlValue) -> list[Row]:
        raise NotImplementedError

    def one(self, query: str, /, **params: SqlValue) -> Row | None:
        raise NotImplementedError

    def run(self, query: str, /, **params: SqlValue) -> int:
        raise NotImplementedError

    def run_many(self, query: str, rows: Sequence[Mapping[str, SqlValue]], /) -> int:
        raise NotImplementedError

    def step(self, name: str) -> None:
        self.steps.append(name)
        if name in self.failures:
            raise self.failures.pop(name)


class LedgerTransaction(SharedTransaction):
    """A transaction on the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = self.session = ledger
        ledger.step("open")
        assert not ledger.pending
        ledger.is_sound = True

    def is_sound(self) -> bool:
        return self.ledger.is_sound

    def mark(self) -> None:
        self.ledger.step("mark")
        self.ledger.marked_at = len(self.ledger.pending)

    def keep(self) -> None:
        self.ledger.step("keep")

    def undo(self) -> None:
        self.ledger.step("undo")
        del self.ledger.pending[self.ledger.marked_at :]

    def commit(self) -> None:
        self.ledger.step("commit")
        self.ledger.committed += self.ledger.pending
        self.ledger.pending.clear()

    def roll_back(self) -> None:
        self.ledger.step("roll back")
        self.ledger.pending.clear()

    def close(self) -> None:
        self.ledger.step("close")


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def commits(ledger: Ledger) -> GroupCommit:
    return make_commits(ledger)


def make_commits(ledger: Ledger, *, blocks_max: int = 100, age_max_s: float = 1e9) -> GroupCommit:
    return GroupCommit(lambda: LedgerTransaction(ledger), blocks_max=blocks_max, age_max_s=age_max_s)


class Writers:
    """Threads that come while another one writes. `outcomes` has what each `write` raised, in order of their start."""

    def __init__(self, commits: GroupCommit) -> None:
        self.commits = commits
        self.outcomes: list[BaseException | None] = []
        self._threads: list[threading.Thread] = []

    def start(self, name: str, work: Callable[[], None] | None = None) -> None:
        """Start a thread that writes `name` and does `work`, and wait until it waits for the lock."""
        place, before = len(self._threads), len(self.commits._queue)
        self.outcomes.append(AssertionError("it has not ended"))
        self._threads.append(threading.Thread(target=self._run, args=(place, name, work), daemon=True))
        self._threads[-1].start()
        wait_until(lambda: len(self.commits._queue) == before + 1, "the thread waits for the lock")

    def _run(self, place: int, name: str, work: Callable[[], None] | None) -> None:
        try:
            with self.commits.write() as session:
                session.define(name)
                if work is not None:
                    work()
        except BaseException as error:  # noqa: BLE001 - the outcome
            self.outcomes[place] = error
        else:
            self.outcomes[place] = None

    def join(self) -> None:
        for thread in self._threads:
            thread.join(WAIT_S)
        assert not any(thread.is_alive() for thread in self._threads)


@contextmanager
def writers_behind(commits: GroupCommit) -> Iterator[Writers]:
    """Give writers to be started in a `write` block of this thread. They have ended when this returns."""
    writers = Writers(commits)
    try:
        with commits.write() as session:
            session.define("first")
            yield writers
    finally:
        writers.join()


def write_behind(commits: GroupCommit, work: Callable[[Writers], None]) -> tuple[BaseException | None, ...]:
    """Do `work` in the first block. Return what its `write` raised, and then what those of the writers raised."""
    writers = Writers(commits)
    first: BaseException | None = None
    try:
        with commits.write() as session:
            session.define("first")
            work(writers)
    except Exception as error:  # noqa: BLE001 - the outcome
        first = error
    writers.join()
    return first, *writers.outcomes


def fail(error: BaseException) -> Callable[[], None]:
    def work() -> None:
        raise error

    return work


def test_a_thread_that_writes_alone_runs_no_savepoint(commits: GroupCommit, ledger: Ledger) -> None:
    for name in ("a", "b"):
        with commits.write() as session:
            session.define(name)
    assert ledger.steps == ["open", "commit", "close"] * 2
    assert ledger.committed == ["a", "b"]


def test_blocks_that_wait_share_one_commit_in_order_of_arrival(commits: GroupCommit, ledger: Ledger) -> None:
    with writers_behind(commits) as writers:
        for name in ("a", "b", "c"):
            writers.start(name)
    assert writers.outcomes == [None, None, None]
    assert ledger.steps == ["open", *["mark", "keep"] * 3, "commit", "close"]
    assert ledger.committed == ["first", "a", "b", "c"]


def test_a_block_that_raises_is_undone_alone_and_learns_it_after_the_commit(
    commits: GroupCommit, ledger: Ledger
) -> None:
    error = KeyError("b")
    with writers_behind(commits) as writers:
        writers.start("a")
        writers.start("b", fail(error))
        writers.start("c", lambda: ledger.step(f"outcome of b: {type(writers.outcomes[1]).__name__}"))
    assert writers.outcomes == [None, error, None]
    assert ledger.committed == ["first", "a", "c"]
    assert ledger.steps[4:7] == ["undo", "mark", "outcome of b: AssertionError"]


def test_the_last_block_commits_for_the_others_even_if_it_raises(
    commits: GroupCommit, ledger: Ledger
) -> None:
    for error in (KeyError("last"), KeyboardInterrupt()):
        with writers_behind(commits) as writers:
            writers.start("last", fail(error))
        assert writers.outcomes == [error]
    assert ledger.committed == ["first", "first"]


def test_a_first_block_that_raises_is_not_waited_for(commits: GroupCommit, ledger: Ledger) -> None:
    def work(writers: Writers) -> None:
        writers.start("a")
        raise KeyError

    first, other = write_behind(commits, work)
    assert isinstance(first, KeyError)
    assert other is None
    assert ledger.steps == ["open", "roll back", "close", "open", "commit", "close"]
    assert ledger.committed == ["a"]


@pytest.mark.parametrize(
    ("failure", "refusal"),
    [
        (DatabaseAway("disk full"), DatabaseAway),
        (Damaged("page 3"), Damaged),
        (ValueError("a bug"), DatabaseAway),
        (KeyboardInterrupt(), DatabaseAway),
    ],
)
def test_a_failed_commit_fails_every_block_of_the_group_and_none_of_the_next(
    commits: GroupCommit, ledger: Ledger, failure: BaseException, refusal: type[Exception]
) -> None:
    def work(writers: Writers) -> None:
        writers.start("a")
        writers.start("b", fail(KeyError()))
        writers.start("c")

    ledger.failures["commit"] = failure
    *refused, committing = write_behind(commits, work)
    assert [type(error) for error in refused] == [refusal] * 3
    assert committing is failure
    assert len({id(error) for error in [*refused, failure]}) == 4, "threads share no traceback"
    assert ledger.steps[-3:] == ["commit", "roll back", "close"]
    assert ledger.committed == []
    with commits.write() as session:
        session.define("next")
    assert ledger.committed == ["next"]


@pytest.mark.parametrize("step", ["keep", "undo", "is_sound"])
def test_a_block_whose_end_fails_ends_the_group(commits: GroupCommit, ledger: Ledger, step: str) -> None:
    def work() -> None:
        ledger.is_sound = step != "is_sound"
        ledger.failures[step] = DatabaseAway("broken")
        if step != "keep":
            raise KeyError

    def start(writers: Writers) -> None:
        writers.start("a", work)
        writers.start("b")

    first, broken, later = write_behind(commits, start)
    assert isinstance(first, DatabaseAway)
    assert isinstance(broken, DatabaseAway)
    assert later is None
    assert ledger.committed == ["b"]


def test_a_bug_at_the_end_of_a_transaction_stops_nobody(commits: GroupCommit, ledger: Ledger) -> None:
    ledger.failures["commit"] = DatabaseAway("disk full")
    ledger.failures["roll back"] = RuntimeError("a bug")

    def work(writers: Writers) -> None:
        writers.start("a")

    first, committing = write_behind(commits, work)
    assert isinstance(first, DatabaseAway)
    assert isinstance(committing, RuntimeError)
    assert ledger.steps[-1] == "close"
    ledger.pending.clear()
    with commits.write() as session:
        session.define("next")
    assert ledger.committed == ["next"]


@pytest.mark.parametrize("step", ["mark", "is_sound"])
def test_a_block_leaves_a_broken_group_and_opens_its_own(
    commits: GroupCommit, ledger: Ledger, step: str
) -> None:
    def work(writers: Writers) -> None:
        writers.start("a")
        writers.start("b")
        ledger.is_sound = step != "is_sound"
        ledger.failures[step] = DatabaseAway("broken")

    first, *others = write_behind(commits, work)
    assert isinstance(first, DatabaseAway)
    assert others == [None, None]
    assert ledger.committed == ["a", "b"]


def test_a_transaction_that_cannot_be_opened_fails_one_block(commits: GroupCommit, ledger: Ledger) -> None:
    def work(writers: Writers) -> None:
        writers.start("a")
        writers.start("b")
        ledger.failures["open"] = DatabaseAway("locked")
        raise KeyError  # so that the next block opens a transaction

    _, refused, other = write_behind(commits, work)
    assert isinstance(refused, DatabaseAway)
    assert other is None
    assert ledger.committed == ["b"]


@pytest.mark.parametrize("bound", [{"blocks_max": 2}, {"age_max_s": 0.0}])
def test_a_group_that_has_reached_a_bound_is_committed(ledger: Ledger, bound: dict[str, int]) -> None:
    commits = make_commits(ledger, **bound)
    with writers_behind(commits) as writers:
        for name in ("a", "b", "c", "d"):
            writers.start(name)
    assert ledger.committed == ["first", "a", "b", "c", "d"]
    assert ledger.steps.count("commit") == (3 if "blocks_max" in bound else 5)


def test_an_interrupted_block_does_not_wait_and_stops_nobody(commits: GroupCommit, ledger: Ledger) -> None:
    interrupt = KeyboardInterrupt()
    with writers_behind(commits) as writers:
        writers.start("a", fail(interrupt))
        writers.start(
            "b", lambda: wait_until(lambda: writers.outcomes[0] is interrupt, "the interrupted thread is out")
        )
        writers.start("c")
    assert writers.outcomes == [interrupt, None, None]
    assert ledger.committed == ["first", "b", "c"]


class Interrupted(BaseException):
    """What the handler of a signal raises in the main thread."""


@pytest.fixture
def interrupt() -> Iterator[Callable[[threading.Event], None]]:
    """Send a signal to the main thread until the event tells that it was heard. The first one raises.

    A signal that comes just before a thread waits for a lock does not end the wait.
    """
    heard: list[int] = []

    def handler(number: int, frame: object) -> None:
        heard.append(number)
        if len(heard) == 1:
            raise Interrupted

    def send(interrupted: threading.Event) -> None:
        for _ in range(int(WAIT_S * 10)):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
            if interrupted.wait(0.1):
                return
        raise AssertionError("the main thread has not heard the signal")

    before = signal.signal(signal.SIGUSR1, handler)
    yield send
    signal.signal(signal.SIGUSR1, before)


def test_a_signal_ends_the_wait_for_the_lock(
    commits: GroupCommit, ledger: Ledger, interrupt: Callable[[threading.Event], None]
) -> None:
    writing, interrupted = threading.Event(), threading.Event()

    def write() -> None:
        with commits.write() as session:
            session.define("a")
            writing.set()
            wait_until(lambda: len(commits._queue) == 1, "the main thread waits")
            interrupt(interrupted)

    other = threading.Thread(target=write)
    other.start()
    assert writing.wait(WAIT_S)
    with pytest.raises(Interrupted), commits.write():
        pass
    assert not commits._queue
    interrupted.set()
    other.join()
    with commits.write() as session:
        session.define("b")
    assert ledger.committed == ["a", "b"]


def test_a_signal_ends_the_wait_for_the_commit(
    commits: GroupCommit, ledger: Ledger, interrupt: Callable[[threading.Event], None]
) -> None:
    interrupted = threading.Event()

    def work() -> None:
        interrupt(interrupted)

    def write(writers: Writers) -> None:
        with commits.write() as session:
            session.define("first")
            writers.start("a", work)

    writers = Writers(commits)
    with pytest.raises(Interrupted):
        write(writers)
    interrupted.set()
    writers.join()
    assert ledger.committed == ["first", "a"]


def test_a_thread_that_gives_up_passes_on_a_lock_that_came_meanwhile(
    commits: GroupCommit, ledger: Ledger
) -> None:
    given_the_lock = _Block(commits)
    assert commits._take_lock(given_the_lock) is None
    commits._give_up(given_the_lock)
    given_a_group = _Block(commits)
    given_a_group.group = commits.begin(given_a_group)
    ledger.define("first")
    commits._stop_writing(given_a_group)
    commits._give_up(given_a_group)
    with commits.write() as session:
        session.define("a")
    assert ledger.committed == ["first", "a"]


def test_a_write_inside_a_write_is_refused(commits: GroupCommit) -> None:
    with pytest.raises(AssertionError, match="inside"), commits.write(), commits.write():
        pass
    with commits.write() as session:
        session.define("after")
