"""A node without a disk: SQL and packs in memory, and what tests do on it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from packhouse.auth.principal import Principal
from packhouse.config import Config
from packhouse.db.sqlite_memory import SqliteMemory
from packhouse.git.objects import MODE_FILE, Person
from packhouse.git.oid import Oid
from packhouse.git.reader import configure_libgit2
from packhouse.git.refname import PERSISTENT, branch_refname
from packhouse.git.tree_edit import TreeEditor
from packhouse.git.tree_path import TreePath
from packhouse.node.node import Node
from packhouse.operations.commit_target import CommitTarget
from packhouse.operations.land_commit import CommitFacts, CommitPlan, LandedCommit, land_commit
from packhouse.operations.lookup import lookup_repo
from packhouse.repository.tree_maker import TreeMaker
from packhouse.repository.view import open_view
from packhouse.repository.write import Write
from packhouse.storage.memory.store import MemoryPackStore

ADA: Final = Person("Ada", "ada@example.test", 1000, "+0000")


def open_memory_node(data: Path) -> Node:
    """Return a node with an empty database. `data` is for what is derived and kept between starts, and made late."""
    configure_libgit2()
    database = SqliteMemory()
    database.migrate(lambda: 1000)
    node = Node(config=Config(data=data), database=database, store=MemoryPackStore())
    node.clock = lambda: 1000
    return node


def commit_files(
    node: Node,
    caller: Principal,
    name: str,
    branch: str,
    files: Mapping[str, bytes | None],
    *,
    base: str | None = None,
    expected: Oid | None = None,
) -> LandedCommit:
    """Commit contents by path, None for deleted; `base` is where a new branch begins."""
    target = CommitTarget(
        PERSISTENT,
        branch_refname(branch),
        base_refname=None if base is None else branch_refname(base),
        expected=expected,
    )
    with open_view(node, lookup_repo(node, caller, name)) as view, Write(view) as write:

        def make_tree(maker: TreeMaker) -> Oid:
            editor = TreeEditor(maker.read_tree, maker.parent_tree)
            for path, content in files.items():
                if content is None:
                    editor.delete(TreePath(path.encode()))
                else:
                    blob = write.writer.add_object("blob", content)
                    editor.upsert(TreePath(path.encode()), MODE_FILE, blob)
            return editor.write(maker.emit)

        plan = CommitPlan(target, CommitFacts(b"message\n", ADA, ADA), make_tree, action="test")
        return land_commit(node, caller, plan, write)
