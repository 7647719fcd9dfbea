"""Making the tree of a new commit: what it starts from, and where new trees go."""

from collections.abc import Callable
from dataclasses import dataclass, field

from packhouse.git.oid import Oid
from packhouse.git.pack_writer import PackWriter


@dataclass(slots=True)
class TreeMaker:
    """What a caller's `make_tree` works with: the parent's tree, and where new trees go.

    `parent_tree` is None for a root commit.
    """

    parent_tree: Oid | None
    read_tree: Callable[[Oid], bytes]
    writer: PackWriter
    written: dict[Oid, bytes] = field(default_factory=dict)

    def emit(self, content: bytes) -> Oid:
        """Store a new tree and return its id."""
        oid = self.writer.add_object("tree", content)
        self.written[oid] = content
        return oid
