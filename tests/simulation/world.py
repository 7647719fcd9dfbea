"""Several server processes on one database and one store, the simulated time, and the faults."""

import random
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from packhouse.clock import Clock, system_clock
from packhouse.config import Config
from packhouse.db.engines.sqlite_memory import SqliteMemory
from packhouse.db.session import Database, DatabaseAway, Session
from packhouse.git.oid import Oid
from packhouse.git.packs.memory_pack import MemoryPack
from packhouse.git.packs.pack import Pack
from packhouse.git.refname import RefName
from packhouse.limits import DEFAULT_LIMITS
from packhouse.node.node import Node
from packhouse.storage.journal_folders import ShownPacks
from packhouse.storage.memory.store import MemoryPacks, MemoryPackStore, StoredPack
from packhouse.storage.store import OpenedPacks, PackSet
from tests.simulation.invariants import Checker, OpenView
from tests.simulation.scheduler import Actor, Scheduler

MovedRef = tuple[int, RefName, Oid]
"""Row of the repository, branch, new value."""

BEGINNING: Final = 1_000_000
_KEEP_S: Final = 15 * 60
_SOME_PACKS_BYTES: Final = 290  # a commit of one new file takes about as much
_ALL_PACKS_BYTES: Final = DEFAULT_LIMITS.journal_pack_max_bytes
_JUMPS: Final = (1, 1, 1, 10, 60, 1200, 4000)

# The faults that may happen at a step, by the beginning of the step's name.
_FAULTS: Final = {
    "sql write": ("sql away",),
    "sql written": ("answer lost",),
    "put ": ("disk full", "power cut"),
    "put done": ("answer lost",),
    "link ": ("disk full",),
    "delete ": ("disk full",),
}


@dataclass(frozen=True, slots=True)
class _Image:
    """A state of the database, its time, and the number of updates that callers had been told of by then."""

    at: int
    content: bytes
    moved: int


class SteppedDatabase(Database):
    """The shared database. Each session has a step at its beginning and at its end, and none inside."""

    def __init__(self, inner: SqliteMemory, scheduler: Scheduler) -> None:
        self._inner = inner
        self._scheduler = scheduler

    def read(self) -> AbstractContextManager[Session]:
        """See Database."""
        self._scheduler.step("sql read")
        self._require_connection()
        return self._inner.read()

    def snapshot(self) -> AbstractContextManager[Session]:
        """See Database."""
        self._scheduler.step("sql snapshot")
        self._require_connection()
        return self._inner.snapshot()

    @contextmanager
    def write(self) -> Iterator[Session]:
        """See Database."""
        if self._scheduler.step("sql write"):
            raise DatabaseAway("injected, nothing was written")
        self._require_connection()
        actor = self._scheduler.current
        with self._inner.write() as session:
            if actor is None:
                yield session
            else:
                actor.in_transaction = True
                try:
                    yield session
                finally:
                    actor.in_transaction = False
        if self._scheduler.step("sql written"):
            raise DatabaseAway("injected, all was written")

    def fail_over(self, image: bytes) -> None:
        """Go on with an earlier state, like a replica that lags behind. Each actor loses its connection once."""
        self._inner.restore(image)
        for actor in self._scheduler.actors:
            actor.has_connection, actor.is_behind = False, True

    def _require_connection(self) -> None:
        actor = self._scheduler.current
        if actor is not None and not actor.has_connection:
            actor.has_connection = True
            raise DatabaseAway("injected, the server has failed over")

    @property
    def place(self) -> str:
        """See Database."""
        return self._inner.place

    def has_schema(self) -> bool:
        """See Database."""
        return self._inner.has_schema()

    def migrate(self, clock: Clock = system_clock) -> None:
        """See Database."""
        self._inner.migrate(clock)

    def close(self) -> None:
        """Do nothing: other processes still use the database."""


