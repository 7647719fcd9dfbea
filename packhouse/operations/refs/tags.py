"""Tags as callers see them: a name and the commit that it leads to."""

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
    """A tag. `target` is the object at the end of a chain of annotated tags, nearly always a commit."""

    name: str
    target: Oid

    @classmethod
    def of(cls, ref: Ref) -> "Tag":
        """Return the tag for a ref."""
        return cls(short_name(ref.refname), ref.peeled_oid or ref.oid)
