"""POST …/commit-pack: framing, metadata, paths, guards, and the commits that are made."""

import base64
import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.clients.git import Git
from tests.support.clients.repo import Org, Repo
from tests.support.servers.server import Server

AUTHOR = {"name": "Ada", "email": "ada@northwind.example"}
ZEROS = "0" * 40
MIB = 1024 * 1024


def metadata(*files: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "target_branch": "main",
            "commit_message": "change",
            "author": AUTHOR,
            "files": list(files),
            **fields,
        }
    }


def upsert(path: str, content_id: str = "c1", **fields: Any) -> dict[str, Any]:
    return {"path": path, "content_id": content_id, "operation": "upsert", **fields}


def delete(path: str) -> dict[str, Any]:
    return {"path": path, "content_id": "d", "operation": "delete"}


def chunk(data: bytes, content_id: str = "c1", *, eof: bool | None = True) -> dict[str, Any]:
    fields: dict[str, Any] = {"content_id": content_id, "data": base64.b64encode(data).decode()}
    if eof is not None:
        fields["eof"] = eof
    return {"blob_chunk": fields}


def body(lines: Iterable[object]) -> bytes:
    rows = (line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    return b"".join(row + b"\n" for row in rows)


def post(repo: Repo, *lines: object, raw: bytes | None = None, token: str | None = None) -> httpx.Response:
    content = body(lines) if raw is None else raw
    return repo.api("POST", "/commit-pack", content=content, token=token)


def refused(reply: httpx.Response, status: int, result_status: str) -> dict[str, Any]:
    answer: dict[str, Any] = reply.json()
    assert (reply.status_code, answer["result"]["status"]) == (status, result_status), reply.text
    assert answer["result"]["success"] is False
    assert answer["error"] == answer["detail"] == answer["result"]["message"] != ""
    assert answer["status"] == status
    assert None not in answer["result"].values()
    return answer


def tree(repo: Repo, git: Git, tmp_path: Path, ref: str = "main") -> dict[str, str]:
    """Return path to `mode oid` as git sees it after a clone."""
    folder = tmp_path / f"clone-{len(list(tmp_path.iterdir()))}"
    git.run("clone", "--quiet", "--bare", repo.remote(), str(folder))
    listed = git.run("-C", str(folder), "ls-tree", "-r", "-z", "--full-tree", ref)
    rows = (row.split("\t", 1) for row in listed.split("\0") if row)
    return {path: f"{facts.split()[0]} {facts.split()[2]}" for facts, path in rows}


def test_the_answer_names_commit_tree_and_branch(repo: Repo) -> None:
    reply = post(repo, metadata(upsert("README.md")), chunk(b"# Shop\n"))
    assert reply.status_code == 201
    answer = reply.json()
    commit, result = answer["commit"], answer["result"]
    assert commit["blob_count"] == 1
    assert commit["pack_bytes"] > 100
    assert commit["target_branch"] == result["branch"] == result["target_branch"] == "main"
    assert result["new_sha"] == commit["commit_sha"]
    assert result["old_sha"] == ZEROS
    assert (result["success"], result["status"]) == (True, "ok")
    assert "error" not in answer
    again = post(repo, metadata(upsert("b")), chunk(b"")).json()
    assert again["result"]["old_sha"] == commit["commit_sha"]


def test_a_commit_is_byte_for_byte_what_git_makes(repo: Repo, git: Git, tmp_path: Path) -> None:
    person = {"name": " Ada. Lovelace, ", "email": " ada@x.example ", "date": "2026-01-02T03:04:05+05:30"}
    fields = {"commit_message": "\n  Two\r\n\nlines äöü  \n\n", "author": person}
    committer = {"name": "Bot", "email": "bot@x", "date": "2026-01-02T03:04:05Z"}
    reply = post(repo, metadata(upsert("a b/ü.txt"), **fields, committer=committer), chunk(b"x"))
    made = reply.json()["commit"]
    work = git.init(tmp_path / "work")
    (work / "a b").mkdir()
    (work / "a b" / "ü.txt").write_bytes(b"x")
    git.run("-C", str(work), "add", ".")
    tree_oid = git.run("-C", str(work), "write-tree").strip()
    environment = {
        "GIT_AUTHOR_NAME": person["name"],
        "GIT_AUTHOR_EMAIL": person["email"],
        "GIT_AUTHOR_DATE": "1767303245 +0530",
        "GIT_COMMITTER_NAME": "Bot",
        "GIT_COMMITTER_EMAIL": "bot@x",
        "GIT_COMMITTER_DATE": "1767323045 +0000",
    }
    message = "Two\r\n\nlines äöü\n".encode()
    commit = git.run("commit-tree", tree_oid, cwd=work, stdin=message, env=environment)
    assert made["tree_sha"] == tree_oid
    assert made["commit_sha"] == commit


def test_modes_reach_a_clone(repo: Repo, git: Git, tmp_path: Path) -> None:
    link = "f" * 40
    reply = post(
        repo,
        metadata(
            upsert("plain", "a"),
            upsert("run.sh", "a", mode="100755"),
            upsert("link", "b", mode="120000"),
            upsert("vendor/lib", "c", mode="160000"),
        ),
        chunk(b"#!/bin/sh\n", "a"),
        chunk(b"../target", "b"),
        chunk(f" {link}\n".encode(), "c"),
    )
    assert reply.status_code == 201, reply.text
    modes = {path: facts.split()[0] for path, facts in tree(repo, git, tmp_path).items()}
    assert modes == {"plain": "100644", "run.sh": "100755", "link": "120000", "vendor/lib": "160000"}
    assert tree(repo, git, tmp_path)["vendor/lib"] == f"160000 {link}"


def test_chunks_of_several_files_may_interleave_and_ids_be_shared(repo: Repo) -> None:
    reply = post(
        repo,
        metadata(upsert("a", "one"), upsert("b", "two"), upsert("copy-of-a", "one"), upsert("empty", "e")),
        chunk(b"a1", "one", eof=False),
        chunk(b"b1", "two", eof=None),
        b"",
        chunk(b"a2", "one"),
        chunk(b"", "e"),
        chunk(b"b2", "two"),
    )
    assert reply.status_code == 201, reply.text
    contents = {path: repo.read_file(path) for path in ("a", "b", "copy-of-a", "empty")}
    assert contents == {"a": b"a1a2", "b": b"b1b2", "copy-of-a": b"a1a2", "empty": b""}
    assert reply.json()["commit"]["blob_count"] == 4


def test_windows_line_ends_and_a_missing_last_newline_are_tolerated(repo: Repo) -> None:
    raw = body([metadata(upsert("a")), chunk(b"x")]).replace(b"\n", b"\r\n").rstrip()
    assert post(repo, raw=b"\r\n\n" + raw).status_code == 201
    assert repo.read_file("a") == b"x"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_base64_may_be_wrapped_as_base64_1_prints_it(repo: Repo, end: str) -> None:
    content = bytes(range(256)) * 1000
    printed = subprocess.run(["base64"], input=content, capture_output=True, check=True).stdout.decode()
    wrapped = {"content_id": "c1", "data": printed.replace("\n", end), "eof": True}
    reply = post(repo, metadata(upsert("a")), {"blob_chunk": wrapped})
    assert reply.status_code == 201, reply.text
    assert repo.read_file("a") == content


def test_escaped_text_is_read_and_unknown_members_are_ignored(repo: Repo) -> None:
    raw = (
        json.dumps({**metadata(upsert("snowman-\u2603")), "later": 1}).encode()
        + b'\n{"blob_chunk":{"content_id":"\\u00631","data":"Pz8\\/","eof":true,"more":[]},"x":{}}\n'
    )
    assert post(repo, raw=raw).status_code == 201
    assert repo.read_file("snowman-\u2603") == b"???"


def test_operations_apply_in_order(repo: Repo, git: Git, tmp_path: Path) -> None:
    repo.write_commit("main", {"dir/a": b"1", "dir/b": b"2", "dir.txt": b"3", "file": b"4"})
    reply = post(
        repo,
        metadata(
            delete("/dir/"),
            upsert("dir", "new"),
            delete("file"),
            upsert("file/below", "new"),
            upsert("twice", "new"),
            upsert("twice", "last"),
            delete("never-there"),
        ),
        chunk(b"new", "new"),
        chunk(b"last", "last"),
        chunk(b"ignored", "d"),
    )
    assert reply.status_code == 201, reply.text
    assert list(tree(repo, git, tmp_path)) == ["dir", "dir.txt", "file/below", "twice"]
    assert repo.read_file("twice") == b"last"


def test_a_commit_that_changes_nothing_is_still_made(repo: Repo) -> None:
    first = repo.write_commit("main", {"a": b"1"})
    reply = post(repo, metadata(upsert("a")), chunk(b"1"))
    assert reply.status_code == 201
    assert reply.json()["commit"]["commit_sha"] != first
    assert post(repo, metadata(commit_message="empty")).status_code == 201


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [chunk(b"x")],
        [{"metadata": None}],
        [{"metadata": []}],
        [b"not json"],
        [b'{"metadata":{'],
        [metadata(upsert("a")), metadata(upsert("a"))],
        [metadata(upsert("a")), chunk(b"x"), {"other": 1}],
        [metadata(upsert("a")), chunk(b"x"), {"diff_chunk": {"data": "", "eof": True}}],
        [metadata(upsert("a")), chunk(b"x"), {**chunk(b"y"), "diff_chunk": {"data": "", "eof": True}}],
        [metadata(upsert("a")), chunk(b"x"), chunk(b"y")],
        [metadata(upsert("a")), chunk(b"x", "other")],
        [metadata(upsert("a"))],
        [metadata(upsert("a")), chunk(b"x", eof=False)],
        [metadata(upsert("a")), {"blob_chunk": {"content_id": "c1", "data": "@@@@", "eof": True}}],
        [metadata(upsert("a")), {"blob_chunk": {"content_id": "c1", "data": "YQ", "eof": True}}],
        [metadata(upsert("a")), {"blob_chunk": {"content_id": "c1", "data": 5, "eof": True}}],
        [metadata(upsert("a")), {"blob_chunk": {"content_id": "c1", "data": "YQ==", "eof": "true"}}],
        [metadata(upsert("a")), {"blob_chunk": {"data": "YQ==", "eof": True}}],
        [metadata(upsert("a")), {"blob_chunk": "YQ=="}],
        [metadata(upsert("a")), [1]],
        [metadata(upsert("a")), chunk(b"x"), b"\xff\xfe"],
        [metadata(upsert("a")), chunk(b"x" * (4 * MIB + 1))],
        [metadata(upsert("a")), b'{"blob_chunk":' + b" " * (6 * MIB) + b'{"content_id":"c1","data":""}}'],
        [b'{"metadata":' + b"[" * 100_000],
    ],
)
def test_a_framing_fault_is_refused_and_changes_nothing(repo: Repo, lines: list[object]) -> None:
    refused(post(repo, *lines), 400, "invalid")
    assert repo.branches() == {}