class SteppedStore(MemoryPackStore):
    """The shared store as one process sees it, with a step before and after each change."""

    def __init__(self, packs: MemoryPacks, world: "World") -> None:
        super().__init__(packs)
        self._world = world
        self._scheduler = world.scheduler

    def put(self, repo_id: str, name: str, pack: Path, idx: Path) -> None:
        """See PackStore. A dying process may leave a pack without its idx."""
        order = self._scheduler.step(f"put {name[:6]}")
        if order == "power cut":
            self.packs.take(repo_id, name, StoredPack(pack.read_bytes(), None))
            self._scheduler.die()
        if order:
            raise OSError(28, "injected, nothing was stored")
        super().put(repo_id, name, pack, idx)
        stored = self.packs.find(repo_id, name)
        assert stored is not None
        self._world.note_copy(stored.pack, (repo_id, name))
        if self._scheduler.step(f"put done {name[:6]}"):
            raise OSError(5, "injected, the pack was stored")

    def link(self, source_id: str, source_name: str, repo_id: str, name: str) -> None:
        """See PackStore."""
        if self._scheduler.step(f"link {name[:6]}"):
            raise OSError(28, "injected, nothing was stored")
        super().link(source_id, source_name, repo_id, name)
        self._world.checker.note_link((source_id, source_name), (repo_id, name))

    def delete(self, repo_id: str, names: Collection[str]) -> set[str]:
        """See PackStore. The names are deleted one by one, like files."""
        gone: set[str] = set()
        for name in sorted(names):
            if self._scheduler.step(f"delete {name[:6]}"):
                raise OSError(5, "injected, the pack was not deleted")
            gone |= super().delete(repo_id, [name])
        return gone

    def remove_repo(self, repo_id: str) -> bool:
        """See PackStore."""
        self._scheduler.step(f"remove {repo_id}")
        return super().remove_repo(repo_id)

    def survey(self, repo_id: str) -> list[Pack]:
        """See PackStore."""
        self._scheduler.step(f"survey {repo_id}")
        found = super().survey(repo_id)
        self._scheduler.step(f"surveyed {repo_id}")
        return found

    def open(self, repo_id: str, wanted: PackSet) -> OpenedPacks:
        """See PackStore."""
        self._scheduler.step(f"open {repo_id}")
        opened = super().open(repo_id, wanted)
        self._world.watch(repo_id, wanted, opened)
        return opened

    def show_journal(self, repo_id: str, packs: Sequence[MemoryPack]) -> ShownPacks:
        """See PackStore."""
        self._scheduler.step(f"show {repo_id}")
        return super().show_journal(repo_id, packs)

    @contextmanager
    def writer_lock(self, repo_id: str, refname: bytes) -> Iterator[None]:
        """See PackStore. The lock gives only fairness, and the simulation looks for races. So it locks nothing here."""
        self._scheduler.step(f"writer lock {repo_id} {refname.decode()}")
        yield


