"""Searches over the whole pipeline: the exact bytes of each answer."""

import json
from typing import Any

import pytest

from tests.unit.web.api.conftest import Client, as_sent, commit_files, new_commit, shown

pytestmark = pytest.mark.quick


def line(number: int, text: str, kind: str = "match") -> dict[str, Any]:
    return {"line_number": number, "text": text, "type": kind}


def page(pattern: str, commit: str, matches: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {
        "query": {"pattern": pattern, "case_sensitive": True},
        "repo": {"ref": "main", "commit": commit},
        "matches": matches,
        **more,
    }


def test_matches_are_told_by_file_with_the_lines_around_them(repo: Client) -> None:
    files = {b"a.txt": b"one\ntwo\nthree\n", b"caf\xe9": b"two \xff\n", b"z": b"none\n"}
    tip = new_commit(commit_files(repo, "main", files))
    sent = repo.call("POST", "/grep", {"query": {"pattern": "two"}, "context": {"before": 1}})
    matches = [
        {"path": "a.txt", "lines": [line(1, "one", "context"), line(2, "two")]},
        {
            "path": "caf\N{REPLACEMENT CHARACTER}",
            "lines": [line(1, "two \N{REPLACEMENT CHARACTER}")],
            "path_base64": "Y2Fm6Q==",
        },
    ]
    assert shown(sent) == (200, as_sent(page("two", tip, matches, has_more=False)))
    assert "cache-control" not in sent.headers


def test_the_pattern_is_echoed_as_it_was_asked(repo: Client) -> None:
    tip = new_commit(commit_files(repo, "main", {b"a": b"Two \xc3\xbc\n"}))
    sent = repo.call(
        "POST", "/grep", {"query": {"pattern": 'tWO "?', "case_sensitive": False}, "rev": "main"}
    )
    expected = page('tWO "?', tip, [{"path": "a", "lines": [line(1, "Two ü")]}], has_more=False)
    expected["query"]["case_sensitive"] = False
    assert shown(sent) == (200, as_sent(expected))


def test_pages_name_the_next_one_until_the_last(repo: Client) -> None:
    tip = new_commit(commit_files(repo, "main", {b"a": b"x1\nx2\n"}))
    first = repo.call("POST", "/grep", {"query": {"pattern": "x"}, "pagination": {"limit": 1}})
    cursor = json.loads(first.body)["next_cursor"]
    one = [{"path": "a", "lines": [line(1, "x1")]}]
    assert shown(first) == (200, as_sent(page("x", tip, one, has_more=True, next_cursor=cursor)))
    rest = repo.call("POST", "/grep", {"query": {"pattern": "x"}, "pagination": {"cursor": cursor}})
    two = [{"path": "a", "lines": [line(2, "x2")]}]
    assert shown(rest) == (200, as_sent(page("x", tip, two, has_more=False)))


def test_a_search_that_finds_nothing_has_all_its_members(repo: Client) -> None:
    tip = new_commit(commit_files(repo, "main", {b"a": b"x\n"}))
    sent = repo.call("POST", "/grep", {"query": {"pattern": "y"}})
    assert shown(sent) == (200, as_sent(page("y", tip, [], has_more=False)))


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"query": {"pattern": "("}}, "invalid pattern"),
        ({"query": {"pattern": "x"}, "limits": {"max_lines": -1}}, "limits.max_lines"),
        ({"query": {"pattern": "x"}, "paths": ["p"] * 200, "paths_base64": ["cA=="]}, "200"),
    ],
)
def test_what_cannot_be_searched_is_refused(stocked: Client, body: dict[str, Any], error: str) -> None:
    sent = stocked.call("POST", "/grep", body)
    assert sent.status == 400
    assert error in json.loads(sent.body)["error"]
