"""Diffs, blame, grep and merge previews over HTTP: shapes, old names, both dialects, hostile values."""

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.support.clients.repo import Org, Repo
from tests.support.waiting import wait_until

CART = b"total = 0\nitems = []\ntax = 0\n"


@pytest.fixture(scope="module")
def history() -> dict[str, str]:
    """The ids of the shop's commits, filled by `shop`."""
    return {}


@pytest.fixture
def shop(org: Org, history: dict[str, str]) -> Repo:
    """A repository with main and feature/cart, made once for this module and server."""
    name = history.get(org.server.url)
    if name is not None:
        return org.repo(name)
    repo = org.create_repo()
    history["first"] = repo.write_commit(
        "main", {"src/cart.py": b"total = 0\n", "README.md": b"# Shop\n", "go.sum": b"a\n", "logo": b"\0"}
    )
    history["cart"] = repo.write_commit(
        "feature/cart", {"src/cart.py": CART, "README.md": b"#   Shop\n"}, base_branch="main"
    )
    history["main"] = repo.write_commit(
        "main", {"src/cart.py": b"total = 1\n", "go.sum": b"b\n", "logo": b"\0\0", "it's a\tname": b"x"}
    )
    history["preview"] = repo.write_commit(
        "preview", {"new": b"n\n"}, base_branch="main", target_is_ephemeral=True
    )
    history[org.server.url] = repo.name
    return repo


def get(repo: Repo, path: str, /, **query: Any) -> dict[str, Any]:
    """Return the answer of a call that succeeds. Both dialects give the same answer."""
    reply = repo.api("GET", path, params=query)
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"].startswith("application/json")
    assert repo.v1("GET", f"/repos{path}", params=query).json() == reply.json()
    answer: dict[str, Any] = reply.json()
    return answer


def grep(repo: Repo, **body: Any) -> dict[str, Any]:
    """Return the answer of a search that succeeds."""
    reply = repo.api("POST", "/grep", json=body)
    assert reply.status_code == 200, reply.text
    answer: dict[str, Any] = reply.json()
    return answer


def test_a_commit_diff_has_the_shape_of_the_contract(shop: Repo, history: dict[str, str]) -> None:
    answer = get(shop, "/diff", ref="main")
    assert answer["sha"] == history["main"]
    assert answer["base_sha"] == history["first"]
    assert answer["merge_base_sha"] == ""
    assert answer["stats"] == {"files": 4, "additions": 3, "deletions": 2, "changes": 5}
    new, cart = answer["files"]
    assert (new["path"], new["state"], new["old_path"], new["is_eof"]) == ("it's a\tname", "A", "", False)
    assert new["raw"].startswith('diff --git "a/it\'s a\\tname" "b/it\'s a\\tname"\nnew file mode 100644\n')
    assert new["bytes"] == len(new["raw"].encode())
    assert (cart["path"], cart["additions"], cart["deletions"], cart["is_eof"]) == ("src/cart.py", 1, 1, True)
    assert cart["raw"].endswith("@@ -1 +1 @@\n-total = 0\n+total = 1\n")
    sums, logo = answer["filtered_files"]
    assert (sums["path"], sums["state"], sums["is_eof"]) == ("go.sum", "M", True)
    assert logo == {"path": "logo", "state": "M", "old_path": "", "bytes": 2, "is_eof": False}
    assert all("raw" not in file for file in answer["filtered_files"])


def test_a_root_commit_is_compared_with_nothing(shop: Repo, history: dict[str, str]) -> None:
    answer = get(shop, "/diff", sha=history["first"])
    assert (answer["base_sha"], answer["merge_base_sha"]) == ("", "")
    assert {file["state"] for file in answer["files"] + answer["filtered_files"]} == {"A"}


def test_whitespace_shows_in_applicable_diffs_only(shop: Repo) -> None:
    hidden = get(shop, "/diff", ref="feature/cart", path="README.md")["files"]
    assert [(f["raw"], f["additions"], f["deletions"], f["bytes"]) for f in hidden] == [("", 0, 0, 0)]
    for name in ("git_apply_compatible", "gitApplyCompatible"):
        shown = get(shop, "/diff", ref="feature/cart", path="README.md", **{name: "true"})["files"]
        assert "-# Shop\n+#   Shop\n" in shown[0]["raw"]


