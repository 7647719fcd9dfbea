"""Calls as the official clients send them: with either family of paths and either names of the fields.

Released clients send old names to `/api/v1`. The next clients send standard names to `/api/repos/{repo}`. An interim
build sends standard names to `/api/v1`. Hand-written callers send old names to `/api/repos/{repo}`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import httpx

from tests.support.builders.shapes import ANSWERS, judge
from tests.support.clients.repo import Repo


class Call(NamedTuple):
    """One operation: its paths behind `/api/v1` and `/api/repos/{repo}`, and the place of its fields."""

    method: str
    released: str
    preferred: str
    fields: str = "query"
    status: int = 200


CALLS: Final = {
    "get_repo": Call("GET", "/repo", ""),
    "update_repo": Call("PATCH", "/repo", "", "body"),
    "delete_repo": Call("DELETE", "/repos/delete", ""),
    "detach": Call("DELETE", "/repos/base", "/base"),
    "pull_upstream": Call("POST", "/repos/pull-upstream", "/pull-upstream", "body", 202),
    "list_branches": Call("GET", "/repos/branches", "/branches"),
    "get_branch": Call("GET", "/repos/branch", "/branch"),
    "create_branch": Call("POST", "/repos/branches/create", "/branches/create", "body"),
    "delete_branch": Call("DELETE", "/repos/branches", "/branches", "body"),
    "branch_diff": Call("GET", "/repos/branches/diff", "/branches/diff"),
    "merge": Call("POST", "/repos/merge", "/merge", "body"),
    "preview_merge": Call("GET", "/repos/merge/preview", "/merge/preview"),
    "list_tags": Call("GET", "/repos/tags", "/tags"),
    "get_tag": Call("GET", "/repos/tag", "/tag"),
    "create_tag": Call("POST", "/repos/tags", "/tags", "body"),
    "delete_tag": Call("DELETE", "/repos/tags", "/tags/{name}", "body"),
    "list_commits": Call("GET", "/repos/commits", "/commits"),
    "get_commit": Call("GET", "/repos/commit", "/commit"),
    "commit_diff": Call("GET", "/repos/diff", "/diff"),
    "create_commit": Call("POST", "/repos/commit-pack", "/commit-pack", "metadata", 201),
    "diff_commit": Call("POST", "/repos/diff-commit", "/diff-commit", "metadata", 201),
    "restore_commit": Call("POST", "/repos/restore-commit", "/restore-commit", "metadata", 201),
    "reset_commits": Call("POST", "/repos/reset-commits", "/reset-commits", "metadata", 201),
    "list_files": Call("GET", "/repos/files", "/files"),
    "files_metadata": Call("GET", "/repos/files/metadata", "/files/metadata"),
    "blame": Call("GET", "/repos/blame", "/blame"),
    "grep": Call("POST", "/repos/grep", "/grep", "body"),
    "get_note": Call("GET", "/repos/notes", "/notes"),
    "add_note": Call("POST", "/repos/notes", "/notes", "body", 201),
    "append_note": Call("POST", "/repos/notes", "/notes", "body"),
    "delete_note": Call("DELETE", "/repos/notes", "/notes", "body"),
    "list_notes_refs": Call("GET", "/repos/notes/refs", "/notes/refs"),
}

_COMMIT = {
    "expected_target_sha": "expected_head_sha",
    "target_is_ephemeral": "ephemeral",
    "base_is_ephemeral": "ephemeral_base",
}
_RESTORE = {"base_ref": "target_commit_sha", "expected_target_sha": "expected_head_sha"}
_NOTES = {"object_ref": "sha", "notes_ref": "ref", "expected_notes_ref_sha": "expected_ref_sha"}

OLD_NAMES: Final[Mapping[str, Mapping[str, str]]] = {
    "list_commits": {"ref": "branch"},
    "get_commit": {"ref": "sha"},
    "commit_diff": {"ref": "sha", "base_ref": "baseSha", "git_apply_compatible": "gitApplyCompatible"},
    "merge": {"source_ref": "source_branch"},
    "preview_merge": {"source_ref": "source_branch"},
    "create_tag": {"ref": "target"},
    "create_branch": {"base_ref": "base_branch"},
    "delete_branch": {"target_branch": "name"},
    "create_commit": _COMMIT,
    "diff_commit": _COMMIT,
    "restore_commit": _RESTORE,
    "reset_commits": _RESTORE,
    "grep": {"ref": "rev"},
    **dict.fromkeys(["get_note", "add_note", "append_note", "delete_note"], _NOTES),
}

SHAPE_OF: Final = {
    **dict.fromkeys(["create_commit", "diff_commit", "restore_commit", "reset_commits"], "write_commit"),
    **dict.fromkeys(["add_note", "append_note", "delete_note"], "write_note"),
}


@dataclass(frozen=True)
class Wire:
    """A client of one repository. `released` selects the paths, `old` the names of fields.

    Without `token`, every call has a token that allows everything in the repository.
    """

    repo: Repo
    released: bool
    old: bool
    token: str | None = None

    def send(self, operation: str, /, *, lines: tuple[bytes, ...] = (), **fields: Any) -> httpx.Response:
        """Send one call, with its fields under their standard names. `lines` follow a metadata line."""
        call = CALLS[operation]
        path = call.released if self.released else call.preferred
        if "{name}" in path:
            path = path.replace("{name}", quote(fields.pop("name"), safe=""))
        names = OLD_NAMES.get(operation, {}) if self.old else {}
        sent = {names.get(field, field): value for field, value in fields.items()}
        options: dict[str, Any] = {}
        if call.fields == "query" and sent:
            options["params"] = {field: _word(value) for field, value in sent.items()}
        elif call.fields == "body" and sent:
            options["json"] = sent
        elif call.fields == "metadata":
            options["content"] = json.dumps({"metadata": sent}).encode() + b"\n" + b"".join(lines)
        ask = self.repo.v1 if self.released else self.repo.api
        return ask(call.method, path, token=self.token, **options)

    def ask(self, operation: str, /, **fields: Any) -> Any:
        """Send one call, which must succeed. Return its answer, which every client must be able to read."""
        shape = ANSWERS[SHAPE_OF.get(operation, operation)]
        return judge(self.send(operation, **fields), shape, status=CALLS[operation].status)


def _word(value: Any) -> Any:
    """Return a query value as clients write it: booleans are words, lists repeat the key."""
    return str(value).lower() if isinstance(value, bool) else value
