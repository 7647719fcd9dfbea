"""File names that are not UTF-8: every listing gives their bytes, and every call that takes a path takes them."""

import base64
import io
import tarfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.builders.byte_names import FOLDER, INSIDE, LATIN, LINK, SHOWN, encode, push_files
from tests.support.builders.shapes import ANSWERS, FAILURES, judge
from tests.support.clients.git import Git
from tests.support.clients.repo import AUTHOR, Repo, ndjson_line
from tests.support.clients.wire import Wire

LATER = {LATIN: b"one\nTWO\nneedle\n"}
FILES: dict[bytes, bytes | None] = {
    LATIN: b"one\ntwo\n",
    SHOWN.encode(): b"another file\n",
    INSIDE: b"needle in a folder\n",
    LINK: b"caf\xe9.txt",
    b"plain.txt": b"needle\n",
    "größe".encode(): b"needle\n",
}
BYTE_NAMES = {LATIN, INSIDE, LINK}


@pytest.fixture(params=["released", "preferred"])
def wire(request: pytest.FixtureRequest, repo: Repo) -> Wire:
    """One client of each dialect."""
    released = request.param == "released"
    return Wire(repo, released, old=released)


def told_bytes(entry: dict[str, Any], name: str = "path") -> bytes:
    """Return the path of an entry. Its bytes must stand beside its text exactly when they are not UTF-8."""
    encoded = entry.get(f"{name}_base64")
    if encoded is None:
        assert "\N{REPLACEMENT CHARACTER}" not in entry[name] or entry[name] == SHOWN
        return str(entry[name]).encode()
    raw = base64.b64decode(encoded, validate=True)
    assert raw.decode("utf-8", "replace") == entry[name]
    return raw


def test_listings_give_the_bytes_of_names_that_are_not_utf8_and_of_no_others(
    wire: Wire, git: Git, tmp_path: Path
) -> None:
    push_files(wire.repo, git, tmp_path / "work", FILES, LATER)
    listed = wire.ask("list_files")
    assert {told_bytes(entry) for entry in listed["entries"]} == set(FILES)
    assert sum("path_base64" in entry for entry in listed["entries"]) == len(BYTE_NAMES)
    assert listed["paths"] == [entry["path"] for entry in listed["entries"]]
    direct = wire.ask("list_files", recursive=False)["entries"]
    assert (FOLDER, "tree") in {(told_bytes(entry), entry["type"]) for entry in direct}
    page = wire.ask("files_metadata", limit=100)
    assert {told_bytes(file) for file in page["files"]} == set(FILES)
    assert sum("path_base64" in file for file in page["files"]) == len(BYTE_NAMES)
    found = wire.ask("grep", query={"pattern": "needle"})["matches"]
    assert {told_bytes(match) for match in found} == {
        LATIN,
        INSIDE,
        b"plain.txt",
        "größe".encode(),
    }


def test_pages_go_on_behind_a_name_that_is_not_utf8(wire: Wire, git: Git, tmp_path: Path) -> None:
    push_files(wire.repo, git, tmp_path / "work", FILES)
    for operation, member in (("list_files", "entries"), ("files_metadata", "files")):
        seen: list[bytes] = []
        cursor: dict[str, str] = {}
        while True:
            page = wire.ask(operation, limit=1, **cursor)
            seen += [told_bytes(entry) for entry in page[member]]
            if not page["has_more"]:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert seen == sorted(FILES)


def test_diffs_give_the_bytes_of_both_names(wire: Wire, git: Git, tmp_path: Path) -> None:
    text = b"".join(b"line %d\n" % number for number in range(20))
    before: dict[bytes, bytes | None] = {b"old\xe9": text, b"bin\xe9": b"\0\1", b"to\xe9": text[7:]}
    after: dict[bytes, bytes | None] = {
        **{b"old\xe9": None, b"new\xe8": text, b"bin\xe9": b"\0\2"},
        **{b"to\xe9": None, b"text": text[7:], b"plain": b"1\n"},
    }
    push_files(wire.repo, git, tmp_path / "work", before)
    push_files(wire.repo, git, tmp_path / "work", after, branch="topic", base="main")
    for diff in (
        wire.ask("commit_diff", ref="topic"),
        wire.ask("commit_diff", ref="topic", git_apply_compatible=True),
        wire.ask("branch_diff", branch="topic"),
    ):
        shown = {told_bytes(file): file for file in diff["files"]}
        assert set(shown) == {b"new\xe8", b"text", b"plain"}
        assert told_bytes(shown[b"new\xe8"], "old_path") == b"old\xe9"
        assert told_bytes(shown[b"text"], "old_path") == b"to\xe9"
        assert "path_base64" not in shown[b"text"]
        assert not {"path_base64", "old_path_base64"} & shown[b"plain"].keys()
        assert [told_bytes(file) for file in diff["filtered_files"]] == [b"bin\xe9"]