def test_lock_files_stay_in_applicable_diffs(shop: Repo) -> None:
    answer = get(shop, "/diff", ref="main", git_apply_compatible="1")
    assert [file["path"] for file in answer["files"]] == ["go.sum", "it's a\tname", "src/cart.py"]
    assert [file["path"] for file in answer["filtered_files"]] == ["logo"]


def test_a_commit_diff_compares_with_the_base_itself_and_not_with_the_merge_base(
    shop: Repo, history: dict[str, str]
) -> None:
    for name in ("base_ref", "baseSha", "base_sha"):
        answer = get(shop, "/diff", ref="feature/cart", **{name: "main"}, path="src")
        assert (answer["base_sha"], answer["merge_base_sha"]) == (history["main"], history["first"])
        assert "-total = 1\n" in answer["files"][0]["raw"]
    ephemeral = get(shop, "/diff", ref="preview", ref_is_ephemeral="true", base_ref="main")
    assert [file["path"] for file in ephemeral["files"]] == ["new"]


def test_a_diff_has_the_limits_of_size_and_lines_of_the_contract(repo: Repo) -> None:
    long, line = b"x\n" * 2001, b"y" * 99 + b"\n"
    files = {"long": long, "fits": long[:4000], "big": line * 5001, "wide": line * 1999}
    repo.write_commit("main", {**files, "huge": line * 50_001, "latin": b"\xe9\n"})
    answer = get(repo, "/diff", ref="main")
    assert [file["path"] for file in answer["files"]] == ["fits", "latin", "wide"]
    assert answer["files"][1]["raw"].endswith("+\N{REPLACEMENT CHARACTER}\n")
    assert answer["files"][1]["bytes"] == len(answer["files"][1]["raw"].encode())
    sizes = {file["path"]: file["bytes"] for file in answer["filtered_files"]}
    assert list(sizes) == ["big", "huge", "long"]
    assert 500_000 < sizes["big"] < 510_000
    assert answer["stats"]["additions"] == 2001 + 2000 + 5001 + 1999 + 50_001 + 1
    answer = get(repo, "/diff", ref="main", git_apply_compatible="true")
    assert [file["path"] for file in answer["files"]] == ["big", "fits", "long", "wide"]
    assert [file["path"] for file in answer["filtered_files"]] == ["huge", "latin"]


def test_an_applicable_patch_of_many_small_hunks_is_kept_whole(repo: Repo) -> None:
    lines = [b"a" * 80, *[b""] * 30_000]
    repo.write_commit("main", {"blank": b"\n".join(lines)})
    for number in range(8, len(lines), 8):
        lines[number] = b"x"
    repo.write_commit("main", {"blank": b"\n".join(lines)})
    answer = get(repo, "/diff", ref="main", git_apply_compatible="true")
    assert answer["filtered_files"] == []
    assert answer["files"][0]["additions"] == len(range(8, len(lines), 8))


def test_a_branch_diff_shows_the_changes_since_the_merge_base(shop: Repo, history: dict[str, str]) -> None:
    answer = get(shop, "/branches/diff", branch="feature/cart")
    assert (answer["branch"], answer["base"]) == ("feature/cart", "main")
    assert answer["merge_base_sha"] == history["first"]
    assert [file["path"] for file in answer["files"]] == ["README.md", "src/cart.py"]
    assert answer["files"][0]["additions"] == 1  # whitespace shows here
    assert answer["files"][1]["raw"].endswith(" total = 0\n+items = []\n+tax = 0\n")
    same = get(shop, "/branches/diff", branch="refs/heads/feature/cart", base="refs/heads/main")
    assert same == answer
    other = get(shop, "/branches/diff", branch="preview", ephemeral="true", base="main", path=["new", "x"])
    assert [file["path"] for file in other["files"]] == ["new"]


