"""How long clients may keep an answer: answers about refs are revalidated, answers about full ids are kept for ever."""

import httpx
import pytest

from tests.support.clients.repo import Repo

REVALIDATED = "private, no-cache"
IMMUTABLE = "private, max-age=31536000, immutable"
NOT_STORED = "no-store"

READS_OF_A_REF: list[tuple[str, dict[str, str]]] = [
    ("/file", {"path": "a.txt"}),
    ("/files", {}),
    ("/files", {"limit": "1"}),
    ("/files", {"recursive": "false", "path": "folder"}),
    ("/files/metadata", {}),
    ("/files/metadata", {"limit": "1"}),
    ("/commits", {}),
    ("/commits", {"path": "a.txt", "limit": "1"}),
    ("/commits", {"cursor": "1"}),
    ("/commit", {}),
    ("/diff", {}),
    ("/diff", {"git_apply_compatible": "true", "path": "a.txt"}),
    ("/blame", {"path": "a.txt"}),
]

LISTS: list[tuple[str, dict[str, str]]] = [
    ("", {}),
    ("/branches", {}),
    ("/branch", {"name": "main"}),
    ("/branches/diff", {"branch": "side"}),
    ("/merge/preview", {"source_branch": "side", "target_branch": "main"}),
    ("/tags", {}),
    ("/tag", {"name": "v1"}),
    ("/notes/refs", {}),
    ("/ref-log", {}),
]


@pytest.fixture
def commits(repo: Repo) -> list[str]:
    """The ids of two commits of `main`. The tag v1 is on the tip, and a branch `side` has one more commit."""
    first = repo.write_commit("main", {"a.txt": b"one\n", "folder/b.txt": b"b\n"})
    second = repo.write_commit("main", {"a.txt": b"one\ntwo\n"})
    repo.write_commit("side", {"c.txt": b"c\n"}, base_branch="main")
    assert repo.api("POST", "/tags", json={"name": "v1", "ref": "main"}).status_code == 200
    return [first, second]


def cache_control(reply: httpx.Response) -> str | None:
    """Return the Cache-Control header of a successful answer."""
    assert reply.status_code in (200, 206, 304), reply.text
    value: str | None = reply.headers.get("Cache-Control")
    return value


@pytest.mark.parametrize(("path", "query"), READS_OF_A_REF)
def test_answers_about_refs_are_revalidated(
    repo: Repo, commits: list[str], path: str, query: dict[str, str]
) -> None:
    tip = commits[1]
    refs = ["main", "HEAD", "v1", "refs/heads/main", "main~0", tip[:39], f"{tip}~0", f"{tip}^0", f"{tip}~1"]
    for ref in refs:
        for method in ("GET", "HEAD"):
            assert cache_control(repo.api(method, path, params={**query, "ref": ref})) == REVALIDATED, ref
    if path not in ("/commit", "/diff"):
        assert cache_control(repo.api("GET", path, params=query)) == REVALIDATED


@pytest.mark.parametrize(("path", "query"), READS_OF_A_REF)
def test_answers_about_full_ids_are_kept_for_ever(
    repo: Repo, commits: list[str], path: str, query: dict[str, str]
) -> None:
    for ref in (commits[1], commits[1].upper(), f" {commits[1]} "):
        for method in ("GET", "HEAD"):
            asked = {**query, "ref": ref}
            assert cache_control(repo.api(method, path, params=asked)) == IMMUTABLE, ref
            assert cache_control(repo.v1(method, f"/repos{path}", params=asked)) == IMMUTABLE, ref


def test_a_diff_is_kept_when_both_its_sides_are_full_ids(repo: Repo, commits: list[str]) -> None:
    first, second = commits
    for ref, base, expected in (
        (second, first, IMMUTABLE),
        (second, "main", REVALIDATED),
        ("main", first, REVALIDATED),
        (second, first[:12], REVALIDATED),
        (first, None, IMMUTABLE),
    ):
        query = {"ref": ref} if base is None else {"ref": ref, "base_ref": base}
        assert cache_control(repo.api("GET", "/diff", params=query)) == expected


def test_a_page_of_commits_is_kept_when_its_cursor_counts_from_the_id(repo: Repo, commits: list[str]) -> None:
    first, second = commits
    page = repo.api("GET", "/commits", params={"ref": second, "limit": "1"})
    for cursor, expected in (
        (page.json()["next_cursor"], IMMUTABLE),
        ("1", IMMUTABLE),
        (f"0:{first}", REVALIDATED),
        (f"0:{'e' * 40}", REVALIDATED),
    ):
        asked = {"ref": second, "cursor": cursor}
        assert cache_control(repo.api("GET", "/commits", params=asked)) == expected