def test_blame_gives_the_bytes_of_the_file_and_of_the_original_path_of_a_line(
    wire: Wire, git: Git, tmp_path: Path
) -> None:
    text = b"".join(b"line %d of a file\n" % number for number in range(20))
    push_files(
        wire.repo, git, tmp_path / "work", {b"old\xe9": text}, {b"old\xe9": None, b"new\xe8": text + b"x\n"}
    )
    blame = wire.ask("blame", path_base64=encode(b"new\xe8"))
    assert told_bytes(blame) == b"new\xe8"
    origins = [told_bytes(line, "original_path") for line in blame["lines"]]
    assert origins == [b"old\xe9"] * 20 + [b"new\xe8"]


def test_conflicts_give_the_bytes_of_their_paths(wire: Wire, git: Git, tmp_path: Path) -> None:
    work = tmp_path / "work"
    push_files(wire.repo, git, work, {LATIN: b"1\n", b"plain": b"1\n"})
    push_files(wire.repo, git, work, {LATIN: b"2\n", b"plain": b"2\n"}, branch="side", base="main")
    push_files(wire.repo, git, work, {LATIN: b"3\n", b"plain": b"3\n"}, branch="main", base="main")
    sides: dict[str, Any] = {"source_ref": "side", "target_branch": "main"}
    preview = wire.ask("preview_merge", **sides, include_content=True)
    assert preview["conflict_paths"] == [SHOWN, "plain"]
    assert preview["conflict_paths_base64"] == [encode(LATIN), encode(b"plain")]
    assert [told_bytes(conflict) for conflict in preview["conflicts"]] == [LATIN, b"plain"]
    refused = judge(wire.send("merge", **sides, strategy="merge"), FAILURES["merge"], status=409)
    assert refused["conflict_paths"] == [SHOWN, "plain"]
    assert refused["conflict_paths_base64"] == [encode(LATIN), encode(b"plain")]


def test_conflicts_of_names_in_utf8_have_no_list_of_bytes(wire: Wire) -> None:
    wire.repo.write_commit("main", {"a": b"1\n"})
    wire.repo.write_commit("side", {"a": b"2\n"}, base_branch="main")
    wire.repo.write_commit("main", {"a": b"3\n"})
    sides: dict[str, Any] = {"source_ref": "side", "target_branch": "main"}
    assert "conflict_paths_base64" not in wire.ask("preview_merge", **sides)
    assert "conflict_paths_base64" not in wire.send("merge", **sides, strategy="merge").json()


def test_conflicts_without_contents_give_the_bytes_of_their_paths(
    wire: Wire, git: Git, tmp_path: Path
) -> None:
    names = [b"%02d\xe9" % number for number in range(52)]
    for branch, content, base in (("main", b"1\n", ""), ("side", b"2\n", "main"), ("main", b"3\n", "main")):
        files: dict[bytes, bytes | None] = dict.fromkeys(names, content)
        push_files(wire.repo, git, tmp_path / "work", files, branch=branch, base=base)
    preview = wire.ask("preview_merge", source_ref="side", target_branch="main", include_content=True)
    assert [told_bytes(conflict) for conflict in preview["filtered_conflicts"]] == names[50:]


def test_a_file_is_read_by_the_bytes_of_its_name(wire: Wire, git: Git, tmp_path: Path) -> None:
    first, second = push_files(wire.repo, git, tmp_path / "work", FILES, LATER)
    call = wire.repo.v1 if wire.released else wire.repo.api
    path = "/repos/file" if wire.released else "/file"
    for method in ("GET", "HEAD"):
        reply = call(method, path, params={"path_base64": encode(LATIN)})
        assert reply.status_code == 200
        assert reply.headers["X-Last-Commit-Sha"] == second
        assert reply.content == (LATER[LATIN] if method == "GET" else b"")
        unchanged = {"If-None-Match": reply.headers["ETag"]}
        again = call(method, path, params={"path_base64": encode(LATIN)}, headers=unchanged)
        assert again.status_code == 304
        part = call(method, path, params={"path_base64": encode(LATIN)}, headers={"Range": "bytes=0-2"})
        assert (part.status_code, part.headers["Content-Length"]) == (206, "3")
    for name in (INSIDE, LINK, SHOWN.encode(), b"plain.txt"):
        reply = call("GET", path, params={"path_base64": encode(name), "ref": first})
        assert (reply.status_code, reply.content) == (200, FILES[name])
        assert reply.headers["X-Last-Commit-Sha"] == first
    assert call("GET", path, params={"path": SHOWN}).content == FILES[SHOWN.encode()]
    assert call("GET", path, params={"path_base64": encode(b"caf\xe8.txt")}).status_code == 404


