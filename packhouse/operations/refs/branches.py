"""Branches as callers see them."""

from dataclasses import dataclass

from packhouse.db import Ref
from packhouse.errors import Code, Conflict, NotFound
from packhouse.git import Oid, short_name


class BranchBusy(Conflict):
    """Other writers kept the branch busy."""

    branch: str


class BranchKeptMoving(BranchBusy):
    """Other writers moved the branch at every attempt."""

    code = Code.BRANCH_KEPT_MOVING


class BranchHasWriters(BranchBusy):
    """Other writers of the branch in this process did not finish in time."""

    code = Code.BRANCH_HAS_WRITERS


class BranchNotFound(NotFound):
    """The repository has no such branch in that namespace."""

    code = Code.BRANCH_NOT_FOUND
    branch: str


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch. `created_at` is the time when this server first saw it, in seconds since 1970."""

    name: str
    head: Oid
    created_at: int

    @classmethod
    def of(cls, ref: Ref) -> "Branch":
        """Return the branch for a ref."""
        return cls(short_name(ref.refname), ref.oid, ref.created_at)
