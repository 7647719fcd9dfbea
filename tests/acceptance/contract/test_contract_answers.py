"""Every answer has the members that every official client requires, by both families of paths and all names."""

import base64
import itertools
import json
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.builders.shapes import ANSWERS, judge
from tests.support.clients.repo import AUTHOR, Org, Repo, ndjson_line
from tests.support.clients.wire import Wire

FORTY_ZEROS = "0" * 40


@pytest.fixture(params=list(itertools.product(["released", "preferred"], ["old", "standard"])), ids="-".join)
def wire(repo: Repo, request: pytest.FixtureRequest) -> Wire:
    """A client of a new, empty repository."""
    dialect, names = request.param
    return Wire(repo, released=dialect == "released", old=names == "old")


def write(wire: Wire, branch: str, files: dict[str, bytes], **metadata: Any) -> str:
    """Commit files; return the new commit's id."""
    entries = [{"path": path, "content_id": path} for path in files]
    lines = tuple(
        ndjson_line(
            {"blob_chunk": {"content_id": path, "data": base64.b64encode(data).decode(), "eof": True}}
        )
        for path, data in files.items()
    )
    usual = {"target_branch": branch, "commit_message": "Change", "author": AUTHOR, "files": entries}
    answer = wire.ask("create_commit", lines=lines, **{**usual, **metadata})
    assert (answer["commit"]["target_branch"], answer["result"]["branch"]) == (branch, branch)
    assert answer["result"]["new_sha"] == answer["commit"]["commit_sha"]
    assert answer["commit"]["blob_count"] == len(files)
    oid: str = answer["commit"]["commit_sha"]
    return oid


def iter_pages(wire: Wire, name: str, items: str, **fields: Any) -> Iterator[Any]:
    """Yield every item of a listing, in pages of one item."""
    cursor: dict[str, Any] = {}
    while True:
        page = wire.ask(name, limit=1, **cursor, **fields)
        assert len(page[items]) <= 1
        yield from page[items]
        if not page["has_more"]:
            return
        cursor = {"cursor": page["next_cursor"]}


def test_answers_about_repositories_have_what_clients_require(wire: Wire, org: Org) -> None:
    base = "/api/v1/repos" if wire.released else "/api/repos"
    unique = f"Größe/{uuid.uuid4().hex} +%"
    query: dict[str, Any] = {"q": unique, "limit": 1}
    nothing = judge(org.request("GET", base, params=query), ANSWERS["list_repos"], status=200)
    assert nothing == {"repos": [], "has_more": False}
    bodies: list[dict[str, Any]] = [
        {"default_branch": "trunk"},
        {"base_repo": {"provider": "gitea", "owner": "o/p", "name": "n", "upstream_host": "git.example"}},
    ]
    repos = [org.repo(f"{unique}{number}") for number in range(2)]
    for repo, body in zip(repos, bodies, strict=True):
        reply = org.request("POST", base, token=repo.token(), json=body)
        made = judge(reply, ANSWERS["create_repo"], status=201)
        assert made["repo_name"] == made["url"] == made["id"] == repo.name
        got = Wire(repo, wire.released, wire.old).ask("get_repo")
        assert {**made, **got} == {**got, **made}
    page = judge(org.request("GET", base, params=query), ANSWERS["list_repos"], status=200)
    assert "base_repo" not in page["repos"][0]
    query["cursor"] = page["next_cursor"]
    rest = judge(org.request("GET", base, params=query), ANSWERS["list_repos"], status=200)
    assert rest["repos"][0]["base_repo"] == bodies[1]["base_repo"]
    last = Wire(repos[1], wire.released, wire.old)
    last.ask("pull_upstream")
    last.ask("pull_upstream", ref="main")
    for _ in range(2):
        last.ask("detach")
    assert last.ask("update_repo", default_branch="next")["url"] == repos[1].name
    last.ask("delete_repo")