def test_every_reading_call_takes_the_bytes_of_a_path(wire: Wire, git: Git, tmp_path: Path) -> None:
    first, second = push_files(wire.repo, git, tmp_path / "work", FILES, LATER)
    push_files(wire.repo, git, tmp_path / "work", {INSIDE: b"2\n"}, branch="topic", base="main")
    latin, folder = encode(LATIN), encode(FOLDER)
    assert [told_bytes(e) for e in wire.ask("list_files", path_base64=folder)["entries"]] == [INSIDE]
    assert [told_bytes(e) for e in wire.ask("list_files", path_base64=latin)["entries"]] == [LATIN]
    assert [told_bytes(f) for f in wire.ask("files_metadata", path_base64=folder)["files"]] == [INSIDE]
    assert [told_bytes(f) for f in wire.ask("files_metadata", path_base64=latin)["files"]] == [LATIN]
    assert [line["commit_sha"] for line in wire.ask("blame", path_base64=latin)["lines"]] == [
        first,
        second,
        second,
    ]
    assert [c["sha"] for c in wire.ask("list_commits", path_base64=latin)["commits"]] == [second, first]
    assert [c["sha"] for c in wire.ask("list_commits", path_base64=folder)["commits"]] == [first]
    both = wire.ask("commit_diff", ref=first, path_base64=[latin, folder], path=["plain.txt"])
    assert [told_bytes(file) for file in both["files"]] == [LATIN, INSIDE, b"plain.txt"]
    assert [told_bytes(f) for f in wire.ask("branch_diff", branch="topic", path_base64=folder)["files"]] == [
        INSIDE
    ]
    assert wire.ask("branch_diff", branch="topic", path_base64=latin)["files"] == []
    query = {"pattern": "needle"}
    for given, expected in (
        ({"paths_base64": [latin, folder]}, [LATIN, INSIDE]),
        ({"paths_base64": [folder], "paths": ["plain.txt"]}, [INSIDE, b"plain.txt"]),
    ):
        matches = wire.ask("grep", query=query, **given)["matches"]
        assert [told_bytes(match) for match in matches] == expected


def test_the_codearts_archive_takes_the_bytes_of_a_path(repo: Repo, git: Git, tmp_path: Path) -> None:
    push_files(repo, git, tmp_path / "work", FILES)
    number = repo.api("GET").json()["repository_id"]
    target = f"{repo.org.server.url}/v4/repositories/{number}/repository/archive"

    def get(**query: str) -> httpx.Response:
        headers = {"X-Auth-Token": repo.token()}
        return repo.org.server.http.get(target, params={"archive_format": "tar", **query}, headers=headers)

    for path, expected in ((FOLDER, [INSIDE]), (LATIN, [LATIN])):
        reply = get(path_base64=encode(path))
        assert reply.status_code == 200, reply.text
        with tarfile.open(fileobj=io.BytesIO(reply.content)) as tar:
            names = [name.partition("/")[2].encode("utf-8", "surrogateescape") for name in tar.getnames()]
        assert names == expected
    assert get(path_base64=encode(b"caf\xe8")).status_code == 404
    for query in ({"path_base64": ""}, {"path_base64": "!"}, {"path_base64": encode(b"../a")}):
        reply = get(**query)
        assert (reply.status_code, set(reply.json())) == (400, {"error_code", "error_msg"})


def test_globs_count_each_byte_that_is_not_utf8_as_one_character(
    repo: Repo, git: Git, tmp_path: Path
) -> None:
    push_files(repo, git, tmp_path / "work", FILES, LATER)
    for glob, expected in (
        ("caf?.txt", {LATIN}),
        ("caf??.txt", set()),
        ("*.txt", {LATIN, INSIDE, b"plain.txt"}),
        ("d?r/", {INSIDE}),
        ("d?r/*", {INSIDE}),
    ):
        body = {"query": {"pattern": "needle"}, "file_filters": {"include_globs": [glob]}}
        found = repo.api("POST", "/grep", json=body).json()["matches"]
        assert {told_bytes(match) for match in found} == expected, glob
        reply = repo.api("POST", "/archive", json={"include_globs": [glob]})
        with tarfile.open(fileobj=io.BytesIO(reply.content)) as tar:
            names = {name.encode("utf-8", "surrogateescape") for name in tar.getnames()}
        assert names - {SHOWN.encode()} == expected, glob


