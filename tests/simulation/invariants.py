"""The invariants of the pack states. They must hold after every step, whichever process was stopped at which step.

The checker reads the rows and the stored bytes itself. It names the invariants as the design does:

- I1 objects that refs reach are readable;
- I2 a row exists before the file and after it;
- I3 no stray is adopted or deleted;
- I4 damage is contained;
- I5 views stay readable;
- I6 versions grow, and no pair of version and state comes twice;
- I8 a view shows exactly its packs.
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from packhouse.db.engines.sqlite_memory import SqliteMemory
from packhouse.git.oid import Oid
from packhouse.limits import Limits
from packhouse.storage.memory.store import MemoryPacks, StoredPack
from packhouse.storage.store import OpenedPacks, PackSet
from tests.simulation.objects import ObjectStore

PackKey = tuple[int, str]
"""Row id of the repository, name of the pack."""

ALLOWED_CHANGES = frozenset(
    {
        (None, "incoming"),
        ("incoming", "live"),
        ("incoming", "deleting"),
        ("live", "retired"),
        ("retired", "deleting"),
        ("deleting", None),
    }
)


_RefsAndRows = tuple[frozenset[tuple[tuple[str, str], Oid]], frozenset[str]]
"""The refs of a repository, and the names of the packs in its journal."""


class Violation(AssertionError):
    """An invariant does not hold."""


class _PackRow(NamedTuple):
    state: str
    since: int
    size_bytes: int
    objects: int


class _JournalRow(NamedTuple):
    """A row of the journal. `file` is (public id of the repository, name), as for a stored pack."""

    repo: int
    file: tuple[str, str]
    size_bytes: int


class _RepoRow(NamedTuple):
    public_id: str
    refs_version: int
    refs_state: int
    packs_version: int
    packs_state: int
    generation: int
    deleted_at: int | None
    adopted_at: int | None
    journal_rows: int
    journal_bytes: int


@dataclass(slots=True)
class State:
    """The rows and the stored packs at one moment."""

    packs: dict[PackKey, _PackRow] = field(default_factory=dict)
    repos: dict[int, _RepoRow] = field(default_factory=dict)
    refs: dict[tuple[int, str, str], Oid] = field(default_factory=dict)
    journal: dict[int, _JournalRow] = field(default_factory=dict)
    stored: dict[tuple[str, str], StoredPack] = field(default_factory=dict)

    def live_of(self, repo: int) -> frozenset[str]:
        """Return the names of a repository's live packs."""
        return frozenset(name for (of, name), row in self.packs.items() if of == repo and row.state == "live")

    def rows_of(self, repo: int) -> frozenset[str]:
        """Return the names of the packs in a repository's journal."""
        return frozenset(row.file[1] for row in self.journal.values() if row.repo == repo)

    def readable_of(self, repo: int) -> frozenset[str]:
        """Return the names of all packs that the repository consists of."""
        return self.live_of(repo) | self.rows_of(repo)


@dataclass(eq=False, slots=True)
class OpenView:
    """The packs that a reader has open, and the packs that it was promised."""

    repo_id: str
    opened: OpenedPacks
    promised: frozenset[str]
    is_closed: bool = False