def test_unrelated_branches_are_compared_without_a_merge_base(repo: Repo, git: Any, tmp_path: Any) -> None:
    repo.write_commit("main", {"a": b"1\n"})
    work = git.init(tmp_path / "work")
    git.commit(work, {"b": b"1\n"})
    git.run("push", "-q", repo.remote(), "HEAD:other", cwd=work)
    answer = get(repo, "/branches/diff", branch="other")
    assert "merge_base_sha" not in answer
    assert [(file["path"], file["state"]) for file in answer["files"]] == [("b", "R")]
    reply = repo.api("GET", "/merge/preview", params={"source_branch": "other", "target_branch": "main"})
    assert reply.status_code == 409 and "conflict_paths" not in reply.json()


def test_blame_has_the_shape_of_the_contract(shop: Repo, history: dict[str, str]) -> None:
    answer = get(shop, "/blame", path="src/cart.py", ref="feature/cart")
    lines = answer.pop("lines")
    assert answer == {"ref": "feature/cart", "path": "src/cart.py", "commit_sha": history["cart"]}
    assert [line["commit_sha"] for line in lines] == [history["first"], history["cart"], history["cart"]]
    assert "previous_commit_sha" not in lines[0]
    assert lines[1]["previous_commit_sha"] == history["first"]
    date = lines[1]["author_time"]
    assert lines[1] == {
        **{"line_number": 2, "commit_sha": history["cart"], "original_line_number": 2},
        **{"original_path": "src/cart.py", "previous_commit_sha": history["first"], "summary": "change"},
        **{"author_name": "Ada", "author_email": "ada@example.test", "author_time": date},
        **{"committer_name": "Ada", "committer_email": "ada@example.test", "committer_time": date},
    }
    some = get(
        shop, "/blame", path="src/cart.py", ref="feature/cart", range=["3", "1,+1"], detect_moves="true"
    )
    assert [line["line_number"] for line in some["lines"]] == [1, 3]
    ephemeral = get(shop, "/blame", path="new", ref="preview", ephemeral="true")
    assert ephemeral["commit_sha"] == history["preview"]


def test_grep_has_the_shape_of_the_contract(shop: Repo, history: dict[str, str]) -> None:
    body = {"rev": "feature/cart", "query": {"pattern": " ta[xX] | TAX "}, "context": {"before": 1}}
    body["query"]["case_sensitive"] = False  # type: ignore[index]  # a dictionary of its own
    answer = grep(shop, **body)
    assert answer == {
        "query": {"pattern": "ta[xX] | TAX", "case_sensitive": False},
        "repo": {"ref": "feature/cart", "commit": history["cart"]},
        "matches": [
            {
                "path": "src/cart.py",
                "lines": [
                    {"line_number": 2, "text": "items = []", "type": "context"},
                    {"line_number": 3, "text": "tax = 0", "type": "match"},
                ],
            }
        ],
        "has_more": False,
    }
    assert shop.v1("POST", "/repos/grep", json=body).json() == answer