ALPHABETS: list[tuple[bytes, str]] = [
    (b"\xfb\xff", "-/8="),
    (b"\xfb\xff", "%2B%2F8%3D"),
    (b"\xfb\xff", "+/8="),
    (b"\xfb\xff", "-_8"),
    (b"\xfb\xef\xbe", "++++"),
]


@pytest.mark.parametrize(("name", "spelled"), ALPHABETS)
def test_a_query_takes_every_spelling_of_base64(
    repo: Repo, git: Git, tmp_path: Path, name: bytes, spelled: str
) -> None:
    push_files(repo, git, tmp_path / "work", {name: b"found"})
    reply = repo.api("GET", f"/file?path_base64={spelled}")
    assert (reply.status_code, reply.content) == (200, b"found"), reply.text


def test_an_entry_of_a_listing_can_be_sent_back_as_it_came(repo: Repo, git: Git, tmp_path: Path) -> None:
    push_files(repo, git, tmp_path / "work", FILES)
    for entry in repo.api("GET", "/files").json()["entries"]:
        given = {name: entry[name] for name in ("path", "path_base64") if name in entry}
        reply = repo.api("GET", "/file", params=given)
        assert reply.content == FILES[told_bytes(entry)]


BAD_PATHS: list[tuple[dict[str, str], str]] = [
    ({"path_base64": "n\N{CIRCUMFLEX ACCENT}"}, "path_base64 is not base64"),
    ({"path_base64": "a"}, "path_base64 is not base64"),
    ({"path_base64": "Zg==Zg=="}, "path_base64 is not base64"),
    ({"path_base64": "ö"}, "path_base64 is not base64"),
    ({"path": "plain.txt", "path_base64": encode(LATIN)}, "path and path_base64 name different paths"),
    ({"path_base64": encode(b"a/../b")}, "`..`"),
    ({"path_base64": encode(b"\xff/.GIT/x")}, "`.git`"),
    ({"path_base64": encode(b"a\0b")}, "NUL"),
    ({"path_base64": encode(b"\xff" * 4097)}, "too long"),
    ({"path_base64": ""}, "path is required"),
]


@pytest.mark.parametrize(("query", "reason"), BAD_PATHS)
def test_a_path_that_no_tree_can_hold_is_refused_with_the_reason(
    repo: Repo, query: dict[str, str], reason: str
) -> None:
    repo.write_commit("main", {"plain.txt": b"1"})
    for path in ("/file", "/blame"):
        reply = repo.api("GET", path, params=query)
        assert (reply.status_code, reason in reply.json()["error"]) == (400, True), reply.text
    if query.get("path_base64") and "path" not in query:
        for path, more in (
            ("/files", {}),
            ("/files/metadata", {}),
            ("/commits", {}),
            ("/diff", {"ref": "main"}),
        ):
            reply = repo.api("GET", path, params={**query, **more})
            assert (reply.status_code, reason in reply.json()["error"]) == (400, True), reply.text
        body = {"query": {"pattern": "a"}, "paths_base64": [query["path_base64"]]}
        assert repo.api("POST", "/grep", json=body).status_code == 400


def test_a_query_of_raw_bytes_is_refused_with_the_right_way_to_give_them(repo: Repo) -> None:
    repo.write_commit("main", {"a": b"1"})
    reply = repo.api("GET", "/file?path=caf%e9.txt")
    assert (reply.status_code, "path_base64" in reply.json()["error"]) == (400, True)


Entries = list[dict[str, str]]


def post_entries(wire: Wire, entries: Entries, content: bytes = b"new\n") -> httpx.Response:
    """Send a commit of file entries. Files that it writes get `content`."""
    chunk = {"content_id": "c", "data": encode(content), "eof": True}
    return wire.send(
        "create_commit",
        target_branch="main",
        commit_message="m",
        author=AUTHOR,
        files=[{"content_id": "c", **entry} for entry in entries],
        lines=(ndjson_line({"blob_chunk": chunk}),),
    )


def names_of(wire: Wire) -> set[bytes]:
    """Return the bytes of all paths of the default branch."""
    return {told_bytes(entry) for entry in wire.ask("list_files")["entries"]}


