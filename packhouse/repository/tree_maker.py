"""Making the tree of a new commit."""

from collections.abc import Callable
from dataclasses import dataclass, field

from packhouse.git import Oid
from packhouse.git.objects import TreeEditor
from packhouse.git.packs import PackWriter


@dataclass(slots=True)
class TreeMaker:
    """The parent's tree, and the place for new trees: a caller's `make_tree` works with both.

    `parent_tree` is None for a root commit.
    """

    parent_tree: Oid | None
    read_tree: Callable[[Oid], bytes]
    writer: PackWriter
    written: dict[Oid, bytes] = field(default_factory=dict)
    _editors: list[TreeEditor] = field(default_factory=list)

    def edit(self) -> TreeEditor:
        """Return an editor of the parent's tree. `needs_git_fsck` watches its edits."""
        editor = TreeEditor(self.read_tree, self.parent_tree)
        self._editors.append(editor)
        return editor

    @property
    def needs_git_fsck(self) -> bool:
        """Tell whether an edit added content that git has rules for, so that git must judge the commit."""
        return any(editor.needs_git_fsck for editor in self._editors)

    def emit(self, content: bytes) -> Oid:
        """Store a new tree and return its id."""
        oid = self.writer.add_object("tree", content)
        self.written[oid] = content
        return oid
