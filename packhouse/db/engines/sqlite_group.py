"""Group commit: writing threads of one process share a transaction, and with it the wait for the disk.

One thread at a time holds the lock of the process, and works alone on the open transaction. When its block ends and
another thread waits, it gives lock and transaction to that thread and waits for the common COMMIT. The last one
commits: no thread waits, or the group has reached a bound. A block sees what the blocks before it in the group have
written. That is the serial order in which they run. Readers see nothing before the COMMIT.

The first block of a group has no savepoint. If it fails, the group is empty, and the whole transaction is rolled back.
So a thread that writes alone runs BEGIN and COMMIT only, and waits for no other thread. Each later block has a
savepoint. Its error is raised after the COMMIT only: the block may have decided by rows that never existed if the
COMMIT fails.
"""

import copy
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager

from packhouse.db.session import DatabaseAway, Session
from packhouse.errors import Corrupt, Unavailable
from packhouse.limits import DEFAULT_LIMITS


class SharedTransaction(ABC):
    """An open transaction of the engine, with the lock that keeps other processes out. One thread at a time uses it."""

    __slots__ = ("session",)

    session: Session

    @abstractmethod
    def is_sound(self) -> bool:
        """Tell whether the transaction is still open and can be committed. Raises DatabaseAway if the file is gone."""

    @abstractmethod
    def mark(self) -> None:
        """Begin a block that can be undone alone."""

    @abstractmethod
    def keep(self) -> None:
        """End the block."""

    @abstractmethod
    def undo(self) -> None:
        """Undo the block, and end it."""

    @abstractmethod
    def commit(self) -> None:
        """Make all blocks durable."""

    @abstractmethod
    def roll_back(self) -> None:
        """Undo all blocks. Raises nothing."""

    @abstractmethod
    def close(self) -> None:
        """Let go of lock and connection. Raises nothing."""


class _Group:
    """Blocks that share a transaction. Only the thread with the lock uses it, until `failure` is settled.

    `blocks` counts the ended blocks, `members` are those that wait for the COMMIT. `failure` tells why nothing of the
    group holds.
    """

    __slots__ = ("blocks", "failure", "members", "opened_at", "transaction")

    def __init__(self, transaction: SharedTransaction, opened_at: float) -> None:
        self.transaction = transaction
        self.opened_at = opened_at
        self.blocks = 0
        self.members: list[_Block] = []
        self.failure: BaseException | None = None


class _Block(AbstractContextManager[Session]):
    """A `write` block. Its thread waits by taking `wake`, which another thread releases.

    It may wait twice: for the lock, and for the common COMMIT. A block of a thread that writes alone has no `wake`.
    """

    __slots__ = ("_commits", "group", "wake")

    def __init__(self, commits: "GroupCommit") -> None:
        self._commits = commits
        self.group: _Group | None = None
        self.wake: threading.Lock | None = None

    def __enter__(self) -> Session:
        group = self.group = self._commits.begin(self)
        return group.transaction.session

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            self._commits.end(self)
        else:
            self._commits.end_failed(self, error)