class World:
    """Everything in a run. The seed decides time and faults."""

    def __init__(self, seed: int, data: Path) -> None:
        self.rng = random.Random(seed)
        self.now = BEGINNING
        self.data = data
        self.may_fail_over = self.rng.random() < 0.15
        # A database that returns to an earlier state names packs that have retired since.
        keep_s = _KEEP_S if self.may_fail_over else self.rng.choice((DEFAULT_LIMITS.pack_keep_s, _KEEP_S))
        self.limits = replace(
            DEFAULT_LIMITS,
            packs_before_consolidation=2,
            pack_keep_s=keep_s,
            # Without the journal, with packs of both kinds, and with small packs only.
            journal_pack_max_bytes=self.rng.choice(
                (0, _SOME_PACKS_BYTES, *3 * (DEFAULT_LIMITS.journal_pack_max_bytes,))
            ),
            journal_rows_before_flush=self.rng.choice((1, 3, 6)),
        )
        self.memory = SqliteMemory()
        self.memory.migrate(self.clock)
        self.packs = MemoryPacks()
        self.scheduler = Scheduler(self.rng, now=self.clock, before_step=self._disturb, after_step=self._look)
        self.checker = Checker(
            self.memory,
            self.packs,
            self.limits,
            now=self.clock,
            is_sweeping=lambda: self._acting.startswith("sweep"),
        )
        self.database = SteppedDatabase(self.memory, self.scheduler)
        self.nodes: dict[str, Node] = {}
        self.on_restart: Callable[[str], None] = lambda _host: None
        self._acting = ""
        self._changed: dict[bytes, tuple[str, str]] = {}
        self.moved: list[MovedRef] = []
        """The updates that callers were told of: values of refs that are in the ref log for good."""
        self._images: list[_Image] = []
        self._restarts = 0
        # The number of faults is a property of the run: some runs go on undisturbed.
        self.is_rough = self.rng.random() < 0.7
        self._p_fault = self.rng.choice((0.0, 0.02, 0.1)) if self.is_rough else 0.0
        self._p_pause = self.rng.choice((0.0, 0.01, 0.05))
        self._p_pause_at_open = self.rng.choice((self._p_pause, self._p_pause, 0.4))
        self._p_kill = self.rng.choice((0.0, 0.005, 0.02)) if self.is_rough else 0.0
        self._p_crash = self.rng.choice((0.0, 0.0, 0.005)) if self.is_rough else 0.0
        for host in ("a", "b"):
            self.start(host)

    def clock(self) -> int:
        """Return the simulated time."""
        return self.now

    def start(self, host: str) -> Node:
        """Start a server process on the shared database and store."""
        store = SteppedStore(self.packs, self)
        node = Node(config=Config(data=self.data), database=self.database, store=store, limits=self.limits)
        node.clock = self.clock
        node.random_bytes = self.rng.randbytes
        self.nodes[host] = node
        return node

    def watch(self, repo_id: str, wanted: PackSet, opened: OpenedPacks) -> None:
        """Check a view after each step while it is open."""
        view = self.checker.note_open(repo_id, wanted, opened)
        close = opened.close

        def close_and_forget() -> None:
            view.is_closed = True
            close()

        opened.close = close_and_forget  # type: ignore[method-assign]  # of this one

    def damage(self, repo_id: str, name: str) -> None:
        """Let the disk lose a pack, or change a byte of it, also while a reader has it open."""
        self.checker.damaged.add((repo_id, name))
        at = self.rng.randrange(20, len(self.packs.repos[repo_id][name].pack) - 20)
        is_lost = self.rng.random() < 0.5
        self.scheduler.note(f"the disk {'loses' if is_lost else 'changes'} {name[:6]}")

        def change(content: bytes) -> bytes | None:
            changed = content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]
            self._changed[changed] = repo_id, name
            return None if is_lost else changed

        before = self.packs.repos[repo_id][name]
        for node in self.nodes.values():
            assert isinstance(node.store, SteppedStore)
            self.packs.take(repo_id, name, before)
            node.store.damage(repo_id, name, change)

    def note_copy(self, pack: bytes, target: tuple[str, str]) -> None:
        """Note that a pack was stored. It may be a copy of a pack that the disk has changed."""
        if pack in self._changed:
            self.checker.note_link(self._changed[pack], target)

    def views_of(self, host: str) -> list[OpenView]:
        """Return the open views of a process's readers."""
        root = self.nodes[host].store
        assert isinstance(root, SteppedStore)
        return [view for view in self.checker.views if view.opened.object_dir.is_relative_to(root.root)]

    def close(self) -> None:
        """Close everything."""
        for node in self.nodes.values():
            node.store.close()
        self.memory.close()

    def sleep_until(self, moment: int) -> None:
        """Move the time on until an actor is awake."""
        self.now = max(self.now, moment)

    def be_calm(self) -> bool:
        """Stop all faults. Return whether any fault was possible, besides pauses."""
        is_disturbed = self.may_fail_over or any((self._p_fault, self._p_kill, self._p_crash))
        self.may_fail_over = False
        self._p_fault = self._p_pause = self._p_pause_at_open = self._p_kill = self._p_crash = 0.0
        return is_disturbed

    def _disturb(self, actor: Actor) -> bool:
        """Let time pass and faults happen before a step. Return False if the actor does not take the step now."""
        rng = self.rng
        self._acting = actor.name
        if rng.random() < 0.05:
            self.now += rng.choice(_JUMPS)
        if rng.random() < (self._p_pause_at_open if actor.at.startswith("open") else self._p_pause):
            actor.awake_at = self.now + rng.choice((60, 1200, 4000, 8000))
            self.scheduler.note(f"{actor.name} sleeps")
            return False
        if rng.random() < self._p_kill:
            self.scheduler.note(f"{actor.name} is killed")
            self.scheduler.kill([actor])
            return False
        if rng.random() < self._p_crash and actor.host in self.nodes:
            self._crash(actor.host)
            return False
        if rng.random() < self._p_fault:
            self._order_fault(actor)
        if self.may_fail_over:
            self._fail_over_or_not()
        return True

    def _order_fault(self, actor: Actor) -> None:
        fits = [faults for step, faults in _FAULTS.items() if actor.at.startswith(step)]
        if fits:
            actor.order = self.rng.choice(fits[-1])
            self.scheduler.note(f"{actor.name} meets: {actor.order}")

    def _fail_over_or_not(self) -> None:
        """Sometimes keep the state for later, or return to a state that is not too old for retired packs."""
        rng, age_max_s = self.rng, self.limits.pack_keep_s // 2
        if rng.random() < 0.1:
            self._images.append(_Image(self.now, self.memory.image(), len(self.moved)))
        self._images = [image for image in self._images if self.now - image.at <= age_max_s]
        if self._images and rng.random() < 0.01:
            number = rng.randrange(len(self._images))
            image = self._images[number]
            del self._images[number + 1 :]  # they belong to the time that is lost
            self.scheduler.note(f"the database fails over to what it was at {image.at}")
            self.database.fail_over(image.content)
            del self.moved[image.moved :]
            self.checker.begin_again()

    def _crash(self, host: str) -> None:
        """End a process with everything that it has open, and start it again."""
        self.scheduler.note(f"process {host} crashes")
        self.scheduler.kill([actor for actor in self.scheduler.actors if actor.host == host])
        for view in self.views_of(host):
            view.is_closed = True
        self.nodes[host].store.close()
        self._restarts += 1
        self.start(host)
        self.on_restart(host)

    def _look(self) -> None:
        self.checker.check()
