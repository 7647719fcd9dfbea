"""The ref log over the whole pipeline: the exact bytes of each answer."""

from typing import Any

import pytest

from tests.unit.web.api.conftest import Client, as_sent, commit_files, new_commit, shown

pytestmark = pytest.mark.quick

ZERO = "0" * 40


def move(number: int, old: str, new: str, *, ref: str = "refs/heads/main", **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "ref": ref,
        "ephemeral": False,
        "old_sha": old,
        "new_sha": new,
        "actor": "@pierre/storage",
        "action": "commit-pack",
        "moved_at": "1970-01-01T00:16:40Z",
        "cursor": {1: "MQ", 2: "Mg", 3: "Mw"}[number],
        **more,
    }


def test_moves_are_shown_newest_first_page_by_page(repo: Client) -> None:
    first = new_commit(commit_files(repo, "main", {b"a": b"1\n"}))
    second = new_commit(commit_files(repo, "main", {b"a": b"2\n"}))
    sent = repo.call("GET", "/ref-log?limit=1")
    page = {"entries": [move(2, first, second)], "has_more": True, "next_cursor": "Mg"}
    assert shown(sent) == (200, as_sent(page))
    rest = {"entries": [move(1, ZERO, first)], "has_more": False}
    assert shown(repo.call("GET", "/ref-log?limit=1&cursor=Mg")) == (200, as_sent(rest))


def test_an_ephemeral_ref_is_marked_and_a_deleted_one_has_zeros(stocked: Client) -> None:
    body = {"target_branch": "tmp", "base_ref": "main", "target_is_ephemeral": True}
    tip = stocked.call("POST", "/branches/create", body)
    assert tip.status == 200
    assert stocked.call("DELETE", "/branches", {"target_branch": "tmp", "ephemeral": True}).status == 200
    sent = stocked.call("GET", "/ref-log?ref=tmp&ephemeral=true").body.decode()
    assert '"ref":"refs/heads/tmp","ephemeral":true,' in sent
    assert f'"new_sha":"{ZERO}"' in sent.partition("},{")[0]
    assert f'"old_sha":"{ZERO}"' in sent.partition("},{")[2]


def test_an_empty_log_has_no_cursor(repo: Client) -> None:
    assert shown(repo.call("GET", "/ref-log")) == (200, '{"entries":[],"has_more":false}')
