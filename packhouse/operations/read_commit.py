"""One commit, with its signature when it has one."""

from dataclasses import dataclass

from packhouse.auth.principal import Principal
from packhouse.git.objects import parse_commit, split_signature
from packhouse.node.node import Node
from packhouse.operations.list_commits import ListedCommit
from packhouse.operations.lookup import lookup_repo
from packhouse.repository.resolve import resolve_ref
from packhouse.repository.view import read_object


@dataclass(frozen=True, slots=True)
class Signature:
    """An armored OpenPGP, X.509 or SSH signature, and the bytes that it signs."""

    armored: bytes
    payload: bytes


@dataclass(frozen=True, slots=True)
class SignedCommit:
    """A commit; `signature` is None when it is not signed.

    `is_by_id` tells that the ref was a full id, so that the answer never changes.
    """

    listed: ListedCommit
    signature: Signature | None
    is_by_id: bool


def read_commit(node: Node, caller: Principal, name: str, *, ref: str) -> SignedCommit:
    """Return the commit that `ref` names; raise RepoNotFound, RefNotFound."""
    repo = lookup_repo(node, caller, name)
    resolved = resolve_ref(node, repo, ref)
    oid = resolved.commit
    content = read_object(node, repo, oid, "commit")
    split = split_signature(content)
    signature = Signature(*split) if split is not None and split[0].strip() else None
    return SignedCommit(ListedCommit(oid, parse_commit(content)), signature, resolved.is_by_id)
