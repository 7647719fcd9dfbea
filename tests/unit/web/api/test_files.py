"""Listings of files over the whole pipeline, and the file itself: the exact bytes of each answer."""

import json
from typing import Any

import pytest

from tests.unit.web.api.conftest import Client, as_sent, commit_files, new_commit, shown

pytestmark = pytest.mark.quick

LATIN = b"caf\xe9.txt"  # not UTF-8
FILES = {b"dir/b.py": b"two\n", LATIN: b"x\n", "ü.txt".encode(): b"u\n"}


def entry(path: str, mode: str = "100644", kind: str = "blob", **more: str) -> dict[str, str]:
    """Return the members of an entry. The bytes of its path follow the path."""
    return {"path": path, **more, "type": kind, "mode": mode}


LATIN_ENTRY = entry("caf\N{REPLACEMENT CHARACTER}.txt", path_base64="Y2Fm6S50eHQ=")


@pytest.fixture
def listed(stocked: Client) -> Client:
    """A client of a repository with files, a folder, a link and a name that is not text."""
    assert commit_files(stocked, "main", FILES).status == 201
    assert commit_files(stocked, "main", {b"link": b"a.txt"}, mode="120000").status == 201
    return stocked


def listing(paths: list[str], entries: list[dict[str, str]], **more: Any) -> tuple[int, str]:
    return 200, as_sent({"paths": paths, "entries": entries, "ref": "main", **more})


def test_all_files_are_listed_and_a_name_that_is_not_text_is_followed_by_its_bytes(listed: Client) -> None:
    entries = [
        entry("a.txt"),
        LATIN_ENTRY,
        entry("dir/b.py"),
        entry("link", "120000", "symlink"),
        entry("ü.txt"),
    ]
    paths = [shown_entry["path"] for shown_entry in entries]
    sent = listed.call("GET", "/files")
    assert shown(sent) == listing(paths, entries, has_more=False)
    assert sent.headers["cache-control"] == "private, no-cache"


def test_a_folder_is_an_entry_and_not_a_path(listed: Client) -> None:
    entries = [
        entry("a.txt"),
        LATIN_ENTRY,
        entry("dir", "040000", "tree"),
        entry("link", "120000", "symlink"),
        entry("ü.txt"),
    ]
    paths = [shown_entry["path"] for shown_entry in entries if shown_entry["path"] != "dir"]
    assert shown(listed.call("GET", "/files?recursive=false")) == listing(paths, entries, has_more=False)


def test_a_page_names_the_next_one_until_the_last(listed: Client) -> None:
    latin = LATIN_ENTRY["path"]
    first = listed.call("GET", "/files?limit=2")
    cursor = json.loads(first.body)["next_cursor"]
    assert cursor == "\0" + LATIN.hex()
    assert first.body.endswith(b'"ref":"main","has_more":true,"next_cursor":"\\u0000636166e92e747874"}')
    assert json.loads(first.body)["paths"] == ["a.txt", latin]
    rest = listed.call("GET", f"/files?cursor=%00{LATIN.hex()}")
    entries = [entry("dir/b.py"), entry("link", "120000", "symlink"), entry("ü.txt")]
    assert shown(rest) == listing(["dir/b.py", "link", "ü.txt"], entries, has_more=False)


def test_a_listing_by_a_full_id_may_be_kept_for_good(stocked: Client) -> None:
    tip = new_commit(commit_files(stocked, "main", {b"b.txt": b"2\n"}))
    sent = stocked.call("GET", f"/files?ref={tip}")
    assert sent.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert json.loads(sent.body)["ref"] == tip


def test_an_empty_page_has_all_its_members(stocked: Client) -> None:
    assert shown(stocked.call("GET", "/files?cursor=zzz")) == listing([], [], has_more=False)


def test_a_file_is_its_bytes_with_its_object_and_its_last_commit(stocked: Client) -> None:
    tip = new_commit(commit_files(stocked, "main", {b"data": b"\x00\xff\n"}))
    sent = stocked.call("GET", "/file?path=data")
    assert (sent.status, sent.body) == (200, b"\x00\xff\n")
    assert {name: sent.headers[name] for name in ("content-type", "x-last-commit-sha", "last-modified")} == {
        "content-type": "application/octet-stream",
        "x-last-commit-sha": tip,
        "last-modified": "Wed, 01 Jan 2020 00:00:00 GMT",
    }
    assert sent.headers["etag"] == f'"{sent.headers["x-blob-sha"]}"'
    assert sent.headers["cache-control"] == "private, no-cache"


def test_head_of_a_file_has_its_length_and_no_body(stocked: Client) -> None:
    sent = stocked.call("HEAD", "/file?path=a.txt")
    assert (sent.status, sent.body, sent.headers["content-length"]) == (200, b"", "2")


def test_a_file_needs_a_path(stocked: Client) -> None:
    sent = stocked.call("GET", "/file")
    assert (sent.status, json.loads(sent.body)["error"]) == (400, "field path is required")
