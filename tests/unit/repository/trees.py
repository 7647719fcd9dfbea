"""Commits of files on a node in memory, and reading them back."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from packhouse.db.packs import replace_packs
from packhouse.db.repos import Repo
from packhouse.git.objects.codec import (
    MODE_EXECUTABLE,
    MODE_FILE,
    MODE_SYMLINK,
    TreeEntry,
    encode_commit,
    encode_tree,
    parse_commit,
)
from packhouse.git.objects.reader import Objects
from packhouse.git.objects.tree_walk import iter_leaves
from packhouse.git.oid import Oid
from packhouse.node.node import Node
from packhouse.repository.view import RepoView
from packhouse.repository.write import Write
from tests.support.builders.node_writes import ADA

T = TypeVar("T")

Files = Mapping[str, bytes | tuple[int, bytes]]
"""Contents by path. A pair has a mode as well; otherwise the mode is that of a plain file."""

EXECUTABLE, SYMLINK = MODE_EXECUTABLE, MODE_SYMLINK


def add_tree(write: Write, files: Files) -> Oid:
    """Add a tree with its folders and blobs; return its id."""
    entries: list[TreeEntry] = []
    folders: dict[str, dict[str, bytes | tuple[int, bytes]]] = {}
    for path, content in files.items():
        name, _, rest = path.partition("/")
        if rest:
            folders.setdefault(name, {})[rest] = content
            continue
        mode, data = content if isinstance(content, tuple) else (MODE_FILE, content)
        entries.append(TreeEntry(mode, name.encode(), write.writer.add_object("blob", data)))
    entries += [
        TreeEntry(0o40000, name.encode(), add_tree(write, inside)) for name, inside in folders.items()
    ]
    return write.writer.add_object("tree", encode_tree(entries))


def add_files_commit(write: Write, files: Files, *parents: Oid, message: bytes = b"m\n") -> Oid:
    """Add a commit with these files; return its id."""
    content = encode_commit(
        tree=add_tree(write, files), parents=parents, author=ADA, committer=ADA, message=message
    )
    return write.writer.add_object("commit", content)


def tree_of(reader: Objects, commit: Oid) -> Oid:
    """Return the tree of a commit."""
    return parse_commit(reader.read(commit, kind="commit")[1]).tree


def read_files(reader: Objects, tree: Oid) -> dict[str, bytes]:
    """Return the content of every file of a tree by its path."""
    leaves = iter_leaves(lambda oid: reader.read(oid, kind="tree")[1], tree, b"", entries_max=1000)
    return {leaf.path.decode(): reader.read(leaf.oid)[1] for leaf in leaves}


def read_modes(reader: Objects, tree: Oid) -> dict[str, int]:
    """Return the mode of every file of a tree by its path."""
    leaves = iter_leaves(lambda oid: reader.read(oid, kind="tree")[1], tree, b"", entries_max=1000)
    return {leaf.path.decode(): leaf.mode for leaf in leaves}


def store(node: Node, repo: Repo, add: Callable[[Write], T]) -> T:
    """List a pack of the objects that `add` adds, and return the result of `add`. No ref leads to them."""
    with RepoView(node, repo) as view, Write(view) as write:
        added = add(write)
        packs = write.publish(may_journal=False).packs
        with node.database.write() as session:
            assert replace_packs(
                session, repo.id, old=[], new=packs, state=node.new_state(), now=node.clock()
            )
        write.keep_published()
    return added
