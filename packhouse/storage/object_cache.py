"""Small immutable objects kept in memory, so that a chain of writes does not re-read its own trees.

The repository is part of the key: what one repository holds is never an answer about another.
"""

import threading
from collections import OrderedDict

from packhouse import limits
from packhouse.git.oid import Oid

_OBJECT_MAX_BYTES = 256 * limits.KIB
_ENTRY_OVERHEAD_BYTES = 200


class ObjectCache:
    """The most recently used commits and trees of this process, bounded in bytes."""

    def __init__(self, max_bytes: int = limits.object_cache_max_bytes) -> None:
        self._max_bytes = max_bytes
        self._guard = threading.Lock()
        self._objects: OrderedDict[tuple[str, Oid], bytes] = OrderedDict()
        self._bytes = 0

    def get(self, repo_id: str, oid: Oid) -> bytes | None:
        """Return the content, or None when it is not in memory."""
        with self._guard:
            content = self._objects.get((repo_id, oid))
            if content is not None:
                self._objects.move_to_end((repo_id, oid))
            return content

    def put(self, repo_id: str, oid: Oid, content: bytes) -> None:
        """Keep the content of an object that is stored durably; large ones are not kept."""
        if len(content) > _OBJECT_MAX_BYTES:
            return
        with self._guard:
            if (repo_id, oid) in self._objects:
                return
            self._objects[repo_id, oid] = content
            self._bytes += len(content) + _ENTRY_OVERHEAD_BYTES
            while self._bytes > self._max_bytes:
                _, dropped = self._objects.popitem(last=False)
                self._bytes -= len(dropped) + _ENTRY_OVERHEAD_BYTES