class Checker:
    """Compares each state with the previous one, and with the needs of refs and readers."""

    def __init__(
        self,
        database: SqliteMemory,
        packs: MemoryPacks,
        limits: Limits,
        *,
        now: Callable[[], int],
        is_sweeping: Callable[[], bool],
    ) -> None:
        self.objects = ObjectStore()
        self.views: list[OpenView] = []
        self.damaged: set[tuple[str, str]] = set()
        """Packs that the simulated disk has lost or changed. This is not a fault of the server."""
        self.strays: set[tuple[str, str]] = set()
        """Packs that were in the store from the beginning and belong to no row."""
        self.inherited: set[tuple[str, str]] = set()
        """Packs without a row that an earlier release has left. The first use of their repository lists them."""
        self._database = database
        self._packs = packs
        self._limits = limits
        self._now = now
        self._is_sweeping = is_sweeping
        self._taken_over: set[tuple[str, str]] = set()
        self._retired_at: dict[PackKey, int] = {}
        """When packs retired, whatever their rows say."""
        self._held: dict[tuple[str, str], frozenset[Oid]] = {}
        self._undone: set[Oid] = set()
        """Objects of writes that a failover has undone. An actor that saw them may miss them."""
        self._named: set[PackKey] = set()
        self._late: set[tuple[str, str]] = set()
        """Packs stored by a writer that slept until they were being deleted. They are useless and harmless."""
        self._lists: dict[tuple[int, int, int], tuple[int, frozenset[str]]] = {}
        self._refs_at: dict[tuple[int, int, int], _RefsAndRows] = {}
        self._changes = -1
        self.state = State()

    def begin(self) -> None:
        """Accept the present state as given."""
        self.state = self._read()
        self._learn(self.state)
        self._check_versions(State(), self.state)

    def begin_again(self) -> None:
        """Accept the present rows, which are earlier ones. Their live packs must exist; other files become strays.

        Packs that were being deleted may still go, because their deleter does not know of the failover.
        """
        doomed = {key for key, row in self.state.packs.items() if row.state == "deleting"}
        held = frozenset[Oid]().union(*map(self.held_by_live, self.state.repos))
        self._changes = -1
        new = self._read()
        numbers = {number: row.public_id for number, row in new.repos.items()}
        named = {(numbers[repo], name) for repo, name in new.packs}
        self.inherited |= self._taken_over - named
        self._late |= new.stored.keys() - named - self.strays - self.inherited
        self._late |= {
            (numbers[repo], name) for repo, name in doomed if self._state_of(new, (repo, name)) != "live"
        }
        self._retired_at.clear()
        self.state = new
        self._undone |= held.difference(*map(self.held_by_live, new.repos))
        self._check_versions(State(), new)
        self._check_reachable(new)

    @staticmethod
    def _state_of(state: State, key: PackKey) -> str | None:
        row = state.packs.get(key)
        return None if row is None else row.state

    def check(self) -> None:
        """Raise Violation unless all invariants hold."""
        new = self._read()
        old, self.state = self.state, new
        self._learn(new)
        self._check_stored(old, new)
        if new.packs is not old.packs:
            self._check_packs(old, new)
            self._check_versions(old, new)
            self._check_journal(old, new)
            self._check_damage(new)
        self._check_reachable(new)
        self._check_views()

    def held_by_live(self, repo: int) -> frozenset[Oid]:
        """Return the objects that were written in the live packs of a repository."""
        public_id = self.state.repos[repo].public_id
        return self._union(public_id, self.state.readable_of(repo))

    def readable(self, repo: int) -> frozenset[Oid]:
        """Return the objects in undamaged live packs."""
        public_id = self.state.repos[repo].public_id
        names = [name for name in self.state.readable_of(repo) if (public_id, name) not in self.damaged]
        return self._union(public_id, names)

    def check_settled(self, *, is_disturbed: bool) -> None:
        """Raise Violation unless only live packs and strays are left.

        If nothing failed, a writer that slept too long has also removed the packs that it stored afterwards.
        """
        self.check()
        alive = {number for number, row in self.state.repos.items() if row.deleted_at is None}
        # Nothing is deleted from a repository that misses a pack: any file may be the only copy.
        lost = {
            repo
            for repo, name in self.state.packs
            if (self.state.repos[repo].public_id, name) in self.damaged
        }
        whole = alive - lost
        packs = [(name, row.state) for (repo, name), row in self.state.packs.items() if repo in whole]
        left = sorted((name, state) for name, state in packs if state != "live")
        if left:
            raise Violation(f"I3: packs are left that nobody needs: {left}")
        named = {(self.state.repos[repo].public_id, name) for repo, name in self.state.packs}
        unnamed = self.state.stored.keys() - named - self.strays - (self._late if is_disturbed else set())
        if unnamed:
            raise Violation(f"I2: packs are left without rows: {sorted(unnamed)}")

    def note_link(self, source: tuple[str, str], target: tuple[str, str]) -> None:
        """Note that a pack is shared, with its damage if it has any."""
        if source in self.damaged:
            self.damaged.add(target)
            self._held[target] = self._held[source]

    def note_open(self, repo_id: str, wanted: PackSet, opened: OpenedPacks) -> OpenView:
        """Note a view. It must show a list that SQL had at some moment (I8)."""
        names = frozenset(pack.name for pack in wanted.packs)
        repo = next(number for number, row in self.state.repos.items() if row.public_id == repo_id)
        lists = [listed for (of, *_), listed in self._lists.items() if of == repo]
        if names and (wanted.generation, names) not in lists:
            raise Violation(f"I8: {repo_id} is shown as it never was: {sorted(names)} of {wanted.generation}")
        faulty = {fault.pack for fault in opened.mended.faults}
        gone = {name for name in faulty if self._is_fault_of_server(repo, name)}
        if gone:
            raise Violation(f"I2: packs that are listed cannot be shown: {sorted(gone)}")
        view = OpenView(repo_id, opened, names - faulty)
        self.views.append(view)
        return view

    def _is_fault_of_server(self, repo: int, name: str) -> bool:
        row, public_id = self.state.packs.get((repo, name)), self.state.repos[repo].public_id
        return row is not None and row.state == "live" and (public_id, name) not in self.damaged

    def _read(self) -> State:
        connection = self._database.truth
        stored = {
            (repo_id, name): pack
            for repo_id, packs in self._packs.repos.items()
            for name, pack in packs.items()
        }
        if connection.total_changes == self._changes:
            return State(self.state.packs, self.state.repos, self.state.refs, self.state.journal, stored)
        self._changes = connection.total_changes
        packs = connection.execute(
            "SELECT repo_id, name, state, state_since, size_bytes, objects FROM stored_packs"
        )
        rows = {(row[0], row[1]): _PackRow(*row[2:]) for row in packs.fetchall()}
        repos = connection.execute(
            "SELECT id, public_id, refs_version, refs_state, packs_version, packs_state, packs_generation,"
            " deleted_at, adopted_at, journal_rows, journal_bytes FROM repos"
        )
        journal = connection.execute(
            "SELECT j.id, j.repo_id, r.public_id, j.name, j.size_bytes"
            " FROM journal AS j JOIN repos AS r ON r.id = j.repo_id"
        )
        refs = connection.execute("SELECT repo_id, namespace, refname, oid FROM refs")
        return State(
            rows,
            {row[0]: _RepoRow(*row[1:]) for row in repos.fetchall()},
            {(row[0], row[1], row[2]): Oid(row[3]) for row in refs.fetchall()},
            {row[0]: _JournalRow(row[1], (row[2], row[3]), row[4]) for row in journal.fetchall()},
            stored,
        )

    def _learn(self, new: State) -> None:
        for key, stored in new.stored.items():
            if key not in self._held and key not in self.damaged:
                self._held[key] = self.objects.learn(stored.pack)
        for number, row in new.journal.items():
            if row.file not in self._held:
                pack = self._database.truth.execute(
                    "SELECT pack FROM journal WHERE id = ?", (number,)
                ).fetchone()[0]
                self._held[row.file] = self.objects.learn(pack)
        self._named |= new.packs.keys()

    def _check_stored(self, old: State, new: State) -> None:
        """I2: no file exists before its row, and none is deleted before the row says so. I3: strays stay."""
        numbers = {row.public_id: number for number, row in new.repos.items()}
        for repo_id, name in new.stored.keys() - old.stored.keys() - self.strays - self.inherited:
            key = numbers.get(repo_id, 0), name
            row = old.packs.get(key)
            if row is None or row.state != "incoming":
                if key not in self._named:
                    raise Violation(f"I2: {name} of {repo_id} was stored before it had a row")
                self._late.add((repo_id, name))
        for repo_id, name in old.stored.keys() - new.stored.keys() - self.damaged - self._late:
            row = old.packs.get((numbers.get(repo_id, 0), name))
            if (repo_id, name) in self.strays | self.inherited:
                raise Violation(f"I3: {name} of {repo_id} was deleted, and has no row")
            if self._is_being_cleaned(new, numbers.get(repo_id, 0)):
                continue
            if row is None or row.state != "deleting":
                raise Violation(f"I2: {name} of {repo_id} was deleted while it was {row and row.state}")

    def _check_packs(self, old: State, new: State) -> None:
        for key in old.packs.keys() | new.packs.keys():
            before, after = old.packs.get(key), new.packs.get(key)
            change = before and before.state, after and after.state
            if change[0] == change[1]:
                continue
            repo, name = key
            is_deleted = self._is_being_cleaned(new, repo)
            file = new.repos[repo].public_id, name
            if file in self.strays:
                raise Violation(f"I3: {name} was adopted, and is nobody's")
            if change == (None, "live") and file in self.inherited and old.repos[repo].adopted_at is None:
                self.inherited.remove(file)
                self._taken_over.add(file)
            elif change not in ALLOWED_CHANGES and not (is_deleted and change[1] == "deleting"):
                raise Violation(f"I2: {name} went from {change[0]} to {change[1]}")
            self._check_change(old, new, key, before, after)
            if after is not None and after.state == "retired":
                self._retired_at[key] = self._now()

    def _check_change(
        self, old: State, new: State, key: PackKey, before: _PackRow | None, after: _PackRow | None
    ) -> None:
        (repo, name), public_id = key, new.repos[key[0]].public_id
        stored = new.stored.get((public_id, name))
        is_left = (public_id, name) in self._late or self._is_being_cleaned(new, repo)
        if after is None and stored is not None and not is_left:
            raise Violation(f"I2: the row of {name} went before its file")
        if after is not None and after.state == "live" and (public_id, name) not in self.damaged:
            self._check_durable(name, after, stored)
        if (before and after) and after.state == "deleting" and not self._is_being_cleaned(new, repo):
            self._check_deleting(key, before)
        if after is not None and after.state == "retired":
            lost = self._held[public_id, name] - self.held_by_live(repo)
            if lost:
                raise Violation(f"I2: {name} retired, and {len(lost)} of its objects are in no live pack")

    @staticmethod
    def _is_being_cleaned(state: State, repo: int) -> bool:
        """Tell whether the repository is deleted. Then all of it may go, and nobody reads or writes it."""
        return repo in state.repos and state.repos[repo].deleted_at is not None

    def _check_durable(self, name: str, row: _PackRow, stored: StoredPack | None) -> None:
        if stored is None:
            raise Violation(f"I2: {name} was listed before it was stored")
        body, trailer = stored.pack[:-20], stored.pack[-20:]
        if (
            hashlib.sha1(body, usedforsecurity=False).digest() != trailer
            or len(stored.pack) != row.size_bytes
        ):
            raise Violation(f"I2: {name} was listed and is not whole")

    def _check_deleting(self, key: PackKey, before: _PackRow) -> None:
        """I3, I5: only its writer gives up an incoming pack early, and nobody deletes a retired pack early."""
        name, age_s = key[1], self._now() - before.since
        if before.state == "incoming" and self._is_sweeping() and age_s < self._limits.incoming_grace_s:
            raise Violation(f"I3: {name} was swept {age_s} s after its writer began")
        age_s = self._now() - self._retired_at.get(key, before.since)
        if before.state == "retired" and age_s < self._limits.pack_keep_s:
            raise Violation(f"I5: {name} goes {age_s} s after it retired")

    def _check_journal(self, old: State, new: State) -> None:
        """I1, I2: a row goes only once a live pack holds its objects. The repository counts its rows."""
        for number in old.journal.keys() - new.journal.keys():
            repo, file, _ = old.journal[number]
            lost = self._held[file] - self._union(file[0], new.readable_of(repo))
            if lost and not self._is_being_cleaned(new, repo):
                raise Violation(f"I2: row {file[1]} went, and no live pack holds {sorted(lost)[0]}")
        for repo, row in new.repos.items():
            rows = [one for one in new.journal.values() if one.repo == repo]
            if self._is_being_cleaned(new, repo):
                continue
            if (row.journal_rows, row.journal_bytes) != (len(rows), sum(one.size_bytes for one in rows)):
                raise Violation(f"I6: {row.public_id} counts {row.journal_rows} rows and has {len(rows)}")

    def _check_damage(self, new: State) -> None:
        """I4: only damage by the disk is reported, or by a failover that undid a write under a request."""
        for repo, name, oid in self._database.truth.execute(
            "SELECT repo_id, pack, oid FROM damage"
        ).fetchall():
            if not name and oid in self._undone:
                continue
            public_id = new.repos[repo].public_id
            named = {(public_id, name)} if name else {file for file in self.damaged if file[0] == public_id}
            if not named & self.damaged:
                raise Violation(f"I4: {name or 'all'} of {public_id} is told to be damaged, and is not")

    def _check_versions(self, old: State, new: State) -> None:
        """I6: versions grow with their content, and no pair of version and state comes twice."""
        for number, row in new.repos.items():
            if self._is_being_cleaned(new, number):
                continue
            before = old.repos.get(number)
            live = new.live_of(number)
            refs = (
                frozenset(((ns, name), oid) for (of, ns, name), oid in new.refs.items() if of == number),
                new.rows_of(number),
            )
            known = self._lists.setdefault(
                (number, row.packs_version, row.packs_state), (row.generation, live)
            )
            if known != (row.generation, live):
                raise Violation(f"I6: two lists of packs have version {row.packs_version} of {row.public_id}")
            if self._refs_at.setdefault((number, row.refs_version, row.refs_state), refs) != refs:
                raise Violation(f"I6: two states of refs have version {row.refs_version} of {row.public_id}")
            if before is None:
                continue
            if row.packs_version < before.packs_version or row.refs_version < before.refs_version:
                raise Violation(f"I6: a version of {row.public_id} went back")
            if row.generation == before.generation and not old.live_of(number) <= live:
                raise Violation(f"I8: a pack of {row.public_id} went and the generation stayed")

    def _check_reachable(self, new: State) -> None:
        """I1: everything that a ref reaches is in live packs, and the packs exist."""
        readable: dict[int, frozenset[Oid]] = {}
        for (repo, namespace, refname), oid in new.refs.items():
            if new.repos[repo].deleted_at is not None or new.repos[repo].adopted_at is None:
                continue
            if repo not in readable:
                readable[repo] = self.held_by_live(repo)
                self._check_in_place(new, repo)
            lost = self.objects.closure(oid) - readable[repo]
            if lost:
                raise Violation(
                    f"I1: {namespace}{refname} leads to {sorted(lost)[0]}, which no live pack holds"
                )

    def _check_in_place(self, new: State, repo: int) -> None:
        public_id = new.repos[repo].public_id
        for name in new.live_of(repo):
            if (public_id, name) not in new.stored and (public_id, name) not in self.damaged:
                raise Violation(f"I1: {name} of {public_id} is listed and not stored")

    def _check_views(self) -> None:
        """I5: the packs that a view was promised are in its folder while it is open."""
        self.views = [view for view in self.views if not view.is_closed]
        for view in self.views:
            try:
                there = set(os.listdir(view.opened.object_dir / "pack"))
            except FileNotFoundError:
                there = set()
            lost = [n for n in sorted(view.promised) if not {f"pack-{n}.pack", f"pack-{n}.idx"} <= there]
            if lost:
                raise Violation(f"I5: a view of {view.repo_id} has lost {lost}")

    def _union(self, public_id: str, names: "frozenset[str] | list[str]") -> frozenset[Oid]:
        return frozenset[Oid]().union(*(self._held.get((public_id, name), frozenset()) for name in names))
