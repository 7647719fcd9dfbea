"""Rows as tests of the database need them."""

import hashlib
import uuid

from packhouse.db.database import Database
from packhouse.db.ref_transaction import RefOutcome, RefUpdate, apply_ref_updates
from packhouse.db.repos import insert_repo
from packhouse.git.oid import Oid
from packhouse.git.refname import RefName


def oid(seed: object) -> Oid:
    """Return the same made-up object id for the same seed."""
    return Oid(hashlib.sha1(repr(seed).encode(), usedforsecurity=False).hexdigest())


def add_repo(
    database: Database, org_id: int, name: str | None = None, *, default_branch: str = "main", now: int = 100
) -> int:
    """Add a repository, under a name of its own unless one is given, and return its id."""
    with database.write() as session:
        return insert_repo(
            session,
            public_id=f"repo_{uuid.uuid4().hex}",
            org_id=org_id,
            name=name or f"team/{uuid.uuid4().hex[:12]}",
            default_branch=default_branch,
            now=now,
        )


def branch_update(
    branch: str, old: Oid | None, new: Oid | None, *, namespace: str = "", any_old: bool = False
) -> RefUpdate:
    """Return the update of a branch."""
    return RefUpdate(namespace, RefName(b"refs/heads/" + branch.encode()), old, new, any_old=any_old)


def apply(
    database: Database, repo_id: int, *updates: RefUpdate, atomic: bool = True, now: int = 200
) -> list[RefOutcome]:
    """Run one ref transaction."""
    return database.transact(
        lambda session: apply_ref_updates(
            session, repo_id, updates, actor="tester", action="test", now=now, atomic=atomic
        )
    )
