"""Searches over the whole pipeline: the exact bytes of each answer."""

import json
from typing import Any

import msgspec
import pytest

from packhouse.git.commands.grep import GrepLine
from packhouse.git.oid import Oid
from packhouse.limits import grep_skipped_listed_max
from packhouse.operations.reading.grep_files import GrepPage, SkipReason
from packhouse.web.api.grep import GrepPattern, grep_answer
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


def test_matches_are_grouped_by_file_with_their_context(repo: Client) -> None:
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
def test_an_invalid_search_is_refused(stocked: Client, body: dict[str, Any], error: str) -> None:
    sent = stocked.call("POST", "/grep", body)
    assert sent.status == 400
    assert error in json.loads(sent.body)["error"]


TIP = Oid("a" * 40)


def told(*skipped: tuple[bytes, SkipReason], is_out_of_time: bool = False) -> str:
    """Return the members of a reply with one match that tell about skipped files."""
    found = [GrepLine(b"a", 1, b"x", True)]
    answer = grep_answer(GrepPattern("x"), GrepPage("main", TIP, found, None, list(skipped), is_out_of_time))
    whole = as_sent(page("x", TIP, [{"path": "a", "lines": [line(1, "x")]}], has_more=False))
    encoded = msgspec.json.encode(answer).decode()
    assert encoded.startswith(whole[:-1])
    return encoded[len(whole) - 1 : -1]


def test_skipped_files_are_named_after_the_matches() -> None:
    assert told() == ""
    assert told((b"caf\xe9", SkipReason.TOO_SLOW), (b"b", SkipReason.TOO_LARGE)) == (
        ',"truncated":true,"truncated_reason":"skipped_files","skipped":[{"path":"caf\N{REPLACEMENT CHARACTER}",'
        '"reason":"too_slow","path_base64":"Y2Fm6Q=="},{"path":"b","reason":"too_large"}],"skipped_count":2'
    )


def test_a_search_that_ran_out_of_time_says_so_first() -> None:
    assert told(is_out_of_time=True) == ',"truncated":true,"truncated_reason":"out_of_time"'
    assert told((b"b", SkipReason.TOO_SLOW), is_out_of_time=True) == (
        ',"truncated":true,"truncated_reason":"out_of_time","skipped":[{"path":"b","reason":"too_slow"}],'
        '"skipped_count":1'
    )


def test_of_many_skipped_files_the_first_are_named_and_all_counted() -> None:
    count = grep_skipped_listed_max + 1
    skipped = told(*((b"%d" % number, SkipReason.TOO_SLOW) for number in range(count)))
    assert (skipped.count('"reason"'), skipped.endswith(f'"skipped_count":{count}')) == (count - 1, True)
