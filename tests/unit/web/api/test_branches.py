"""Branches over the whole pipeline: the exact bytes of each reply."""

import json

import pytest

from tests.unit.web.api.conftest import Client

pytestmark = pytest.mark.quick

SEEN = "1970-01-01T00:16:40Z"  # the clock of the node stands at 1000


def tip(client: Client, branch: str = "main") -> str:
    """Return the commit that a branch is at."""
    return str(json.loads(client.call("GET", f"/branch?name={branch}").body)["branch"]["head_sha"])


def test_a_branch_is_shown_with_its_tip(stocked: Client) -> None:
    sent = stocked.call("GET", "/branch?name=main")
    expected = f'{{"branch":{{"name":"main","head_sha":"{tip(stocked)}","created_at":"{SEEN}"}}}}'
    assert (sent.status, sent.body.decode()) == (200, expected)


def test_a_new_branch_is_shown_with_its_commit(stocked: Client) -> None:
    sent = stocked.call("POST", "/branches/create", {"target_branch": "dev", "base_ref": "main"})
    assert (sent.status, sent.body.decode()) == (
        200,
        '{"message":"branch created","target_branch":"dev","target_is_ephemeral":false,'
        f'"commit_sha":"{tip(stocked)}"}}',
    )


def test_pages_of_branches_begin_each_item_with_its_cursor(stocked: Client) -> None:
    stocked.call("POST", "/branches/create", {"target_branch": "dev", "base_ref": "main"})
    sent = stocked.call("GET", "/branches?limit=1")
    page = json.loads(sent.body)
    cursor = page["next_cursor"]
    assert sent.body.decode() == (
        f'{{"branches":[{{"cursor":"{cursor}","name":"main","head_sha":"{tip(stocked)}","created_at":"{SEEN}"}}],'
        f'"has_more":true,"next_cursor":"{cursor}"}}'
    )
    rest = json.loads(stocked.call("GET", f"/branches?limit=1&cursor={cursor}").body)
    assert [branch["name"] for branch in rest["branches"]] == ["dev"]
    assert (rest["has_more"], "next_cursor" in rest) == (False, False)


def test_a_deletion_shows_both_names_also_when_it_is_repeated(stocked: Client) -> None:
    assert (
        stocked.call("POST", "/branches/create", {"target_branch": "dev", "base_ref": "main"}).status == 200
    )
    for _ in range(2):
        sent = stocked.call("DELETE", "/branches", {"target_branch": "dev"}, key="k")
        assert (sent.status, sent.body.decode()) == (
            200,
            '{"target_branch":"dev","message":"branch deleted","ephemeral":false,"name":"dev"}',
        )
    assert stocked.call("DELETE", "/branches", {"target_branch": "dev"}).status == 404


def test_a_branch_needs_a_base(stocked: Client) -> None:
    sent = stocked.call("POST", "/branches/create", {"target_branch": "dev"})
    assert (sent.status, json.loads(sent.body)["error"]) == (400, "field base_ref is required")