@pytest.mark.parametrize(
    "fields",
    [
        {"target_branch": ""},
        {"target_branch": None},
        {"target_branch": "refs/tags/x"},
        {"target_branch": "-x"},
        {"target_branch": "a..b"},
        {"target_branch": "HEAD"},
        {"target_branch": "a.lock"},
        {"target_branch": 7},
        {"commit_message": "  \n "},
        {"commit_message": "a\0b"},
        {"author": None},
        {"author": {"name": "", "email": "x"}},
        {"author": {"name": "x"}},
        {"author": {"name": "a<b", "email": "x"}},
        {"author": {"name": "a\nb", "email": "x"}},
        {"author": {**AUTHOR, "date": "yesterday"}},
        {"author": {**AUTHOR, "date": "2026-13-01"}},
        {"committer": {"name": "x", "email": " "}},
        {"base_is_ephemeral": True},
        {"target_is_ephemeral": "yes"},
        {"files": {}},
        {"files": [{"path": "a"}]},
        {"files": [{"path": "a", "content_id": " "}]},
        {"files": [{"path": "a", "content_id": "c1", "operation": "rename"}]},
        {"files": [{"path": "a", "content_id": "c1", "mode": "100600"}]},
        {"files": [{"path": "a", "content_id": "c1", "mode": 33188}]},
        {"files": [{"path": "a", "content_id": "c1", "mode": "040000"}]},
    ],
)
def test_bad_metadata_is_refused(repo: Repo, fields: dict[str, Any]) -> None:
    given = metadata(upsert("a"), **fields)
    refused(post(repo, given, chunk(b"x")), 400, "invalid")
    assert repo.branches() == {}


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        ".",
        "..",
        "a/../b",
        "../a",
        "a//b",
        "a/",
        "a/./b",
        ".git",
        ".GIT/config",
        "a/.Git/x",
        "git~1",
        ".git. ",
        ".git::$INDEX_ALLOCATION",
        ".g\u200cit/x",
        "a\\.git\\x",
        "a\0b",
        "x" * 4097,
        ".gitmodules/x",
    ],
)
def test_a_hostile_path_is_refused(repo: Repo, path: str) -> None:
    refused(post(repo, metadata(upsert(path)), chunk(b"x")), 400, "invalid")
    assert repo.branches() == {}


