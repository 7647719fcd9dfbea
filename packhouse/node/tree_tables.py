"""Trees of one repository as tables, the most recently used kept in memory."""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from packhouse import limits
from packhouse.git.oid import Oid
from packhouse.git.tree_table import TreeTable

_TREE_OVERHEAD_ENTRIES = 4
_TABLE_SHARE_MAX = 4  # a table that would take more than this part of the memory is not kept


@dataclass(slots=True)
class TreeTableCache:
    """Tables by repository and id, bounded in entries. Nobody changes a table that came from here."""

    _guard: threading.Lock = field(default_factory=threading.Lock)
    _tables: OrderedDict[tuple[int, Oid], TreeTable] = field(default_factory=OrderedDict)
    _entries: int = 0

    def get(self, repo_id: int, oid: Oid) -> TreeTable | None:
        """Return the kept table, or None."""
        with self._guard:
            found = self._tables.get((repo_id, oid))
            if found is not None:
                self._tables.move_to_end((repo_id, oid))
            return found

    def put(self, repo_id: int, oid: Oid, table: TreeTable) -> None:
        """Keep a table unless it is huge; the least recently used go when there are too many entries."""
        if len(table) > limits.tree_table_entries_max // _TABLE_SHARE_MAX:
            return
        with self._guard:
            if (repo_id, oid) in self._tables:
                return
            self._tables[repo_id, oid] = table
            self._entries += len(table) + _TREE_OVERHEAD_ENTRIES
            while self._entries > limits.tree_table_entries_max and self._tables:
                _, dropped = self._tables.popitem(last=False)
                self._entries -= len(dropped) + _TREE_OVERHEAD_ENTRIES