def test_grep_answers_in_pages_and_filters_files(shop: Repo) -> None:
    options: dict[str, Any] = {"file_filters": {}, "context": {}, "limits": {}, "pagination": {}}
    everything = grep(shop, query={"pattern": "."}, **options)["matches"]
    assert [match["path"] for match in everything] == ["README.md", "go.sum", "it's a\tname", "src/cart.py"]
    paged, cursor = [], ""
    while True:
        page = grep(shop, query={"pattern": "."}, pagination={"limit": 1, "cursor": cursor})
        paged += page["matches"]
        if not page["has_more"]:
            break
        cursor = page["next_cursor"]
    assert paged == everything
    for filters, paths in [
        ({"include_globs": ["*.py", "go.sum"]}, ["go.sum", "src/cart.py"]),
        ({"exclude_globs": ["src/", "*"]}, []),
        ({"extension_filters": ["py", ".md"]}, ["README.md", "src/cart.py"]),
    ]:
        found = grep(shop, query={"pattern": "."}, file_filters=filters)
        assert [match["path"] for match in found["matches"]] == paths, filters
    for prefixes, paths in [
        (["src/"], ["src/cart.py"]),
        (["src"], ["src/cart.py"]),
        (["src/ca"], ["src/cart.py"]),
        (["/src/ca"], ["src/cart.py"]),
        (["src/cart.py", "READ"], ["README.md", "src/cart.py"]),
        (["src/cart.py/"], []),
        (["*", "cart", ".git"], []),
        (["nowhere", "/"], ["README.md", "go.sum", "it's a\tname", "src/cart.py"]),
    ]:
        found = grep(shop, query={"pattern": "."}, paths=prefixes)
        assert [match["path"] for match in found["matches"]] == paths, prefixes
    assert grep(shop, query={"pattern": "-nowhere"})["matches"] == []
    few = grep(shop, query={"pattern": "."}, ref="feature/cart", limits={"max_matches_per_file": 1})
    assert [len(match["lines"]) for match in few["matches"]] == [1, 1, 1]
    short = grep(shop, query={"pattern": "."}, limits={"max_lines": 2})
    assert sum(len(match["lines"]) for match in short["matches"]) == 2 and short["has_more"]


def test_a_merge_preview_has_the_shape_of_the_contract(shop: Repo, history: dict[str, str]) -> None:
    query = {"source_branch": "feature/cart", "target_branch": "main"}
    answer = get(shop, "/merge/preview", **query, include_content="true")
    conflict = answer["conflicts"][0]
    assert answer == {
        **{"status": "conflicted", "result": "merge_commit", **query},
        **{"source_tip_sha": history["cart"], "target_tip_sha": history["main"]},
        **{"merge_base_sha": history["first"], "conflict_paths": ["src/cart.py"], "conflicts": [conflict]},
        "filtered_conflicts": [],
    }
    markers = "<<<<<<< main\ntotal = 1\n=======\ntotal = 0\nitems = []\ntax = 0\n>>>>>>> feature/cart\n"
    assert conflict["result"] == {"content": markers, "truncated": False, "binary": False}
    assert conflict["base"]["content"] == "total = 0\n"
    assert conflict["ours"]["content"] == "total = 1\n"
    assert conflict["theirs"]["content"] == CART.decode()
    assert get(shop, "/merge/preview", **query)["conflicts"] == []
    clean = get(shop, "/merge/preview", source_ref="preview", target_branch="main", source_is_ephemeral="1")
    assert (clean["status"], clean["result"], clean["conflict_paths"]) == ("clean", "fast_forward", [])
    back = get(shop, "/merge/preview", source_ref="main~1", target_branch="preview", target_is_ephemeral="1")
    assert (back["status"], back["result"]) == ("clean", "no_op")


LONG = "x" * 5000
HOSTILE_REFS = ["--output=x", "-x", "a..b", "main@{1}", ":/x", "main:go.sum", "^{/x}", "a\0b", LONG, "\x7f"]
UNKNOWN_REFS = [
    "nowhere",
    "refs/pull/1",
    "0" * 40,
    "refs/heads/",
    "main~999",
    "main^3",
    "a b",
    "../x",
    "$(x)",
]
HOSTILE_PATHS = ["../x", "/", "a/../../b", ".git/config", "a//b", "a\0b", LONG]
BAD_RANGES = ["0,1", "99", "x", "--output=x", "/(", "/\\(/", ":(", "/nowhere/", "1,2,3", LONG, "a\0b", "-1,"]
WORDS = ["maybe", "2", "null", "--"]
BLAME = {"path": "src/cart.py"}
PREVIEW = {"source_branch": "feature/cart", "target_branch": "main"}

