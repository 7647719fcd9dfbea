"""Stored refs. Only `ref_transaction.py` changes them."""

from dataclasses import dataclass
from typing import Any

from packhouse.db.session import Session, SqlValue
from packhouse.git import Oid, RefName, trusted_refname
from packhouse.ids import RepoKey


@dataclass(frozen=True, slots=True)
class Ref:
    """A ref. `namespace` is "" or "ephemeral". `peeled_oid` is the oid that an annotated tag finally points to.

    `created_at` is the time when this server first saw the ref, `updated_at` the time of its last move. `creation`
    grows in the order in which a repository's refs were made. It is None for a ref that a server of the release before
    made after the upgrade.
    """

    namespace: str
    refname: RefName
    oid: Oid
    peeled_oid: Oid | None
    created_at: int
    updated_at: int
    creation: int | None


@dataclass(frozen=True, slots=True)
class RefLogEntry:
    """A past ref update. None for an oid means that the ref did not exist."""

    id: int
    refs_version: int
    namespace: str
    refname: RefName
    old_oid: Oid | None
    new_oid: Oid | None
    actor: str
    action: str
    created_at: int


def ref_from_row(row: tuple[Any, ...]) -> Ref:
    """Return the Ref of a row with namespace, refname, oid, peeled_oid, created_at, updated_at, creation."""
    namespace, refname, oid, peeled_oid, created_at, updated_at, creation = row
    name = trusted_refname(refname.encode("utf-8"))
    return Ref(namespace, name, oid, peeled_oid, created_at, updated_at, creation)


def get_ref(session: Session, repo_id: RepoKey, namespace: str, refname: RefName) -> Ref | None:
    """Return the ref with that full name."""
    row = session.one("get_ref", repo_id=repo_id, namespace=namespace, refname=refname.decode("utf-8"))
    return None if row is None else ref_from_row(row)


def list_refs(session: Session, repo_id: RepoKey, namespace: str | None = None) -> list[Ref]:
    """Return all refs of a namespace, sorted by the bytes of their names; without one, of both in turn.

    Only pushes bound their number. Use it for advertisements, which must name them all.
    """
    if namespace is None:
        rows = session.all("list_all_refs", repo_id=repo_id)
    else:
        rows = session.all("list_refs", repo_id=repo_id, namespace=namespace)
    return [ref_from_row(row) for row in rows]


def list_branches_page(
    session: Session, repo_id: RepoKey, namespace: str, *, after: tuple[int, RefName] | None, limit: int
) -> list[Ref]:
    """Return at most `limit` branches in the order of creation, strictly after (creation, refname).

    Each has its `creation`. A later branch has a higher number than all branches that are visible now. So a caller that
    goes on from its last branch misses none. `session` must be a snapshot: between two queries in different states, a
    branch with a lower number may appear.
    """
    after_creation, after_name = after or (-1, b"")
    folder: dict[str, SqlValue] = {"repo_id": repo_id, "namespace": namespace}
    place: dict[str, SqlValue] = {
        **folder,
        "after_creation": after_creation,
        "after_name": after_name.decode("utf-8"),
        "limit": limit,
    }
    rows = []
    if session.one("has_unnumbered_branches", **folder) is not None:
        rows = session.all("list_unnumbered_branches", **place)
    refs = [ref_from_row(row) for row in rows + session.all("list_branches_page", **place)]
    return sorted(refs, key=creation_order)[:limit] if rows else refs


def creation_order(ref: Ref) -> tuple[int, RefName]:
    """Return the sort key for refs of one repository. Refs without a number are the newest."""
    return (ref.creation if ref.creation is not None else 2**63 - 1, ref.refname)


def list_refs_page(
    session: Session, repo_id: RepoKey, namespace: str, *, prefix: bytes, after: RefName | None, limit: int
) -> list[Ref]:
    """Return at most `limit` refs whose names start with `prefix` and come after `after`, sorted by bytes.

    The prefix need not end with a whole folder. It must be UTF-8, as all names are.
    """
    low = prefix.decode("utf-8")
    rows = session.all(
        "list_refs_page",
        repo_id=repo_id,
        namespace=namespace,
        low=low,
        high=_after_all(low),
        after=(after or b"").decode("utf-8"),
        limit=limit,
    )
    return [ref_from_row(row) for row in rows]


def _after_all(prefix: str) -> str:
    """Return the first text after all texts that start with `prefix`, in the order of code points."""
    last = ord(prefix[-1]) + 1
    return prefix[:-1] + chr(0xE000 if 0xD800 <= last < 0xE000 else min(last, 0x10FFFF))


def has_branches(session: Session, repo_id: RepoKey, namespace: str = "") -> bool:
    """Tell whether the repository has a branch in the namespace."""
    return session.one("has_branches", repo_id=repo_id, namespace=namespace) is not None


def list_ref_log(
    session: Session,
    repo_id: RepoKey,
    *,
    ref: tuple[str, RefName] | None = None,
    before: int | None = None,
    limit: int,
) -> list[RefLogEntry]:
    """Return at most `limit` ref updates of the repository, or of one (namespace, refname), newest first.

    `before` is the id of an entry; the page starts with the entry before it.
    """
    before = before if before is not None else 2**63 - 1
    if ref is None:
        rows = session.all("list_ref_log", repo_id=repo_id, before=before, limit=limit)
    else:
        rows = session.all(
            "list_ref_log_of_ref",
            repo_id=repo_id,
            namespace=ref[0],
            refname=ref[1].decode("utf-8"),
            before=before,
            limit=limit,
        )
    return [_log_entry_from_row(row) for row in rows]


def _log_entry_from_row(row: tuple[Any, ...]) -> RefLogEntry:
    entry_id, refs_version, namespace, refname, old_oid, new_oid, actor, action, created_at = row
    return RefLogEntry(
        entry_id,
        refs_version,
        namespace,
        trusted_refname(refname.encode("utf-8")),
        old_oid,
        new_oid,
        actor,
        action,
        created_at,
    )
