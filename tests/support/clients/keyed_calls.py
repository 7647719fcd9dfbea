"""Every call that takes an idempotency key, on the sample history, in both dialects."""

import base64
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import httpx

from tests.support.builders.sample_history import SampleHistory
from tests.support.clients.repo import AUTHOR, Repo, commit_lines, ndjson_line

PATCH = b"""diff --git a/added.txt b/added.txt
new file mode 100644
--- /dev/null
+++ b/added.txt
@@ -0,0 +1 @@
+added
"""


@dataclass(frozen=True)
class KeyedCall:
    """One write. `body` makes its body. `path` follows `/repos` in released paths, else the repository.

    `is_streamed` bodies are NDJSON. `moves` is the number of rows that it adds to the ref log.
    """

    name: str
    method: str
    path: str
    body: Callable[[SampleHistory], bytes]
    is_streamed: bool = False
    moves: int = 1
    has_result: bool = False
    only: str = ""

    def send(
        self, history: SampleHistory, dialect: str, key: str | None, *, other: bool = False
    ) -> httpx.Response:
        """Send the call with the key; with `other`, send another text of the same meaning as its body."""
        body = self.body(history)
        if other:
            body = b" " + body
        return self.send_body(history.repo, dialect, key, body)

    def send_body(
        self, repo: Repo, dialect: str, key: str | None, content: bytes | Iterable[bytes]
    ) -> httpx.Response:
        """Send any body."""
        media = "application/x-ndjson" if self.is_streamed else "application/json"
        headers = {"Content-Type": media, **({} if key is None else {"Idempotency-Key": key})}
        if dialect == "api":
            return repo.api(self.method, self.path, content=content, headers=headers)
        return repo.v1(self.method, f"/repos{self.path}", content=content, headers=headers)


def _json(**members: Any) -> Callable[[SampleHistory], bytes]:
    """Return a maker of a JSON body. A member `:NAME` becomes the commit of that name in the history."""

    def make(history: SampleHistory) -> bytes:
        values = {
            name: getattr(history, value[1:]) if isinstance(value, str) and value[:1] == ":" else value
            for name, value in members.items()
        }
        return json.dumps(values).encode()

    return make


def _restore(_: SampleHistory) -> bytes:
    metadata = {"target_branch": "main", "base_ref": "v1", "author": AUTHOR}
    return json.dumps({"metadata": metadata}).encode()


def _files(_: SampleHistory) -> bytes:
    return b"".join(commit_lines("main", {"new.txt": b"new\n"}))


def _patch(_: SampleHistory) -> bytes:
    metadata = {"target_branch": "main", "commit_message": "patch", "author": AUTHOR}
    chunk = {"data": base64.b64encode(PATCH).decode(), "eof": True}
    return ndjson_line({"metadata": metadata}) + ndjson_line({"diff_chunk": chunk})


_NOTE = {"object_ref": ":start", "notes_ref": "reviews"}

COMMIT = KeyedCall("create_commit", "POST", "/commit-pack", _files, is_streamed=True, has_result=True)
CREATE_BRANCH = KeyedCall(
    "create_branch", "POST", "/branches/create", _json(target_branch="new", base_ref="main")
)
CREATE_TAG = KeyedCall("create_tag", "POST", "/tags", _json(name="v2", ref="main"))
DELETE_BRANCH = KeyedCall("delete_branch", "DELETE", "/branches", _json(target_branch="docs"))
KEYED_CALLS = (
    COMMIT,
    KeyedCall("diff_commit", "POST", "/diff-commit", _patch, is_streamed=True, has_result=True),
    KeyedCall("restore_commit", "POST", "/restore-commit", _restore, has_result=True),
    KeyedCall("reset_commits", "POST", "/reset-commits", _restore, has_result=True),
    KeyedCall("merge", "POST", "/merge", _json(source_ref="docs", target_branch="main", strategy="merge")),
    KeyedCall(
        "merge fast-forward",
        "POST",
        "/merge",
        _json(source_ref="docs", target_branch="old", strategy="ff_only"),
    ),
    KeyedCall(
        "merge no-op",
        "POST",
        "/merge",
        _json(source_ref="v1", target_branch="main", strategy="merge"),
        moves=0,
    ),
    CREATE_BRANCH,
    KeyedCall(
        "create_branch no-op",
        "POST",
        "/branches/create",
        _json(target_branch="main", base_ref="main"),
        moves=0,
    ),
    DELETE_BRANCH,
    CREATE_TAG,
    KeyedCall("delete_tag", "DELETE", "/tags", _json(name="v1")),
    KeyedCall("delete_tag_by_path", "DELETE", "/tags/v1", _json(), only="api"),
    KeyedCall("write_note", "POST", "/notes", _json(object_ref=":tip", note="seen")),
    KeyedCall("append note", "POST", "/notes", _json(**_NOTE, action="append", note="again")),
    KeyedCall("remove note", "POST", "/notes", _json(**_NOTE, action="remove")),
    KeyedCall("delete_note", "DELETE", "/notes", _json(**_NOTE)),
)


def count_moves(repo: Repo) -> int:
    """Return the number of rows of the ref log, at most a hundred."""
    reply = repo.api("GET", "/ref-log", params={"limit": "100"})
    assert reply.status_code == 200, reply.text
    return len(reply.json()["entries"])
