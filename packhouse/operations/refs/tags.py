"""Tags as callers see them: a name and the commit it leads to."""

from dataclasses import dataclass

from packhouse.db.refs import Ref
from packhouse.errors import NotFound
from packhouse.git.oid import Oid
from packhouse.git.refname import RefName, short_name


class TagNotFound(NotFound):
    """The repository has no such tag. Field: tag."""

    def __init__(self, refname: RefName) -> None:
        super().__init__("tag does not exist", tag=short_name(refname))


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag; `target` is what it leads to once annotated tags are followed, a commit as a rule."""

    name: str
    target: Oid

    @classmethod
    def of(cls, ref: Ref) -> "Tag":
        """Return the tag that a ref is."""
        return cls(short_name(ref.refname), ref.peeled_oid or ref.oid)