def test_odd_paths_that_git_accepts_are_kept(repo: Repo, git: Git, tmp_path: Path) -> None:
    paths = [
        " leading",
        "back\\slash",
        "sp ace/tab\tx",
        "ünï/☃",
        "-dash",
        ".gitignore",
        ".github/x",
        "a.git/b",
    ]
    repo.write_commit("main", {path: path.encode() for path in paths})
    assert sorted(tree(repo, git, tmp_path)) == sorted(paths)
    assert repo.read_file(" leading") == b" leading"
    assert post(repo, metadata(upsert("///slashes")), chunk(b"s")).status_code == 201
    assert repo.read_file("slashes") == b"s"


@pytest.mark.parametrize(
    ("path", "content", "mode"),
    [
        (".gitmodules", b"target", "120000"),
        (".gitmodules", b'[submodule "x"]\n\turl = --upload-pack=evil\n\tpath = x\n', "100644"),
        (".gitmodules", b'[submodule "../x"]\n\turl = https://x.example/x\n\tpath = x\n', "100644"),
        (".gitattributes", b"a" * 3000 + b" text\n", "100644"),
        ("sub", b"0" * 40, "160000"),
        ("sub", b"not an id", "160000"),
    ],
)
def test_objects_that_a_push_cannot_bring_cannot_be_committed(
    repo: Repo, path: str, content: bytes, mode: str
) -> None:
    refused(post(repo, metadata(upsert(path, mode=mode)), chunk(content)), 400, "invalid")
    assert repo.branches() == {}