def test_answers_about_branches_have_what_clients_require(wire: Wire) -> None:
    assert wire.ask("list_branches") == {"branches": [], "has_more": False}
    tip = write(wire, "main", {"a": b"1"})
    made = wire.ask("create_branch", target_branch="topic/é", base_ref="main")
    assert (made["target_branch"], made["commit_sha"]) == ("topic/é", tip)
    draft = wire.ask("create_branch", target_branch="draft", base_ref="main", target_is_ephemeral=True)
    assert draft["target_is_ephemeral"] is True
    promoted = wire.ask("create_branch", target_branch="kept", base_ref="draft", base_is_ephemeral=True)
    assert promoted["target_is_ephemeral"] is False
    listed = {branch["name"]: branch for branch in iter_pages(wire, "list_branches", "branches")}
    assert set(listed) == {"main", "topic/é", "kept"}
    assert [b["name"] for b in wire.ask("list_branches", ephemeral=True)["branches"]] == ["draft"]
    got = wire.ask("get_branch", name="topic/é")["branch"]
    assert {**got, "cursor": listed["topic/é"]["cursor"]} == listed["topic/é"]
    assert wire.ask("get_branch", name="draft", ephemeral=True)["branch"]["head_sha"] == tip
    gone = wire.ask("delete_branch", target_branch="topic/é")
    assert (gone["target_branch"], gone["name"], gone["ephemeral"]) == ("topic/é", "topic/é", False)
    assert wire.ask("delete_branch", target_branch="draft", ephemeral=True)["ephemeral"] is True


def test_answers_about_tags_have_what_clients_require(wire: Wire) -> None:
    assert wire.ask("list_tags") == {"tags": [], "has_more": False}
    tip = write(wire, "main", {"a": b"1"})
    names = ["release/v1", "v+2", "é%2F"]
    for name in names:
        assert wire.ask("create_tag", name=name, ref="main")["sha"] == tip
        assert wire.ask("get_tag", name=name)["tag"] == {"name": name, "sha": tip}
    assert [tag["name"] for tag in iter_pages(wire, "list_tags", "tags")] == names
    for name in names:
        assert wire.ask("delete_tag", name=name)["name"] == name


def test_answers_about_commits_have_what_clients_require(wire: Wire) -> None:
    first = write(wire, "main", {"a": b"1\n", "d/b": b"2\n"}, expected_target_sha=FORTY_ZEROS)
    second = write(wire, "main", {"a": b"2\n"}, expected_target_sha=first, committer=AUTHOR)
    draft = write(wire, "draft", {"c": b"3\n"}, base_branch="main", target_is_ephemeral=True)
    write(wire, "more", {}, base_branch="draft", base_is_ephemeral=True, expected_target_sha=draft)
    data = base64.b64encode(b"--- a/a\n+++ b/a\n@@ -1 +1 @@\n-2\n+3\n").decode()
    patched = wire.ask(
        "diff_commit",
        target_branch="main",
        commit_message="Patch",
        author=AUTHOR,
        expected_target_sha=second,
        lines=(ndjson_line({"diff_chunk": {"data": data, "eof": True}}),),
    )
    assert patched["result"]["old_sha"] == second
    for name in ("restore_commit", "reset_commits"):
        done = wire.ask(name, target_branch="main", base_ref="main~1", author=AUTHOR)
        again = {"expected_target_sha": done["commit"]["commit_sha"], "commit_message": "Back"}
        wire.ask(name, target_branch="main", base_ref=first, author=AUTHOR, **again)
    history = list(iter_pages(wire, "list_commits", "commits", ref="main"))
    assert [commit["sha"] for commit in history[-2:]] == [second, first]
    assert history[-1]["parent_shas"] == []
    drafts = wire.ask("list_commits", ref="draft", ephemeral=True, path="c")["commits"]
    assert [commit["sha"] for commit in drafts] == [draft]
    for commit in history:
        assert wire.ask("get_commit", ref=commit["sha"])["commit"] == commit


def test_answers_about_diffs_have_what_clients_require(wire: Wire) -> None:
    first = write(wire, "main", {"a": b"1\n" * 9, "go.sum": b"x\n", "logo": b"\0"})
    second = write(wire, "main", {"a": b"2\n", "go.sum": b"y\n", "logo": b"\0\0"})
    write(wire, "topic", {"b": b"3\n"}, base_branch="main")
    root = wire.ask("commit_diff", ref=first)
    assert (root["sha"], root["base_sha"], root["merge_base_sha"]) == (first, "", "")
    shown = wire.ask("commit_diff", ref="main", base_ref=first, git_apply_compatible=True)
    assert (shown["sha"], shown["base_sha"], shown["merge_base_sha"]) == (second, first, first)
    assert [file["path"] for file in shown["files"]] == ["a", "go.sum"]
    assert [file["path"] for file in shown["filtered_files"]] == ["logo"]
    assert [f["path"] for f in wire.ask("commit_diff", ref="main", path=["a", "b"])["files"]] == ["a"]
    branch = wire.ask("branch_diff", branch="topic", base="main", path=["b", "logo"])
    assert (branch["branch"], branch["base"], branch["merge_base_sha"]) == ("topic", "main", second)
    nothing = wire.ask("branch_diff", branch="main")
    assert (nothing["files"], nothing["filtered_files"], nothing["stats"]["files"]) == ([], [], 0)


