"""Reading one commit, with its signature if it has one."""

from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.git.objects import parse_commit, split_signature
from packhouse.node import Node
from packhouse.operations.catalog.lookup import open_repo
from packhouse.operations.reading.list_commits import ListedCommit
from packhouse.repository import resolve_ref


@dataclass(frozen=True, slots=True)
class Signature:
    """An armored OpenPGP, X.509 or SSH signature, and the bytes that it signs."""

    armored: bytes
    payload: bytes


@dataclass(frozen=True, slots=True)
class SignedCommit:
    """A commit. `signature` is None for an unsigned one.

    `is_by_id`: the ref was a full id, so the answer never changes.
    """

    listed: ListedCommit
    signature: Signature | None
    is_by_id: bool


@dataclass(frozen=True, slots=True)
class ReadCommit:
    """The commit to read, as any ref input."""

    repo: str
    ref: str


def read_commit(node: Node, caller: Principal, command: ReadCommit) -> SignedCommit:
    """Return the commit that the ref names; raise RepoNotFound, RefNotFound."""
    with open_repo(node, caller, command.repo, ref=command.ref) as view:
        resolved = resolve_ref(view, command.ref)
        oid = resolved.commit
        content = view.read_kept(oid, "commit")
    split = split_signature(content)
    signature = Signature(*split) if split is not None and split[0].strip() else None
    return SignedCommit(ListedCommit(oid, parse_commit(content)), signature, resolved.is_by_id)