BAD_QUERIES: list[tuple[str, dict[str, str], str, list[str]]] = [
    ("/diff", {}, "ref", ["", " ", *HOSTILE_REFS, *UNKNOWN_REFS]),
    ("/diff", {"ref": "main"}, "base_ref", [*HOSTILE_REFS, *UNKNOWN_REFS]),
    ("/diff", {"ref": "main"}, "git_apply_compatible", WORDS),
    ("/diff", {"ref": "main"}, "ref_is_ephemeral", [*WORDS, "true"]),
    ("/diff", {"ref": "main", "base_ref": "main"}, "base_is_ephemeral", [*WORDS, "true"]),
    ("/diff", {"ref": "main"}, "path", [p for p in HOSTILE_PATHS if p != "/"]),
    ("/branches/diff", {}, "branch", ["", " ", *HOSTILE_REFS, *UNKNOWN_REFS, "refs/tags/x"]),
    ("/branches/diff", {"branch": "main"}, "base", [*HOSTILE_REFS, *UNKNOWN_REFS, "refs/tags/x"]),
    ("/branches/diff", {"branch": "main"}, "ephemeral", [*WORDS, "true"]),
    ("/branches/diff", {"branch": "main"}, "ephemeral_base", [*WORDS, "true"]),
    ("/branches/diff", {"branch": "main"}, "path", [p for p in HOSTILE_PATHS if p != "/"]),
    ("/blame", {}, "path", ["", " ", "src", "nowhere", *HOSTILE_PATHS, "--output=x", "src/cart.py/"]),
    ("/blame", BLAME, "ref", [*HOSTILE_REFS, *UNKNOWN_REFS]),
    ("/blame", BLAME, "ephemeral", [*WORDS, "true"]),
    ("/blame", BLAME, "detect_moves", WORDS),
    ("/blame", BLAME, "range", BAD_RANGES),
    ("/merge/preview", {"target_branch": "main"}, "source_ref", ["", *HOSTILE_REFS, *UNKNOWN_REFS]),
    ("/merge/preview", {"source_branch": "main"}, "target_branch", ["", *HOSTILE_REFS, *UNKNOWN_REFS]),
    ("/merge/preview", PREVIEW, "source_is_ephemeral", [*WORDS, "true"]),
    ("/merge/preview", PREVIEW, "target_is_ephemeral", [*WORDS, "true"]),
    ("/merge/preview", PREVIEW, "include_content", WORDS),
]


def check_refusal(send: Callable[[], httpx.Response], what: object) -> None:
    """Check that the answer is 400 or 404, a problem, and no timeout."""
    reply = send()
    assert reply.status_code in (400, 404), (what, reply.status_code, reply.text)
    problem = reply.json()
    assert problem["status"] == reply.status_code and problem["error"] == problem["detail"] != ""


@pytest.mark.parametrize(("path", "query", "name", "values"), BAD_QUERIES)
def test_bad_parameters_are_refused_and_leave_nothing_in_quarantine(
    shop: Repo, path: str, query: dict[str, str], name: str, values: list[str]
) -> None:
    folder = shop.org.server.data / "quarantine"
    before = set(folder.iterdir())
    for value in values:
        check_refusal(lambda: shop.api("GET", path, params={**query, name: value}), (name, value))  # noqa: B023  # called at once
    wait_until(lambda: set(folder.iterdir()) <= before, "something stays in quarantine")


def test_more_ranges_than_allowed_are_refused(shop: Repo) -> None:
    check_refusal(lambda: shop.api("GET", "/blame", params={**BLAME, "range": ["1"] * 17}), "17 ranges")


