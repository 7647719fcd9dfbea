"""Branches as callers see them."""

from dataclasses import dataclass

from packhouse.db.refs import Ref
from packhouse.errors import NotFound
from packhouse.git.oid import Oid
from packhouse.git.refname import RefName, short_name


class BranchNotFound(NotFound):
    """Field: branch."""

    def __init__(self, refname: RefName) -> None:
        super().__init__("branch does not exist", branch=short_name(refname))


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch. `created_at` is when this server first saw it, in seconds since 1970."""

    name: str
    head: Oid
    created_at: int

    @classmethod
    def of(cls, ref: Ref) -> "Branch":
        """Return the branch that a ref is."""
        return cls(short_name(ref.refname), ref.oid, ref.created_at)
