"""Pages: absent limits, limits that are too large, and invalid ones."""

import pytest

from tests.support.clients.repo import Repo

LISTS = ["/branches", "/tags", "/commits", "/files", "/files/metadata", "/notes/refs"]


@pytest.fixture
def listed(repo: Repo) -> Repo:
    """A repository with two items for every listing."""
    for name in ("one", "two"):
        commit = repo.write_commit("main", {name: b"1"})
        assert repo.api("POST", "/tags", json={"name": name, "ref": "main"}).is_success
        note = {"object_ref": commit, "note": "n", "notes_ref": name}
        assert repo.api("POST", "/notes", json=note).is_success
    assert repo.api("POST", "/branches/create", json={"target_branch": "b", "base_ref": "main"}).is_success
    return repo


@pytest.mark.parametrize("path", LISTS)
def test_a_limit_of_any_length_beyond_the_maximum_counts_as_the_maximum(listed: Repo, path: str) -> None:
    for limit in ("5001", "9" * 40, "9" * 1000):
        reply = listed.api("GET", path, params={"limit": limit})
        assert reply.status_code == 200, reply.text
        assert reply.json()["has_more"] is False
        assert "next_cursor" not in reply.json()


@pytest.mark.parametrize("path", LISTS)
def test_a_limit_of_zero_and_a_blank_cursor_count_as_absent(listed: Repo, path: str) -> None:
    plain = listed.api("GET", path).json()
    assert listed.api("GET", path, params={"limit": "0", "cursor": ""}).json() == plain
    assert listed.v1("GET", "/repos" + path, params={"limit": "0", "cursor": " "}).json() == plain


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("limit", ["-1", "1.0", "x", "1e3", "٣", "9" * 5000])
def test_a_limit_that_is_negative_or_not_a_whole_number_is_refused(
    listed: Repo, path: str, limit: str
) -> None:
    assert listed.api("GET", path, params={"limit": limit}).status_code == 400


@pytest.mark.parametrize("path", LISTS)
def test_the_next_page_begins_after_the_last_item_of_this_one(listed: Repo, path: str) -> None:
    first = listed.api("GET", path, params={"limit": "1"}).json()
    assert first["has_more"] is True
    rest = listed.api("GET", path, params={"limit": "1", "cursor": first["next_cursor"]}).json()
    assert rest["has_more"] is False
    items = next(
        name for name in ("branches", "tags", "entries", "files", "commits", "refs") if name in first
    )
    assert len(first[items]) == len(rest[items]) == 1
    assert first[items] != rest[items]
    if "cursor" in first[items][0]:
        assert first["next_cursor"] == first[items][-1]["cursor"]
