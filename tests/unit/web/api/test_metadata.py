"""Files with their last commits over the whole pipeline: the exact bytes of each answer."""

from typing import Any

import pytest

from tests.unit.web.api.conftest import Client, as_sent, commit_files, new_commit, shown

pytestmark = pytest.mark.quick

DATE = "2020-01-01T00:00:00Z"


def file(path: str, size: int, commit: str, **more: str) -> dict[str, Any]:
    return {
        "path": path,
        "mode": "100644",
        "type": "blob",
        "size": size,
        "last_commit_sha": commit,
        **more,
    }


def commit_members(message: str) -> dict[str, str]:
    return {"author": "Ada", "date": DATE, "message": message}


def test_each_file_names_its_last_commit_and_each_commit_is_shown_once(repo: Client) -> None:
    first = new_commit(commit_files(repo, "main", {b"a": b"1\n", b"caf\xe9": b"", b"d/e": b"123"}))
    second = new_commit(commit_files(repo, "main", {b"a": b"22\n"}, message='Say "two"\n\nü'))
    expected = {
        "files": [
            file("a", 3, second),
            file("caf\N{REPLACEMENT CHARACTER}", 0, first, path_base64="Y2Fm6Q=="),
            file("d/e", 3, first),
        ],
        "commits": {second: commit_members('Say "two"\n\nü'), first: commit_members("m")},
        "ref": "main",
        "has_more": False,
    }
    sent = repo.call("GET", "/files/metadata")
    assert shown(sent) == (200, as_sent(expected))
    assert sent.headers["cache-control"] == "private, no-cache"


def test_a_page_has_only_the_commits_that_its_files_name(repo: Client) -> None:
    first = new_commit(commit_files(repo, "main", {b"a": b"1\n"}))
    second = new_commit(commit_files(repo, "main", {b"b": b"1\n"}))
    page = repo.call("GET", "/files/metadata?limit=1")
    assert shown(page) == (
        200,
        as_sent(
            {
                "files": [file("a", 2, first)],
                "commits": {first: commit_members("m")},
                "ref": "main",
                "has_more": True,
                "next_cursor": "a",
            }
        ),
    )
    rest = {
        "files": [file("b", 2, second)],
        "commits": {second: commit_members("m")},
        "ref": "main",
        "has_more": False,
    }
    assert shown(repo.call("GET", "/files/metadata?limit=1&cursor=a")) == (200, as_sent(rest))


def test_only_an_answer_by_a_full_id_may_be_kept_for_good(repo: Client) -> None:
    tip = new_commit(commit_files(repo, "main", {b"a": b"1\n"}))
    kept = repo.call("GET", f"/files/metadata?ref={tip}").headers["cache-control"]
    assert kept == "private, max-age=31536000, immutable"
    assert repo.call("GET", f"/files/metadata?ref={tip}~0").headers["cache-control"] == "private, no-cache"


def test_the_released_path_has_pages_only_on_request(repo: Client) -> None:
    assert commit_files(repo, "main", {b"%03d" % number: b"" for number in range(201)}).status == 201
    released = repo.send("GET", "/api/v1/repos/files/metadata")
    assert (released.body.count(b'"size"'), b"next_cursor" in released.body) == (201, False)
    preferred = repo.call("GET", "/files/metadata")
    assert (preferred.body.count(b'"size"'), b'"next_cursor":"199"' in preferred.body) == (200, True)