def test_answers_about_merges_have_what_clients_require(wire: Wire) -> None:
    base = write(wire, "main", {"a": b"1\n", "logo": b"\0"})
    for branch in ("one", "two"):
        write(wire, branch, {"a": branch.encode(), "logo": b"\0" + branch.encode()}, base_branch="main")
    into = {"target_branch": "main", "strategy": "ff_prefer"}
    clean = wire.ask("preview_merge", source_ref="one", target_branch="main")
    assert (clean["status"], clean["conflict_paths"], clean["conflicts"]) == ("clean", [], [])
    merged = wire.ask("merge", source_ref="one", **into)
    assert (merged["result"], merged["target"]["old_sha"], merged["merge_base_sha"]) == (
        "fast_forward",
        base,
        base,
    )
    assert merged["source"]["ref"] == merged["source"]["branch"] == "one"
    torn = wire.ask("preview_merge", source_ref="two", target_branch="main", include_content=True)
    assert torn["conflict_paths"] == [conflict["path"] for conflict in torn["conflicts"]] == ["a", "logo"]
    assert wire.ask("merge", source_ref="one", **into)["result"] == "no_op"
    write(wire, "three", {"c": b"3"}, base_branch="two")
    wire.ask("merge", source_ref="three", target_branch="two", strategy="merge", squash=True)
    write(wire, "draft", {"d": b"3"}, base_branch="main", target_is_ephemeral=True)
    draft = {"source_ref": "draft", "source_is_ephemeral": True, "target_branch": "main"}
    assert wire.ask("preview_merge", **draft)["result"] == "fast_forward"
    made = wire.ask("merge", **draft, strategy="merge", author=AUTHOR, committer=AUTHOR)
    assert (made["result"], made["source"]["ephemeral"], made["promoted_commits"]) == (
        "merge_commit",
        True,
        1,
    )


def test_answers_about_files_have_what_clients_require(wire: Wire) -> None:
    files = {"a.txt": b"one\ntwo\n", "d/b.txt": b"", "d/é +%.txt": b"two\n"}
    first = write(wire, "main", files)
    second = write(wire, "main", {"a.txt": b"zero\none\ntwo\n"})
    assert [entry["path"] for entry in iter_pages(wire, "list_files", "entries")] == list(files)
    direct = wire.ask("list_files", ref="main", recursive=False)
    assert [entry["type"] for entry in direct["entries"]] == ["blob", "tree"]
    facts = list(iter_pages(wire, "files_metadata", "files", ref="main"))
    assert [file["last_commit_sha"] for file in facts] == [second, first, first]
    assert set(wire.ask("files_metadata", path="d")["commits"]) == {first}
    blame = wire.ask("blame", path="a.txt", detect_moves=True)
    assert [line["commit_sha"] for line in blame["lines"]] == [second, first, first]
    assert wire.ask("blame", path="d/b.txt")["lines"] == []
    found = wire.ask(
        "grep", ref="main", query={"pattern": "TWO", "case_sensitive": False}, context={"after": 1}
    )
    assert [match["path"] for match in found["matches"]] == ["a.txt", "d/é +%.txt"]
    page = wire.ask("grep", query={"pattern": "two"}, pagination={"limit": 1})
    rest = {"limit": 1, "cursor": page["next_cursor"]}
    assert wire.ask("grep", query={"pattern": "two"}, pagination=rest)["matches"][0]["path"] == "d/é +%.txt"
    assert wire.ask("grep", query={"pattern": "three"})["matches"] == []


