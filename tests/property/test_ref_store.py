"""The ref store agrees with a dict, whatever is asked of it, on both engines."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from packhouse.db.engines.database import Database, Session, open_database
from packhouse.db.orgs import insert_org
from packhouse.db.ref_transaction import (
    DefaultBranchProtected,
    RefMismatch,
    RefMissing,
    RefNameConflict,
    RefNamedTwice,
    RefOutcome,
    RefUpdate,
    apply_ref_updates,
)
from packhouse.db.refs import get_ref, has_branches, list_branches_page, list_ref_log, list_refs
from packhouse.db.repos import find_repo_by_id, insert_repo, set_default_branch
from packhouse.errors import PackhouseError
from packhouse.git.oid import Oid
from packhouse.git.refname import EPHEMERAL, HEADS, NOTES, PERSISTENT, TAGS, RefName
from packhouse.ids import RepoId
from tests.support.builders.rows import oid
from tests.support.servers.postgres import PostgresServer

Key = tuple[str, RefName]

# Few names that meet often: prefixes of each other, neighbours of "/" in byte order, LIKE's wildcards, non-ASCII.
SEGMENTS = st.sampled_from(["a", "b", "a-", "a.b", "a0", "%", "_", "é", "A", "main"])
NAMES = st.lists(SEGMENTS, min_size=1, max_size=3).map("/".join)
PREFIXES = st.sampled_from([HEADS, HEADS, HEADS, TAGS, NOTES])
REFNAMES = st.builds(lambda prefix, name: RefName(prefix + name.encode()), PREFIXES, NAMES)
NAMESPACES = st.sampled_from([PERSISTENT, PERSISTENT, EPHEMERAL])
OIDS = st.integers(0, 5).map(oid)


class Model:
    """What the refs should be: a dict, and the rules in the plainest words."""

    def __init__(self) -> None:
        self.refs: dict[Key, Oid] = {}
        self.created: dict[Key, tuple[int, int]] = {}
        self.steps = 0
        self.default_branch = "main"

    def fault_of(self, update: RefUpdate, updates: list[RefUpdate]) -> type[PackhouseError] | None:
        """Return the error that this update must meet in the present state."""
        key = (update.namespace, update.refname)
        present = self.refs.get(key)
        if [(other.namespace, other.refname) for other in updates].count(key) > 1:
            return RefNamedTwice
        if not update.any_old and update.old_oid != present:
            return RefMismatch
        if update.new_oid is None:
            if key == (PERSISTENT, HEADS + self.default_branch.encode()):
                return DefaultBranchProtected
            return RefMissing if update.any_old and present is None else None
        beside = (name for namespace, name in self.refs if namespace == update.namespace)
        if present is None and any(
            name.startswith(update.refname + b"/") or update.refname.startswith(name + b"/")
            for name in beside
        ):
            return RefNameConflict
        return None

    def apply(self, updates: list[RefUpdate], *, atomic: bool) -> list[type[PackhouseError] | None]:
        """Return the error of each update, deletions first; a single one when an atomic transaction fails."""
        before, created_before = dict(self.refs), dict(self.created)
        self.steps += 1
        faults: dict[int, type[PackhouseError] | None] = {}
        for position in sorted(range(len(updates)), key=lambda i: updates[i].new_oid is not None):
            update = updates[position]
            fault = faults[position] = self.fault_of(update, updates)
            if fault is not None and atomic:
                self.refs, self.created = before, created_before
                return [fault]
            if fault is None and update.new_oid is None:
                self.refs.pop((update.namespace, update.refname), None)
            elif fault is None and update.new_oid is not None:
                key = (update.namespace, update.refname)
                if key not in self.refs:
                    self.created[key] = (self.steps, position)
                self.refs[key] = update.new_oid
        return [faults[position] for position in range(len(updates))]


class RefStoreMachine(RuleBasedStateMachine):
    """Drives one repository and the model with the same steps."""

    known = Bundle("known")

    def __init__(self, database: Database, org_id: int) -> None:
        super().__init__()
        self.database = database
        self.org_id = org_id
        self.model = Model()
        self.now = 1000
        self.transactions = 0
        self.state = 0

    @initialize()
    def create_repository(self) -> None:
        with self.database.write() as session:
            self.repo_id = insert_repo(
                session,
                public_id=RepoId(f"repo_{uuid.uuid4().hex}"),
                org_id=self.org_id,
                name=uuid.uuid4().hex,
                default_branch="main",
                now=self.now,
            )

    @rule(
        target=known,
        updates=st.lists(st.tuples(NAMESPACES, REFNAMES, OIDS), min_size=1, max_size=4),
        atomic=st.booleans(),
    )
    def create_or_set(self, updates: list[tuple[str, RefName, Oid]], atomic: bool) -> Key:
        self.step(
            [
                RefUpdate(namespace, refname, self.model.refs.get((namespace, refname)), new)
                for namespace, refname, new in updates
            ],
            atomic=atomic,
        )
        return updates[0][0], updates[0][1]

    @rule(key=known, old=OIDS | st.none(), new=OIDS | st.none(), any_old=st.booleans())
    def update_with_any_guard(self, key: Key, old: Oid | None, new: Oid | None, any_old: bool) -> None:
        self.step([RefUpdate(*key, old, new, any_old=any_old)], atomic=True)

    @rule(keys=st.lists(known, min_size=1, max_size=4, unique=True), atomic=st.booleans())
    def delete(self, keys: list[Key], atomic: bool) -> None:
        self.step([RefUpdate(*key, self.model.refs.get(key), None) for key in keys], atomic=atomic)

    @rule(key=known, below=SEGMENTS, new=OIDS, atomic=st.booleans())
    def turn_into_folder(self, key: Key, below: str, new: Oid, atomic: bool) -> None:
        namespace, refname = key
        inside = RefName(refname + b"/" + below.encode())
        create = RefUpdate(namespace, inside, None, new)
        self.step([create, RefUpdate(*key, self.model.refs.get(key), None)], atomic=atomic)

    @rule(branch=NAMES)
    def change_default_branch(self, branch: str) -> None:
        with self.database.write() as session:
            set_default_branch(session, self.repo_id, branch, state=self.next_state())
        self.model.default_branch = branch
        self.transactions += 1

    def next_state(self) -> int:
        """Return the state that goes with the version which the next transaction writes."""
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**63
        return self.state

    def step(self, updates: list[RefUpdate], *, atomic: bool) -> None:
        self.now += 1
        expected = self.model.apply(updates, atomic=atomic)
        written, state = self.state, self.next_state()

        def work(session: Session) -> list[RefOutcome]:
            return apply_ref_updates(
                session,
                self.repo_id,
                updates,
                actor="",
                action="",
                state=state,
                now=self.now,
                atomic=atomic,
            ).outcomes

        answer: list[type[PackhouseError] | None]
        try:
            outcomes = self.database.transact(work)
        except PackhouseError as error:
            answer = [type(error)]
            self.state = written
        else:
            answer = [type(outcome.error) if outcome.error else None for outcome in outcomes]
            self.transactions += 1
        assert answer == expected

    @invariant()
    def the_store_shows_what_the_dict_holds(self) -> None:
        with self.database.snapshot() as session:
            refs = list_refs(session, self.repo_id)
            repo = find_repo_by_id(session, self.repo_id)
            log = list_ref_log(session, self.repo_id, limit=10_000)
            some = refs[len(refs) // 2] if refs else None
            looked_up = some and get_ref(session, self.repo_id, some.namespace, some.refname)
            branches = list_branches_page(session, self.repo_id, PERSISTENT, after=None, limit=1000)
            any_branch = has_branches(session, self.repo_id)
        assert {(ref.namespace, ref.refname): ref.oid for ref in refs} == self.model.refs
        assert [(ref.namespace, ref.refname) for ref in refs] == sorted(self.model.refs)
        assert looked_up == some
        assert branches == sorted(
            (ref for ref in refs if ref.namespace == PERSISTENT and ref.refname.startswith(HEADS)),
            key=lambda ref: self.model.created[(ref.namespace, ref.refname)],
        )
        assert any_branch == bool(branches)
        assert repo is not None
        assert (repo.refs_version, repo.default_branch) == (self.transactions, self.model.default_branch)
        assert repo.refs_state == self.state
        assert (repo.packs_version, repo.packs_state) == (0, 0)  # none of the steps brings a pack
        replayed: dict[Key, Oid] = {}
        for entry in reversed(log):
            key = (entry.namespace, entry.refname)
            assert replayed.pop(key, None) == entry.old_oid
            if entry.new_oid is not None:
                replayed[key] = entry.new_oid
        assert replayed == self.model.refs


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An open database of either engine."""
    url = f"sqlite:///{tmp_path / 'packhouse.db'}"
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = server.new_database()
    database = open_database(url)
    database.migrate()
    yield database
    database.close()


def test_the_ref_store_agrees_with_a_dict(database: Database) -> None:
    with database.write() as session:
        org = insert_org(session, name="acme", now=1)

    class Machine(RefStoreMachine):
        def __init__(self) -> None:
            super().__init__(database, org.id)

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=100,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