FOUND = {"query": {"pattern": "x"}}
CASE = {"pattern": "x", "case_sensitive": "true"}
BAD_MEMBERS: dict[str, list[Any]] = {
    "query": ["x", {}, {"pattern": " "}, {"pattern": 1}, {"pattern": None}, {"pattern": []}, CASE],
    "ref": [*HOSTILE_REFS, *UNKNOWN_REFS, 1, ["main"], {}],
    "ephemeral": ["yes", 1, True],
    "paths": ["src", {}, ["a"] * 1000, [1], *([path] for path in HOSTILE_PATHS if path != "/")],
    "file_filters": ["x", [], 1],
    "context": ["1", [], {"before": "1"}, {"after": 1.5}],
    "limits": [[], *({"max_lines": n} for n in (-1, "1", 1.5, True)), {"max_matches_per_file": -1}],
    "pagination": [1, {"limit": -1}, {"limit": "1"}, *({"cursor": c} for c in (1, "x", "!", LONG, "../x"))],
}
BAD_PATTERNS = ["a(", "[z", "a{2,1}", "a\0b", LONG, "(" * 3000, "\\"]
BAD_GLOBS: list[Any] = ["*.py", [""], ["["], ["a\0"], ["\\"], [1], [LONG], ["*"] * 101]
BAD_EXTENSIONS: list[Any] = ["py", [""], ["."], ["a/b"], ["a\0"], [1], [LONG], ["a"] * 101]
BAD_BODIES: list[dict[str, Any]] = [
    {},
    *({**FOUND, name: value} for name, values in BAD_MEMBERS.items() for value in values),
    *({"query": {"pattern": pattern}} for pattern in BAD_PATTERNS),
    *({**FOUND, "file_filters": {"include_globs": value}} for value in BAD_GLOBS),
    *({**FOUND, "file_filters": {"exclude_globs": value}} for value in BAD_GLOBS),
    *({**FOUND, "file_filters": {"extension_filters": value}} for value in BAD_EXTENSIONS),
]


def test_bad_searches_are_refused(shop: Repo) -> None:
    for body in BAD_BODIES:
        check_refusal(lambda: shop.api("POST", "/grep", json=body), body)  # noqa: B023  # called at once


@pytest.mark.parametrize("count", [100, 101])
def test_more_globs_than_the_document_allows_are_refused(shop: Repo, count: int) -> None:
    schemas = shop.org.server.http.get(f"{shop.org.server.url}/api/openapi.json").json()["components"][
        "schemas"
    ]
    globs = ["*.py"] * count
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("ArchiveBody", "include_globs", {"include_globs": globs}),
        ("ArchiveBody", "exclude_globs", {"exclude_globs": globs}),
        ("GrepFileFilters", "include_globs", {**FOUND, "file_filters": {"include_globs": globs}}),
        ("GrepFileFilters", "exclude_globs", {**FOUND, "file_filters": {"exclude_globs": globs}}),
        ("GrepFileFilters", "extension_filters", {**FOUND, "file_filters": {"extension_filters": globs}}),
    ]
    for schema, member, body in calls:
        path = "/archive" if schema == "ArchiveBody" else "/grep"
        reply = shop.api("POST", path, json=body)
        assert reply.status_code == (200 if count == 100 else 400), reply.text
        if count > 100:
            assert re.search(r"more than 100 globs|extensions_max 100", reply.json()["error"])
        described = schemas[schema]["properties"][member]
        assert described["maxItems"] == 100, described


def test_numbers_beyond_the_bounds_are_clamped(shop: Repo) -> None:
    huge = 10**15
    answer = grep(
        shop,
        query={"pattern": "."},
        context={"before": huge, "after": -huge},
        limits={"max_lines": huge, "max_matches_per_file": huge},
        pagination={"limit": huge},
    )
    assert not answer["has_more"]


def test_an_empty_repository_has_nothing_to_read(repo: Repo) -> None:
    for path, query in [
        ("/diff", {"ref": "main"}),
        ("/branches/diff", {"branch": "main"}),
        ("/blame", {"path": "a"}),
        ("/merge/preview", PREVIEW),
    ]:
        assert repo.api("GET", path, params=query).status_code == 404
    assert repo.api("POST", "/grep", json={"query": {"pattern": "x"}}).status_code == 404


def test_a_blame_range_that_never_ends_is_refused(repo: Repo) -> None:
    repo.write_commit("main", {"b": b"a" * 100_000 + b"\n"})
    reply = repo.api("GET", "/blame", params={"path": "b", "range": r"/\(a*\)\1b/"})
    assert reply.status_code == 400, reply.text
    assert "do without back-references" in reply.json()["error"]
    reply = repo.api("GET", "/blame", params={"path": "a", "range": r"/\(a\{1,30000\}\)\{1,30000\}/"})
    assert reply.status_code == 400, reply.text
    wait_until(lambda: not repo.org.server.git_processes(), "git goes on")