def test_a_commit_writes_and_deletes_by_the_bytes_of_a_name(wire: Wire, git: Git, tmp_path: Path) -> None:
    push_files(wire.repo, git, tmp_path / "work", FILES)
    written = b"n\xe8w/\xff"
    entries = [
        {"path_base64": encode(LATIN), "operation": "delete"},
        {"path_base64": encode(FOLDER + b"/"), "operation": "delete"},
        {"path_base64": encode(written), "mode": "100755"},
        {"path": SHOWN, "path_base64": encode(SHOWN.encode())},
    ]
    reply = post_entries(wire, entries)
    judge(reply, ANSWERS["write_commit"], status=201)
    assert names_of(wire) == {*FILES, written} - {LATIN, INSIDE}
    clone = git.clone(wire.repo.remote(), tmp_path / "clone", "--no-checkout")
    listed = git.try_run("ls-tree", "-r", "-z", "HEAD", cwd=clone).stdout.split(b"\0")
    modes = {row.partition(b"\t")[2]: row[:6] for row in listed if row}
    assert modes[written] == b"100755"
    assert set(modes) == names_of(wire)


def test_deleting_by_the_name_that_listings_show_is_refused(wire: Wire, git: Git, tmp_path: Path) -> None:
    files = {path: content for path, content in FILES.items() if path != SHOWN.encode()}
    [head] = push_files(wire.repo, git, tmp_path / "work", files)
    for path in (SHOWN, "d\ufffdr/", "d\ufffdr/x", "no\ufffdthing"):
        reply = post_entries(wire, [{"path": "other"}, {"path": path, "operation": "delete"}])
        failure = judge(reply, FAILURES["commit"], status=400)
        assert failure["result"]["status"] == "invalid"
        assert "path_base64" in failure["error"] and path.rstrip("/") in failure["error"]
    assert wire.repo.branches() == {"main": head}
    assert post_entries(wire, [{"path": "absent", "operation": "delete"}]).status_code == 201


def test_a_first_commit_cannot_delete_by_the_name_that_listings_show(wire: Wire) -> None:
    reply = post_entries(wire, [{"path": "a"}, {"path": SHOWN, "operation": "delete"}])
    assert (reply.status_code, reply.json()["result"]["status"]) == (400, "invalid")
    assert wire.repo.branches() == {}


def test_deleting_a_name_that_contains_the_replacement_character_works(
    wire: Wire, git: Git, tmp_path: Path
) -> None:
    push_files(wire.repo, git, tmp_path / "work", FILES)
    delete = {"path": SHOWN, "operation": "delete"}
    assert post_entries(wire, [delete, delete]).status_code == 201
    assert names_of(wire) == set(FILES) - {SHOWN.encode()}
    assert post_entries(wire, [{"path": SHOWN}, delete]).status_code == 201
    assert names_of(wire) == set(FILES) - {SHOWN.encode()}


BAD_ENTRIES: list[tuple[dict[str, str], str]] = [
    ({}, "metadata.files[0].path is required"),
    ({"path_base64": "?"}, "metadata.files[0].path_base64 is not base64"),
    ({"path": "a", "path_base64": "Yg=="}, "name different paths"),
    ({"path_base64": encode(b"\xff/../b")}, "`..`"),
    ({"path_base64": encode(b".g\xe2\x80\x8cit/x")}, "`.git`"),
]


@pytest.mark.parametrize(("entry", "reason"), BAD_ENTRIES)
def test_an_entry_with_an_invalid_path_is_refused(wire: Wire, entry: dict[str, str], reason: str) -> None:
    failure = judge(post_entries(wire, [entry]), FAILURES["commit"], status=400)
    assert reason in failure["error"]
    assert failure["result"]["status"] == "invalid"


def test_a_patch_names_files_that_are_not_utf8_in_quotes(wire: Wire, git: Git, tmp_path: Path) -> None:
    push_files(wire.repo, git, tmp_path / "work", FILES)
    push_files(
        wire.repo,
        git,
        tmp_path / "work",
        {**LATER, INSIDE: None, b"n\xe8w": b"1\n"},
        branch="topic",
        base="main",
    )
    diff = wire.ask("commit_diff", ref="topic", git_apply_compatible=True)
    assert diff["filtered_files"] == []
    patch = "".join(file["raw"] for file in diff["files"]).encode()
    chunk = ndjson_line({"diff_chunk": {"data": encode(patch), "eof": True}})
    wire.send(
        "diff_commit", target_branch="main", commit_message="m", author=AUTHOR, lines=(chunk,)
    ).raise_for_status()
    assert wire.ask("commit_diff", ref="main", base_ref="topic")["files"] == []
    assert names_of(wire) == {*FILES, b"n\xe8w"} - {INSIDE}
