"""A search whose pattern is slow on one file: the other files are searched, and every client reads the answer."""

from typing import Any

import pytest

from tests.support.builders.shapes import ANSWERS, judge
from tests.support.clients.python_client import make_client, run
from tests.support.clients.repo import Org, Repo
from tests.support.clients.typescript import TypeScriptClient

PAGES_MAX = 10  # each takes half a minute at most


@pytest.fixture
def slow(repo: Repo) -> Repo:
    """A repository with one file that takes a minute of processor time for NEEDLE."""
    text = b"before\na needle\n"
    repo.write_commit("main", {"a": text, "min.js": b"w" * 100_000 + b"\n", "z": text})
    return repo


NEEDLE = r"\w+ needle"


def read_pages(repo: Repo, pattern: str) -> list[dict[str, Any]]:
    """Follow the cursors. On a busy machine the time of a page may end before the slow file had its share."""
    pages: list[dict[str, Any]] = []
    cursor = ""
    while len(pages) < PAGES_MAX:
        body = {"query": {"pattern": pattern}, "pagination": {"cursor": cursor}}
        pages.append(judge(repo.api("POST", "/grep", json=body), ANSWERS["grep"], status=200))
        if not pages[-1]["has_more"]:
            return pages
        cursor = pages[-1]["next_cursor"]
    raise AssertionError("the pages do not end")


def found(pages: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """Return path and number of each line."""
    matches = [match for page in pages for match in page["matches"]]
    return [(match["path"], line["line_number"]) for match in matches for line in match["lines"]]


def test_one_slow_file_is_named_as_skipped_and_the_others_are_searched(slow: Repo) -> None:
    pages = read_pages(slow, NEEDLE)
    assert found(pages) == [("a", 2), ("z", 2)]
    (page,) = [page for page in pages if "skipped" in page]
    assert page["truncated"] is True
    assert page["skipped"] == [{"path": "min.js", "reason": "too_slow"}]
    assert page["skipped_count"] == 1
    assert page["truncated_reason"] == ("out_of_time" if page["has_more"] else "skipped_files")
    quick = read_pages(slow, "needle")
    assert found(quick) == [("a", 2), ("z", 2)]
    assert not quick[0].keys() & {"truncated", "truncated_reason", "skipped", "skipped_count"}


def test_a_back_reference_that_never_ends_skips_its_file_only(repo: Repo) -> None:
    repo.write_commit("main", {"a": b"ab" * 5000 + b"\n", "b": b"a" * 100_000 + b"\n"})
    pages = read_pages(repo, r"(a*)\1b")
    assert found(pages) == [("a", 1)]
    assert [file["path"] for page in pages for file in page.get("skipped", ())] == ["b"]


def test_the_released_clients_read_an_answer_with_a_skipped_file(slow: Repo, org: Org) -> None:
    answer = run(make_client(org).repo(id=slow.name).grep(pattern=NEEDLE))
    assert answer["matches"][0]["path"] == "a"
    with TypeScriptClient(org) as client:
        answer = client.call("grep", slow.name, query={"pattern": NEEDLE})
    assert answer["matches"][0]["path"] == "a"