@pytest.mark.parametrize("by_id", [True, False])
def test_every_success_about_a_file_has_cache_control(repo: Repo, commits: list[str], by_id: bool) -> None:
    query = {"path": "a.txt", "ref": commits[1] if by_id else "main"}
    etag = repo.api("GET", "/file", params=query).headers["ETag"]
    for method in ("GET", "HEAD"):
        for headers, status in (
            ({}, 200),
            ({"Range": "bytes=0-1"}, 206),
            ({"If-None-Match": etag}, 304),
        ):
            reply = repo.api(method, "/file", params=query, headers=headers)
            assert reply.status_code == status
            assert reply.headers["Cache-Control"] == (IMMUTABLE if by_id else REVALIDATED)


def test_a_large_file_and_a_large_diff_have_cache_control(repo: Repo) -> None:
    text = b"".join(b"line %d of a long file\n" % number for number in range(1500))
    content = {"large": b"x" * (17 * 2**20), **{f"{number}.txt": text for number in range(12)}}
    oid = repo.write_commit("main", content)
    for path, query in (("/file", {"path": "large"}), ("/diff", {})):
        for ref, expected in ((oid, IMMUTABLE), ("main", REVALIDATED)):
            reply = repo.api("GET", path, params={**query, "ref": ref})
            assert cache_control(reply) == expected
            assert len(reply.content) > 2**18


def test_lists_are_revalidated(repo: Repo, commits: list[str]) -> None:
    for path, query in LISTS:
        for method in ("GET", "HEAD"):
            assert cache_control(repo.api(method, path, params=query)) == REVALIDATED, path
    repo.api("POST", "/notes", json={"object_ref": commits[0], "note": "n"}).raise_for_status()
    assert cache_control(repo.api("GET", "/notes", params={"object_ref": commits[0]})) == REVALIDATED
    assert cache_control(repo.org.request("GET", "/api/repos")) == REVALIDATED


def test_answers_with_a_cache_control_of_their_own_keep_it(repo: Repo, commits: list[str]) -> None:
    assert cache_control(repo.api("POST", "/archive", json={"ref": commits[0]})) == NOT_STORED
    advertised = httpx.get(f"{repo.remote()}/info/refs?service=git-upload-pack", verify=False)
    assert cache_control(advertised) == "no-cache"


@pytest.mark.parametrize("ref", ["id", "main"])
def test_failures_are_not_stored(repo: Repo, commits: list[str], ref: str) -> None:
    query = {"ref": commits[1] if ref == "id" else ref}
    for path, more, headers, status in (
        ("/file", {"path": "absent"}, {}, 404),
        ("/file", {"path": "../a"}, {}, 400),
        ("/file", {"path": "a.txt"}, {"If-Match": '"x"'}, 412),
        ("/file", {"path": "a.txt"}, {"Range": "bytes=99-"}, 416),
        ("/files", {"path": "absent"}, {}, 404),
        ("/blame", {"path": "absent"}, {}, 404),
        ("/commits", {"cursor": "x"}, {}, 400),
    ):
        for method in ("GET", "HEAD"):
            reply = repo.api(method, path, params={**query, **more}, headers=headers)
            assert (reply.status_code, reply.headers["Cache-Control"]) == (status, NOT_STORED)
    for reply, status in (
        (repo.api("GET", "/commit", params={"ref": "e" * 40}), 404),
        (repo.api("GET", "/files", token="x.y.z"), 401),
        (repo.api("GET", "/files", token=repo.token(scopes=["org:read"])), 403),
        (repo.api("GET", "/no-such-path"), 404),
        (repo.api("PATCH", "/files"), 405),
        (repo.org.request("GET", "/api/v2/repos"), 404),
        (repo.post_commit("main", {"../a": b""}), 400),
    ):
        assert (reply.status_code, reply.headers["Cache-Control"]) == (status, NOT_STORED)


def test_refusals_of_the_socket_layer_are_not_stored(repo: Repo) -> None:
    target = b"/" + b"x" * 300_000
    reply = repo.org.server.http.get(repo.org.server.url, extensions={"target": target})
    assert (reply.status_code, reply.headers["Cache-Control"]) == (414, NOT_STORED)
