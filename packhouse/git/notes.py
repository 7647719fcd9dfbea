"""Notes trees: which blob holds the note of an object. Source: git's notes.c, load_subtree()."""

from typing import Final

from packhouse.git.objects import MODE_TREE, parse_tree
from packhouse.git.oid import Oid
from packhouse.git.tree_walk import TreeReader

_FOLDER_DIGITS: Final = 2


def find_note(read_tree: TreeReader, root: Oid, target: Oid) -> Oid | None:
    """Return the blob of the note attached to `target`, or None.

    Git names a note by the id of its object, spread over folders of two digits each as the tree grows; how
    many levels there are is not recorded anywhere, so each is tried, the shallowest first.
    """
    tree: Oid | None = root
    rest = target.encode("ascii")
    while tree is not None and rest:
        folder = None
        for entry in parse_tree(read_tree(tree)):
            if entry.mode != MODE_TREE and entry.name == rest:
                return entry.oid
            if entry.mode == MODE_TREE and entry.name == rest[:_FOLDER_DIGITS]:
                folder = entry.oid
        tree, rest = folder, rest[_FOLDER_DIGITS:]
    return None