def test_a_refusal_by_git_tells_its_reason(repo: Repo) -> None:
    hostile = b'[submodule "x"]\n\turl = --upload-pack=evil\n\tpath = x\n'
    reply = post(repo, metadata(upsert(".gitmodules")), chunk(hostile))
    assert "gitmodulesUrl" in reply.json()["error"]


def test_an_honest_gitmodules_file_can_be_committed(repo: Repo) -> None:
    content = b'[submodule "x"]\n\tpath = x\n\turl = https://x.example/x.git\n'
    repo.write_commit("main", {"a": b"1"})
    assert post(repo, metadata(upsert(".gitmodules")), chunk(content)).status_code == 201


def test_a_file_and_a_folder_do_not_replace_each_other(repo: Repo) -> None:
    head = repo.write_commit("main", {"file": b"1", "dir/a": b"2"})
    refused(post(repo, metadata(upsert("file/below")), chunk(b"x")), 400, "invalid")
    refused(post(repo, metadata(upsert("dir")), chunk(b"x")), 400, "invalid")
    assert repo.branches() == {"main": head}


def test_a_guard_must_equal_the_tip(repo: Repo) -> None:
    head = repo.write_commit("main", {"a": b"1"})
    answer = refused(
        post(repo, metadata(upsert("a"), expected_head_sha=ZEROS), chunk(b"2")), 409, "precondition_failed"
    )
    assert answer["result"]["old_sha"] == answer["result"]["new_sha"] == head
    assert answer["result"]["branch"] == answer["result"]["target_branch"] == "main"
    assert head in answer["error"]
    reply = post(repo, metadata(upsert("a"), expected_target_sha=head.upper()), chunk(b"2"))
    assert reply.status_code == 201
    refused(
        post(repo, metadata(upsert("a"), expected_target_sha="no-such"), chunk(b"3")),
        409,
        "precondition_failed",
    )
    assert post(repo, metadata(upsert("a"), expected_target_sha="main"), chunk(b"3")).status_code == 201


def test_the_standard_guard_wins_over_the_old_name(repo: Repo) -> None:
    head = repo.write_commit("main", {"a": b"1"})
    both = {"expected_target_sha": head, "expected_head_sha": ZEROS}
    assert post(repo, metadata(upsert("a"), **both), chunk(b"2")).status_code == 201
    blank = {"expected_target_sha": " ", "expected_head_sha": ZEROS}
    refused(post(repo, metadata(upsert("a"), **blank), chunk(b"3")), 409, "precondition_failed")


def test_a_new_branch_needs_a_base_once_there_are_branches(repo: Repo) -> None:
    refused(post(repo, metadata(upsert("a"), base_branch="gone"), chunk(b"1")), 404, "not_found")
    head = repo.write_commit("main", {"a": b"1"})
    refused(post(repo, metadata(upsert("a"), target_branch="other"), chunk(b"1")), 404, "not_found")
    seeded = post(
        repo,
        metadata(upsert("b"), target_branch="other", base_branch="refs/heads/main", expected_head_sha=head),
        chunk(b"2"),
    ).json()
    assert seeded["result"]["old_sha"] == ZEROS
    assert repo.list_paths(ref="other") == ["a", "b"]
    guarded = metadata(upsert("b"), target_branch="third", base_branch="main", expected_head_sha=ZEROS)
    refused(post(repo, guarded, chunk(b"2")), 409, "precondition_failed")


