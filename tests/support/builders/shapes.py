"""The requirements of the official clients for each answer, as a table, and a check as strict as all of them together.

TypeScript refuses null and missing members, Go refuses numbers that are not integers, Python refuses dates that it
cannot read. A shape lists every member that an answer may have. A member whose name ends in `?` may be absent; others
may not. An unlisted member is a fault too.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, Final

import httpx

Shape = Any
"""A type, a pattern of text, a set of words, `[shape]`, `{member: shape}` or `ById(shape)`."""


@dataclass(frozen=True)
class ById:
    """An object whose members are object ids."""

    shape: Shape


SHA: Final = re.compile(r"[0-9a-f]{40}")
SHA_OR_BLANK: Final = re.compile(r"(?:[0-9a-f]{40})?")
TIME: Final = re.compile(
    r"(?:19[7-9]\d|[2-9]\d{3})-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\dZ"
)
TEXT: Final = re.compile(r".*\S.*", re.DOTALL)
MODE: Final = re.compile(r"\d{6}")
BASE64: Final = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
TRUE: Final = frozenset({True})

_BASE_REPO = {"provider": TEXT, "owner": TEXT, "name": TEXT, "upstream_host?": TEXT}
_UPDATED_REPO = {
    "repo_id": re.compile(r"repo_\w+"),
    "repo_name": TEXT,
    "url": TEXT,
    "default_branch": TEXT,
    "expires_at?": TIME,
}
_LISTED_REPO = {**_UPDATED_REPO, "repository_id": int, "created_at": TIME, "base_repo?": _BASE_REPO}
_REPO = {**_LISTED_REPO, "http_url": TEXT}
_PAGE = {"has_more": bool, "next_cursor?": TEXT}
_BRANCH = {"name": TEXT, "head_sha": SHA, "created_at": TIME}
_TAG = {"name": TEXT, "sha": SHA}
_COMMIT = {
    "sha": SHA,
    "parent_shas": [SHA],
    "message": str,
    "author_name": str,
    "author_email": str,
    "committer_name": str,
    "committer_email": str,
    "date": TIME,
}
_FILTERED = {
    "path": TEXT,
    "state": re.compile("[AMDRCT]"),
    "old_path": str,
    "bytes": int,
    "is_eof": bool,
    "path_base64?": BASE64,
    "old_path_base64?": BASE64,
}
_DIFF = {
    "stats": {"files": int, "additions": int, "deletions": int, "changes": int},
    "files": [{**_FILTERED, "raw": str, "additions": int, "deletions": int}],
    "filtered_files": [_FILTERED],
}
_PATH = {"path": TEXT, "path_base64?": BASE64}
_BLOB = {"oid?": SHA, "content?": str, "truncated": bool, "binary": bool}
_ENTRY_TYPE = frozenset({"blob", "tree", "symlink", "submodule"})
_CREDENTIAL = {"id": TEXT, "created_at": TIME}
_COMMIT_RESULT = {
    "branch": TEXT,
    "target_branch": TEXT,
    "old_sha": SHA,
    "new_sha": SHA,
    "success": TRUE,
    "status": frozenset({"ok"}),
}
_NOTE_WRITE = {
    "sha": SHA,
    "notes_ref": re.compile("refs/notes/.+"),
    "target_ref": re.compile("refs/notes/.+"),
    "base_commit?": SHA,
}

ANSWERS: Final[dict[str, Shape]] = {
    "create_repo": {**_REPO, "id": TEXT, "message": TEXT},
    "list_repos": {**_PAGE, "repos": [_LISTED_REPO]},
    "get_repo": _REPO,
    "update_repo": _UPDATED_REPO,
    "delete_repo": {"repo_id": TEXT, "message": TEXT},
    "delete_repos": {
        "repos": [{"repo_id": TEXT, "repo_name": TEXT, "url": TEXT}],
        "count": int,
        "has_more": bool,
    },
    "detach": {"message": TEXT},
    "create_credential": _CREDENTIAL,
    "update_credential": _CREDENTIAL,
    "pull_upstream": {"message": TEXT},
    "list_branches": {**_PAGE, "branches": [{**_BRANCH, "cursor": TEXT}]},
    "get_branch": {"branch": _BRANCH},
    "create_branch": {
        "message": TEXT,
        "target_branch": TEXT,
        "target_is_ephemeral": bool,
        "commit_sha": SHA,
    },
    "delete_branch": {"target_branch": TEXT, "name": TEXT, "message": TEXT, "ephemeral": bool},
    "branch_diff": {**_DIFF, "branch": TEXT, "base": TEXT, "merge_base_sha?": SHA},
    "merge": {
        "result": frozenset({"merge_commit", "fast_forward", "no_op", "squash"}),
        "commit_sha": SHA,
        "tree_sha": SHA,
        "source": {"ref": TEXT, "branch": TEXT, "ephemeral": bool, "sha": SHA},
        "target": {"branch": TEXT, "ephemeral": bool, "old_sha": SHA, "new_sha": SHA},
        "merge_base_sha?": SHA,
        "promoted_commits": int,
    },
    "preview_merge": {
        "status": frozenset({"clean", "conflicted"}),
        "result": frozenset({"merge_commit", "fast_forward", "no_op"}),
        "source_branch": TEXT,
        "target_branch": TEXT,
        "source_tip_sha": SHA,
        "target_tip_sha": SHA,
        "merge_base_sha?": SHA,
        "conflict_paths": [TEXT],
        "conflict_paths_base64?": [BASE64],
        "conflicts": [
            {
                **_PATH,
                "result": _BLOB,
                "base": _BLOB,
                "ours": _BLOB,
                "theirs": _BLOB,
                "result_path?": TEXT,
                "result_path_base64?": BASE64,
            }
        ],
        "filtered_conflicts": [{**_PATH, "reason": TEXT}],
    },
    "list_tags": {**_PAGE, "tags": [{**_TAG, "cursor": TEXT}]},
    "get_tag": {"tag": _TAG},
    "create_tag": {**_TAG, "message": TEXT},
    "delete_tag": {"name": TEXT, "message": TEXT},
    "list_commits": {**_PAGE, "commits": [_COMMIT]},
    "get_commit": {"commit": {**_COMMIT, "signature?": TEXT, "payload?": TEXT}},
    "commit_diff": {**_DIFF, "sha": SHA, "base_sha": SHA_OR_BLANK, "merge_base_sha?": SHA_OR_BLANK},
    "write_commit": {
        "commit": {
            "commit_sha": SHA,
            "tree_sha": SHA,
            "target_branch": TEXT,
            "pack_bytes": int,
            "blob_count": int,
        },
        "result": _COMMIT_RESULT,
    },
    "list_files": {
        **_PAGE,
        "paths": [TEXT],
        "entries": [{**_PATH, "type": _ENTRY_TYPE, "mode": MODE}],
        "ref": TEXT,
    },
    "files_metadata": {
        **_PAGE,
        "files": [{**_PATH, "mode": MODE, "type": _ENTRY_TYPE, "size": int, "last_commit_sha": SHA}],
        "commits": ById({"author": str, "date": TIME, "message": str}),
        "ref": TEXT,
    },
    "blame": {
        "ref": TEXT,
        **_PATH,
        "commit_sha": SHA,
        "lines": [
            {
                "line_number": int,
                "commit_sha": SHA,
                "original_line_number": int,
                "original_path": TEXT,
                "original_path_base64?": BASE64,
                "previous_commit_sha?": SHA,
                "author_name": str,
                "author_email": str,
                "author_time": TIME,
                "committer_name": str,
                "committer_email": str,
                "committer_time": TIME,
                "summary": TEXT,
            }
        ],
    },
    "grep": {
        **_PAGE,
        "query": {"pattern": TEXT, "case_sensitive": bool},
        "repo": {"ref": TEXT, "commit": SHA},
        "matches": [
            {
                **_PATH,
                "lines": [{"line_number": int, "text": str, "type": frozenset({"match", "context"})}],
            }
        ],
        "truncated?": TRUE,
        "truncated_reason?": frozenset({"skipped_files", "out_of_time"}),
        "skipped?": [{**_PATH, "reason": frozenset({"too_slow", "too_large"})}],
        "skipped_count?": int,
    },
    "get_note": {"sha": SHA, "note": str, "ref_sha": SHA},
    "write_note": {
        **_NOTE_WRITE,
        "new_ref_sha": SHA,
        "result": {"success": TRUE, "status": frozenset({"ok"})},
    },
    "list_notes_refs": {
        **_PAGE,
        "refs": [{"cursor": TEXT, "ref": re.compile("refs/notes/.+"), "sha": SHA}],
        "prefix": re.compile("refs/notes/.*"),
    },
    "create_webhook": {"id": TEXT, "url": TEXT, "events": [TEXT], "secret": TEXT, "created_at": TIME},
    "list_webhooks": {
        **_PAGE,
        "webhooks": [
            {"id": TEXT, "url": TEXT, "events": [TEXT], "active": bool, "repo?": TEXT, "created_at": TIME}
        ],
    },
}

PROBLEM: Final = {
    "type": frozenset({"about:blank"}),
    "title": TEXT,
    "status": int,
    "detail": TEXT,
    "error": TEXT,
    "instance?": TEXT,
}
RESULT_WORDS: Final = frozenset(
    {
        "precondition_failed",
        "conflict",
        "not_found",
        "invalid",
        "unauthorized",
        "forbidden",
        "timeout",
        "unavailable",
        "internal",
        "failed",
    }
)

FAILURES: Final[dict[str, Shape]] = {
    "plain": PROBLEM,
    "commit": {
        **PROBLEM,
        "result": {
            "success": frozenset({False}),
            "status": RESULT_WORDS,
            "message": TEXT,
            "branch?": TEXT,
            "target_branch?": TEXT,
            "old_sha?": SHA,
            "new_sha?": SHA,
        },
    },
    "merge": {
        **PROBLEM,
        "conflict_type?": frozenset({"merge_conflict", "target_moved", "repo_changed"}),
        "conflict_paths?": [TEXT],
        "conflict_paths_base64?": [BASE64],
        "merge_base_sha?": SHA,
    },
    "note": {
        **_NOTE_WRITE,
        "new_ref_sha": SHA_OR_BLANK,
        "result": {"success": frozenset({False}), "status": RESULT_WORDS, "message": TEXT},
    },
}


def judge_value(value: Any, shape: Shape, *, at: str) -> None:
    """Fail if a decoded value does not have the shape. `at` names the value in the message."""
    _judge(value, shape, at)


def judge(reply: httpx.Response, shape: Shape, *, status: int) -> Any:
    """Return the body of an answer with that status. Fail if some client could not read it."""
    assert reply.status_code == status, (
        f"{reply.request.method} {reply.url}: {reply.status_code} {reply.text}"
    )
    assert reply.headers["content-type"].partition(";")[0] == "application/json"
    body = json.loads(
        reply.content,
        object_pairs_hook=_object_without_repeats,
        parse_float=_no_integer,
        parse_constant=_no_integer,
    )
    _judge(body, shape, f"{reply.request.method} {reply.url.path}: ")
    if status < 300:
        assert body.get("has_more") in (None, "next_cursor" in body), body
    else:
        assert body.get("status", status) == status
        assert body.get("error") == body.get("detail")
    return body


def _object_without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len({name for name, _ in pairs}) == len(pairs), f"a member occurs twice: {pairs}"
    return dict(pairs)


def _no_integer(text: str) -> None:
    raise AssertionError(f"the number {text} is no integer")


def _judge(value: Any, shape: Shape, at: str) -> None:
    if isinstance(shape, dict):
        assert isinstance(value, dict), f"{at} is {value!r}, no object"
        _judge_members(value, shape, at)
    elif isinstance(shape, ById):
        assert isinstance(value, dict), f"{at} is {value!r}, no object"
        for name, member in value.items():
            _judge(name, SHA, f"{at}.{name}")
            _judge(member, shape.shape, f"{at}.{name}")
    elif isinstance(shape, list):
        assert isinstance(value, list), f"{at} is {value!r}, no array"
        for number, item in enumerate(value):
            _judge(item, shape[0], f"{at}[{number}]")
    elif isinstance(shape, re.Pattern):
        assert isinstance(value, str), f"{at} is {value!r}, no text"
        assert shape.fullmatch(value), f"{at} is {value!r}"
    elif isinstance(shape, frozenset):
        assert (type(value), value) in {(type(word), word) for word in shape}, f"{at} is {value!r}"
    else:
        assert type(value) is shape, f"{at} is {value!r}"  # so a boolean does not pass as a number
        assert shape is not int or value >= 0, f"{at} is {value!r}"


def _judge_members(value: dict[str, Any], shape: dict[str, Shape], at: str) -> None:
    for name, member in shape.items():
        if name.removesuffix("?") in value:
            _judge(value[name.removesuffix("?")], member, f"{at}.{name.removesuffix('?')}")
        else:
            assert name.endswith("?"), f"{at}.{name} is missing: {value}"
    unknown = value.keys() - {name.removesuffix("?") for name in shape}
    assert not unknown, f"{at} has unknown members {unknown}"