def test_answers_about_notes_have_what_clients_require(wire: Wire) -> None:
    tip = write(wire, "main", {"a": b"1"})
    empty = wire.ask("list_notes_refs")
    assert empty == {"refs": [], "has_more": False, "prefix": "refs/notes/"}
    added = wire.ask("add_note", object_ref="main", note="one", author=AUTHOR)
    assert (added["sha"], added["notes_ref"]) == (tip, "refs/notes/commits")
    assert added["notes_ref"] == added["target_ref"]
    assert "base_commit" not in added
    more = {"expected_notes_ref_sha": added["new_ref_sha"], "action": "append"}
    appended = wire.ask("append_note", object_ref=tip, note="two", **more)
    assert appended["base_commit"] == added["new_ref_sha"]
    wire.ask("append_note", object_ref=tip, action="append", note="three", notes_ref="reviews")
    note = wire.ask("get_note", object_ref=tip)
    assert note == {"sha": tip, "note": "one\n\ntwo", "ref_sha": appended["new_ref_sha"]}
    assert wire.ask("get_note", object_ref="main", notes_ref="notes/reviews")["note"] == "three"
    refs = [ref["ref"] for ref in iter_pages(wire, "list_notes_refs", "refs")]
    assert refs == ["refs/notes/commits", "refs/notes/reviews"]
    assert wire.ask("list_notes_refs", prefix="rev")["prefix"] == "refs/notes/rev"
    deleted = wire.ask("delete_note", object_ref=tip, notes_ref="reviews", author=AUTHOR)
    assert deleted["base_commit"] != deleted["new_ref_sha"]


def test_answers_about_credentials_have_what_clients_require(wire: Wire) -> None:
    repo, org = wire.repo, wire.repo.org
    secret = {"username": "bot", "password": "glpat-1"}
    of_org = org.sign(scopes=["repo:write"])
    if wire.released:
        made = repo.v1("POST", "/repos/git-credentials", json={"repo_id": repo.name, **secret})
    else:
        made = repo.api("POST", "/git-credentials", json=secret)
    fields = judge(made, ANSWERS["create_credential"], status=201)
    one = {"id": fields["id"]}
    if wire.released:
        path = "/api/v1/repos/git-credentials"
        changed = org.request("PUT", path, token=of_org, json={**one, "password": "glpat-2"})
        deleted = org.request("DELETE", path, token=of_org, json=one)
    else:
        changed = repo.api("PUT", f"/git-credentials/{one['id']}", json={"password": "glpat-2"})
        deleted = repo.api("DELETE", f"/git-credentials/{one['id']}")
    assert judge(changed, ANSWERS["update_credential"], status=200) == fields
    assert (deleted.status_code, deleted.content) == (204, b"")


def test_answers_about_webhooks_have_what_clients_require(wire: Wire) -> None:
    org = wire.repo.org
    token = wire.repo.token(scopes=["repo:write"])
    path = "/api/v1/webhooks" if wire.released else "/api/webhooks"
    wanted = {"url": "https://1.1.1.1/hook", "events": ["push", "repo.sync.failed"]}
    made = [
        judge(org.request("POST", path, token=token, json=wanted), ANSWERS["create_webhook"], status=201)
        for _ in range(2)
    ]
    page = judge(
        org.request("GET", path, token=token, params={"limit": 1}), ANSWERS["list_webhooks"], status=200
    )
    assert page["webhooks"][0]["id"] == made[0]["id"]
    assert page["has_more"] is True
    for webhook in made:
        gone = org.request("DELETE", f"{path}/{webhook['id']}", token=token)
        assert (gone.status_code, gone.content) == (204, b"")
    nothing = org.request("GET", path, token=token)
    assert json.loads(nothing.content) == {"webhooks": [], "has_more": False}


ESCAPES = {  # what each client leaves as it is in a path segment
    "encodeURIComponent": "!'()*-._~",
    "quote": "-._~",
    "PathEscape": "$&+:=@-._~",
}


@pytest.mark.parametrize("escape", ESCAPES)
def test_a_name_arrives_with_the_escaping_of_every_client(org: Org, escape: str) -> None:
    odd = "%2F a+b/ü$&=:@;,!'()*~-_.?#[]\"<>^`{|}"
    repo = org.create_repo(f"{escape}/{odd}")
    tag = "".join(char for char in odd if char not in " ~^:?*[") + "x"
    repo.write_commit("main", {"a": b"1"})
    assert repo.v1("POST", "/repos/tags", json={"name": tag, "target": "main"}).status_code == 200
    path = f"/api/repos/{quote(repo.name, safe=ESCAPES[escape])}"
    got = judge(org.request("GET", path, token=repo.token()), ANSWERS["get_repo"], status=200)
    assert got["repo_name"] == repo.name
    delete = org.request("DELETE", f"{path}/tags/{quote(tag, safe=ESCAPES[escape])}", token=repo.token())
    assert judge(delete, ANSWERS["delete_tag"], status=200)["name"] == tag
