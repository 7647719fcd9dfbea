"""Blame over the whole pipeline: the exact bytes of each answer."""

from typing import Any

import pytest

from tests.unit.web.api.conftest import Client, as_sent, commit_files, new_commit, shown

pytestmark = pytest.mark.quick

DATE = "2020-01-01T00:00:00Z"


def line(number: int, commit: str, original: int, path: str, summary: str, **more: str) -> dict[str, Any]:
    return {
        "line_number": number,
        "commit_sha": commit,
        "original_line_number": original,
        "original_path": path,
        "author_name": "Ada",
        "author_email": "ada@example.test",
        "author_time": DATE,
        "committer_name": "Ada",
        "committer_email": "ada@example.test",
        "committer_time": DATE,
        "summary": summary,
        **more,
    }


def test_each_line_names_its_commit_and_the_version_before(repo: Client) -> None:
    first = new_commit(commit_files(repo, "main", {b"a.txt": b"one\ntwo\n"}, message="First\n\nmore"))
    second = new_commit(commit_files(repo, "main", {b"a.txt": b"zero\none\n2\n"}, message="Second"))
    expected = {
        "ref": "main",
        "path": "a.txt",
        "commit_sha": second,
        "lines": [
            line(1, second, 1, "a.txt", "Second", previous_commit_sha=first),
            line(2, first, 1, "a.txt", "First"),
            line(3, second, 3, "a.txt", "Second", previous_commit_sha=first),
        ],
    }
    sent = repo.call("GET", "/blame?path=a.txt")
    assert shown(sent) == (200, as_sent(expected))
    assert sent.headers["cache-control"] == "private, no-cache"
    expected["lines"] = [line(2, first, 1, "a.txt", "First")]
    assert shown(repo.call("GET", "/blame?path=a.txt&range=2,2")) == (200, as_sent(expected))


def test_the_lines_of_one_commit_are_counted_on(repo: Client) -> None:
    only = new_commit(commit_files(repo, "main", {b"a.txt": b"one\ntwo\n"}))
    lines = [line(1, only, 1, "a.txt", "m"), line(2, only, 2, "a.txt", "m")]
    expected = {"ref": "main", "path": "a.txt", "commit_sha": only, "lines": lines}
    assert shown(repo.call("GET", "/blame?path=a.txt")) == (200, as_sent(expected))


def test_the_bytes_of_a_name_that_is_not_text_follow_all_other_members(repo: Client) -> None:
    only = new_commit(commit_files(repo, "main", {b"caf\xe9": b"one\n"}))
    path, encoded = "caf\N{REPLACEMENT CHARACTER}", "Y2Fm6Q=="
    expected = {
        "ref": "main",
        "path": path,
        "commit_sha": only,
        "lines": [line(1, only, 1, path, "m", original_path_base64=encoded)],
        "path_base64": encoded,
    }
    assert shown(repo.call("GET", "/blame?path_base64=Y2Fm6Q==")) == (200, as_sent(expected))


def test_a_blame_by_a_full_id_may_be_kept_for_good(repo: Client) -> None:
    only = new_commit(commit_files(repo, "main", {b"a": b"one\n"}))
    kept = repo.call("GET", f"/blame?path=a&ref={only}").headers["cache-control"]
    assert kept == "private, max-age=31536000, immutable"
