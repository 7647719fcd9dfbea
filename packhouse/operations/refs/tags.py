"""Tags as callers see them: a name and the commit it leads to."""

from dataclasses import dataclass

from packhouse.db import Ref
from packhouse.errors import Code, NotFound
from packhouse.git import Oid, short_name


class TagNotFound(NotFound):
    """The repository has no such tag."""

    code = Code.TAG_NOT_FOUND
    tag: str


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag; `target` is what it leads to once annotated tags are followed, a commit as a rule."""

    name: str
    target: Oid

    @classmethod
    def of(cls, ref: Ref) -> "Tag":
        """Return the tag that a ref is."""
        return cls(short_name(ref.refname), ref.peeled_oid or ref.oid)
