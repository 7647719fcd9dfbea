"""Making the tree of a new commit: what it starts from, and where new trees go."""

from collections.abc import Callable
from dataclasses import dataclass, field

from packhouse.git.objects.tree_edit import TreeEditor
from packhouse.git.oid import Oid
from packhouse.git.packs.writer import PackWriter


@dataclass(slots=True)
class TreeMaker:
    """What a caller's `make_tree` works with: the parent's tree, and where new trees go.

    `parent_tree` is None for a root commit.
    """

    parent_tree: Oid | None
    read_tree: Callable[[Oid], bytes]
    writer: PackWriter
    written: dict[Oid, bytes] = field(default_factory=dict)
    _editors: list[TreeEditor] = field(default_factory=list)

    def edit(self) -> TreeEditor:
        """Return an editor of the parent's tree. Its edits decide whether git has to judge the commit."""
        editor = TreeEditor(self.read_tree, self.parent_tree)
        self._editors.append(editor)
        return editor

    @property
    def needs_git_fsck(self) -> bool:
        """Whether an edit put content into the tree that git has rules for."""
        return any(editor.needs_git_fsck for editor in self._editors)

    def emit(self, content: bytes) -> Oid:
        """Store a new tree and return its id."""
        oid = self.writer.add_object("tree", content)
        self.written[oid] = content
        return oid
