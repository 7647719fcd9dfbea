"""The source of a fork or snapshot, as far as the second token opens it."""

from dataclasses import dataclass

from packhouse.auth import Principal, Scope
from packhouse.db import Ref, Repo, RepoNotFound, find_repo_by_id, list_refs
from packhouse.errors import Code, Denied
from packhouse.git import HEAD, HEADS, PERSISTENT, TAGS, Oid, is_oid
from packhouse.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.tenants.authenticate import Authenticate, authenticate
from packhouse.repository import RefNotFound, RepoView, check_ref_input, head_target


class ForeignSource(Denied):
    """The source belongs to another organisation. Repositories are copied within one."""

    code = Code.FOREIGN_SOURCE


@dataclass(frozen=True, slots=True)
class SourceState:
    """The source and its branches and tags at one moment."""

    repo: Repo
    refs: list[Ref]

    def find(self, text: str) -> Ref | None:
        """Return the branch or tag with that full or short name; a branch wins over a tag.

        As everywhere, `HEAD` is the default branch, and forty digits are an object id.
        """
        short = check_ref_input(text)
        name = short.encode("utf-8")
        by_name = {bytes(ref.refname): ref for ref in self.refs}
        candidates: tuple[bytes, ...] = (HEADS + name, TAGS + name)
        if name == HEAD:
            candidates = (head_target(self.repo),)
        elif name.startswith(b"refs/"):
            candidates = (name,)
        elif is_oid(short.lower()):
            candidates = ()
        return next((by_name[candidate] for candidate in candidates if candidate in by_name), None)

    def require(self, text: str) -> Ref:
        """Return the ref that `find` finds; raise RefNotFound when there is none."""
        ref = self.find(text)
        if ref is None:
            raise RefNotFound(text)
        return ref

    def tips(self) -> set[Oid]:
        """Return the objects that the branches and tags lead to."""
        return {ref.peeled_oid or ref.oid for ref in self.refs}


def open_source(node: Node, caller: Principal, name: str, token: str) -> Repo:
    """Return the source if `token` opens it for reading.

    Raises RepoNotFound, Unauthenticated for a bad token, and Denied for a token of another organisation, for another
    repository or without the scope.
    """
    reader = authenticate(node, Authenticate(token))
    if reader.org_id != caller.org_id:
        raise ForeignSource()
    reader.require_repo(name)
    reader.require_scope(Scope.GIT_READ, Scope.GIT_WRITE)
    return lookup_repo(node, reader, name)


def read_source(node: Node, repo: Repo) -> SourceState:
    """Return the source's branches and tags, all as of one moment."""
    with node.database.snapshot() as session:
        now = find_repo_by_id(session, repo.id)
        if now is None or now.deleted_at is not None:
            raise RepoNotFound(repo.name)
        refs = list_refs(session, repo.id, PERSISTENT)
    return SourceState(now, [ref for ref in refs if ref.refname.startswith((HEADS, TAGS))])


def peel_to_commit(view: RepoView, ref: Ref, text: str) -> Oid:
    """Return the commit that a branch or tag leads to; raise RefNotFound when it leads to another object."""
    kind, commit = view.peel(ref.oid)
    if kind != "commit":
        raise RefNotFound(text)
    return commit
