"""A node without a disk: SQL and packs in memory."""

from pathlib import Path

from packhouse.config import Config
from packhouse.db.engines.sqlite_memory import SqliteMemory
from packhouse.git.objects.reader import configure_libgit2
from packhouse.node.node import Node
from packhouse.storage.memory.store import MemoryPackStore


def open_memory_node(data: Path, *, database: SqliteMemory | None = None) -> Node:
    """Return a node with an empty database. `data` is the folder for derived files; it is made when it is needed."""
    configure_libgit2()
    database = database or SqliteMemory()
    database.migrate(lambda: 1000)
    node = Node(config=Config(data=data), database=database, store=MemoryPackStore())
    node.clock = lambda: 1000
    return node