def test_forty_zeros_as_the_guard_require_a_new_branch(repo: Repo) -> None:
    must_be_new = metadata(upsert("a"), expected_target_sha=ZEROS)
    assert post(repo, must_be_new, chunk(b"1")).status_code == 201
    refused(post(repo, must_be_new, chunk(b"1")), 409, "precondition_failed")
    head = repo.branches()["main"]
    other = metadata(upsert("a"), target_branch="other", expected_target_sha=head)
    refused(post(repo, other, chunk(b"1")), 409, "precondition_failed")


def test_forty_zeros_as_the_guard_do_not_start_a_second_history(repo: Repo) -> None:
    head = repo.write_commit("main", {"a": b"1"})
    for ephemeral in (False, True):
        fields = {"target_branch": "other", "target_is_ephemeral": ephemeral}
        plain = refused(post(repo, metadata(upsert("a"), **fields), chunk(b"2")), 404, "not_found")
        guarded = metadata(upsert("a"), expected_target_sha=ZEROS, **fields)
        assert refused(post(repo, guarded, chunk(b"2")), 404, "not_found") == plain
        assert repo.branches(ephemeral=str(ephemeral).lower()) == ({} if ephemeral else {"main": head})
    patch = "--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+new\n"
    data = base64.b64encode(patch.encode()).decode()
    lines = [
        metadata(target_branch="other", expected_target_sha=ZEROS),
        {"diff_chunk": {"data": data, "eof": True}},
    ]
    del lines[0]["metadata"]["files"]
    body = "".join(json.dumps(line) + "\n" for line in lines)
    reply = repo.api("POST", "/diff-commit", content=body)
    assert (reply.status_code, reply.json()["result"]["status"]) == (404, "not_found")
    assert repo.branches() == {"main": head}


def test_a_branch_cannot_have_a_name_below_another_branch(repo: Repo, server: Server) -> None:
    repo.write_commit("main", {"a": b"1"})
    conflict = metadata(upsert("a"), target_branch="main/below", base_branch="main")
    answer = refused(post(repo, conflict, chunk(b"x")), 409, "conflict")
    assert "main" in answer["error"]


def test_ephemeral_branches_are_separate_from_plain_ones(repo: Repo) -> None:
    head = repo.write_commit("main", {"a": b"1"})
    seeded = metadata(upsert("b"), target_branch="draft", ephemeral=True, base_branch="main")
    first = post(repo, seeded, chunk(b"2")).json()["commit"]["commit_sha"]
    assert repo.branches() == {"main": head}
    assert repo.branches(ephemeral="true") == {"draft": first}
    from_draft = metadata(
        upsert("c"), target_branch="kept", base_branch="draft", ephemeral_base=True, target_is_ephemeral=False
    )
    assert post(repo, from_draft, chunk(b"3")).status_code == 201
    assert repo.list_paths(ref="kept") == ["a", "b", "c"]
    assert repo.read_file("b", ref="draft", ephemeral="1") == b"2"


def test_a_policy_refuses_before_anything_is_written(repo: Repo) -> None:
    head = repo.write_commit("main", {"a": b"1"})
    token = repo.token(refs=[["main", ["no-push"]]])
    answer = refused(post(repo, metadata(upsert("a")), chunk(b"2"), token=token), 403, "forbidden")
    assert answer["error"].startswith("denied by policy")
    signed = repo.token(refs=[["main", ["verify-sig"]]])
    refused(post(repo, metadata(upsert("a")), chunk(b"2"), token=signed), 403, "forbidden")
    forced = repo.token(refs=[["main", ["no-force-push"]]])
    assert post(repo, metadata(upsert("a")), chunk(b"2"), token=forced).status_code == 201
    malformed = repo.token(refs="main")
    refused(post(repo, metadata(upsert("a")), chunk(b"3"), token=malformed), 403, "forbidden")
    assert repo.branches()["main"] != head


def test_failures_before_the_stream_have_a_result_too(repo: Repo, org: Org) -> None:
    assert refused(repo.api("POST", "/commit-pack", token="nonsense"), 401, "unauthorized")
    readers = repo.token(scopes=["git:read"])
    refused(post(repo, metadata(), token=readers), 403, "forbidden")
    released = repo.v1("POST", "/repos/commit-pack", token=readers, content=body([metadata()]))
    refused(released, 401, "unauthorized")
    refused(post(org.repo("no/such"), metadata()), 404, "not_found")
    assert repo.v1("PUT", "/repos/commit-pack").json()["result"]["status"] == "invalid"