class GroupCommit:
    """The lock and the groups of one database in this process, first come first served. Safe for threads."""

    def __init__(
        self,
        open_transaction: Callable[[], SharedTransaction],
        *,
        blocks_max: int = DEFAULT_LIMITS.group_commit_blocks_max,
        age_max_s: float = DEFAULT_LIMITS.group_commit_age_max_s,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open = open_transaction
        self._blocks_max = blocks_max
        self._age_max_s = age_max_s
        self._monotonic = monotonic
        self._guard = threading.Lock()
        self._is_taken = False
        self._queue: deque[_Block] = deque()
        self._writing: int | None = None

    def write(self) -> AbstractContextManager[Session]:
        """Give a session in a transaction: durable at the end of the block, undone when the block raises.

        Raises Unavailable or Corrupt if the transaction cannot be opened or committed, or if a failure of another block
        has ended it.
        """
        return _Block(self)

    def begin(self, block: _Block) -> _Group:
        """Wait for the lock. Join the group that comes with it, or open one."""
        me = threading.get_ident()
        assert self._writing != me, "a write inside a write waits for itself"
        group = self._take_lock(block)
        try:
            if group is None or not self._join(group):
                group = _Group(self._open(), self._monotonic())
        except BaseException:
            self._pass_lock()
            raise
        self._writing = me
        return group

    def end(self, block: _Block) -> None:
        """End a block that has succeeded. Return once it is durable."""
        group = self._stop_writing(block)
        if group.blocks:
            try:
                group.transaction.keep()
            except BaseException as failure:
                self._finish(group, failure)
                raise
        self._await_commit(group, block)

    def end_failed(self, block: _Block, error: BaseException) -> None:
        """End a block that has raised `error`. Return when the error may be raised."""
        group = self._stop_writing(block)
        if not group.blocks:
            self._finish(group, error)
            return
        failure: BaseException | None = None
        try:
            group.transaction.undo()
            if not group.transaction.is_sound():
                failure = DatabaseAway("a failed statement ended the shared transaction")
        except BaseException as broken:  # noqa: BLE001 - the group must end whatever broke it
            failure = broken
        if failure is not None:
            self._finish(group, failure)
            if isinstance(error, Exception):
                raise _refusal(failure) from error
        elif isinstance(error, Exception):
            self._await_commit(group, block)
        elif not self._hand_over(group, None):  # KeyboardInterrupt and the like do not wait
            self._finish(group)

    def _take_lock(self, block: _Block) -> _Group | None:
        with self._guard:
            if not self._is_taken:
                self._is_taken = True
                return None
            wake = block.wake = _new_wake()
            self._queue.append(block)
        try:
            wake.acquire()
        except BaseException:  # a signal ends the wait
            self._give_up(block)
            raise
        return block.group

    def _give_up(self, block: _Block) -> None:
        """Leave the queue. Pass on a lock that came meanwhile."""
        with self._guard:
            if block in self._queue:
                self._queue.remove(block)
                return
        if block.group is None:
            self._pass_lock()
        elif not self._hand_over(block.group, None):
            self._finish(block.group)

    def _join(self, group: _Group) -> bool:
        """Begin a block in the group. Return False, with the lock, if the group had to end as failed."""
        failure: BaseException
        try:
            if group.transaction.is_sound():
                group.transaction.mark()
                return True
            failure = DatabaseAway("the connection of a shared transaction broke")
        except BaseException as error:  # noqa: BLE001 - the group must end whatever broke it
            failure = error
        _close(group, failure)
        _wake(group)
        if not isinstance(failure, Exception):
            raise failure
        return False

    def _stop_writing(self, block: _Block) -> _Group:
        assert block.group is not None, "a block ends after it began"
        self._writing = None
        return block.group

    def _await_commit(self, group: _Group, block: _Block) -> None:
        if not self._hand_over(group, block):
            self._finish(group)
            if group.failure is not None:
                raise group.failure
            return
        assert block.wake is not None, "it was made for this wait"
        block.wake.acquire()
        if group.failure is not None:
            raise _refusal(group.failure) from group.failure

    def _hand_over(self, group: _Group, block: _Block | None) -> bool:
        """Give the open transaction to the next block. Return False if the group must be committed now.

        `block` is woken after the COMMIT.
        """
        group.blocks += 1
        if not self._queue or group.blocks >= self._blocks_max:
            return False
        if self._monotonic() - group.opened_at >= self._age_max_s:
            return False
        with self._guard:
            if not self._queue:  # a signal took it away
                return False
            following = self._queue.popleft()
        if block is not None:
            if block.wake is None:
                block.wake = _new_wake()
            group.members.append(block)
        following.group = group
        _release(following)
        return True

    def _finish(self, group: _Group, failure: BaseException | None = None) -> None:
        """Commit, or roll back for a failure; pass the lock; wake the members."""
        try:
            _close(group, failure)
        finally:
            self._pass_lock()  # before the members wake, since the next transaction can begin at once
            _wake(group)

    def _pass_lock(self) -> None:
        with self._guard:
            if not self._queue:
                self._is_taken = False
                return
            following = self._queue.popleft()
        _release(following)


def _close(group: _Group, failure: BaseException | None) -> None:
    """Settle the outcome of the group."""
    transaction = group.transaction
    group.failure = failure
    try:
        if failure is None:
            transaction.commit()
    except BaseException as error:  # noqa: BLE001 - each member raises its own error for it
        group.failure = error
    try:
        if group.failure is not None:
            transaction.roll_back()
    finally:
        transaction.close()


def _wake(group: _Group) -> None:
    for member in group.members:
        _release(member)


def _release(block: _Block) -> None:
    assert block.wake is not None, "its thread waits"
    block.wake.release()


def _new_wake() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


def _refusal(failure: BaseException) -> Exception:
    """Return the error of a block that was not the cause of its group's failure."""
    if isinstance(failure, Unavailable | Corrupt):
        return copy.copy(failure)
    return DatabaseAway(f"a shared transaction failed: {failure!r}")
