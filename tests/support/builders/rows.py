"""Rows for tests of the database."""

import hashlib
import uuid
from collections.abc import Sequence

from packhouse.db.engines.database import Database, open_database
from packhouse.db.packs import insert_incoming_pack
from packhouse.db.ref_transaction import RefOutcome, RefUpdate, apply_ref_updates
from packhouse.db.repos import insert_repo
from packhouse.git.oid import Oid
from packhouse.git.packs.memory_pack import MemoryPack
from packhouse.git.packs.pack import Pack
from packhouse.git.refname import RefName
from packhouse.ids import RepoId, RepoKey
from tests.support.clients.repo import Repo


def oid(seed: object) -> Oid:
    """Return the same made-up object id for the same seed."""
    return Oid(hashlib.sha1(repr(seed).encode(), usedforsecurity=False).hexdigest())


def add_repo(
    database: Database, org_id: int, name: str | None = None, *, default_branch: str = "main", now: int = 100
) -> RepoKey:
    """Add a repository and return its id. Without `name` it gets an unused one."""
    with database.write() as session:
        return insert_repo(
            session,
            public_id=RepoId(f"repo_{uuid.uuid4().hex}"),
            org_id=org_id,
            name=name or f"team/{uuid.uuid4().hex[:12]}",
            default_branch=default_branch,
            now=now,
        )


def add_repo_of_older_release(database: Database, org_id: int, name: str | None = None) -> RepoKey:
    """Add a repository with the first release's statement, to a schema of that release. Return its id."""
    public_id = f"repo_{uuid.uuid4().hex}"
    with database.write() as session:
        session.define(
            "INSERT INTO repos (public_id, org_id, name, name_folded, default_branch, created_at)"
            f" VALUES ('{public_id}', {org_id}, '{name or public_id}', '{name or public_id}', 'main', 100)"
        )
    ((repo_id,),) = ask(database, f"SELECT id FROM repos WHERE public_id = '{public_id}'")
    assert isinstance(repo_id, int)
    return RepoKey(repo_id)


def ask(database: Database, statement: str) -> list[tuple[object, ...]]:
    """Return the rows of a query that has no name in the server."""
    with database.read() as session:
        rows = session._connection.execute(statement).fetchall()  # type: ignore[attr-defined]  # asks the engine
    return [tuple(row) for row in rows]


def note_pack(database: Database, repo_id: RepoKey, seed: object, *, now: int = 150) -> Pack:
    """Add the row of an incoming pack and return the pack. The same seed gives the same pack."""
    pack = Pack(oid(seed), 1000, 3)
    with database.write() as session:
        insert_incoming_pack(session, repo_id, pack, now=now)
    return pack


def branch_update(
    branch: str, old: Oid | None, new: Oid | None, *, namespace: str = "", any_old: bool = False
) -> RefUpdate:
    """Return the update of a branch."""
    return RefUpdate(namespace, RefName(b"refs/heads/" + branch.encode()), old, new, any_old=any_old)


def apply(
    database: Database,
    repo_id: RepoKey,
    *updates: RefUpdate,
    atomic: bool = True,
    state: int = 1,
    now: int = 200,
    packs: Sequence[Pack] = (),
    small_packs: Sequence[MemoryPack] = (),
) -> list[RefOutcome]:
    """Run one ref transaction."""
    return database.transact(
        lambda session: (
            apply_ref_updates(
                session,
                repo_id,
                updates,
                actor="tester",
                action="test",
                state=state,
                now=now,
                packs=packs,
                small_packs=small_packs,
                atomic=atomic,
            ).outcomes
        )
    )


def write_ref_of_older_release(
    database: Database, repo_id: RepoKey, refname: str, new_oid: str, *, namespace: str = "", now: int = 150
) -> None:
    """Make a ref with the first release's statements. That release took more names and knew fewer columns."""
    key = f"'{namespace}', '{refname}'"
    with database.write() as session:
        session.define(f"UPDATE repos SET refs_version = refs_version + 1 WHERE id = {repo_id}")
        session.define(
            "INSERT INTO refs (repo_id, namespace, refname, oid, peeled_oid, created_at, updated_at)"
            f" VALUES ({repo_id}, {key}, '{new_oid}', NULL, {now}, {now})"
        )
        session.define(
            "INSERT INTO ref_log"
            " (repo_id, refs_version, namespace, refname, old_oid, new_oid, actor, action, created_at)"
            f" SELECT id, refs_version, {key}, NULL, '{new_oid}', 'tester', 'push', {now}"
            f" FROM repos WHERE id = {repo_id}"
        )


def add_old_ref(repo: Repo, refname: str, oid: str, *, namespace: str = "") -> None:
    """Make a ref like an older release, in the database of the SQLite server that serves `repo`."""
    database = open_database(f"sqlite:///{repo.org.server.data / 'packhouse.db'}")
    repo_id = repo.api("GET").json()["repository_id"]
    write_ref_of_older_release(database, repo_id, refname, oid, namespace=namespace)
    database.close()
