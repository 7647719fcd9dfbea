"""Differences over the whole pipeline: the exact bytes of each answer, small ones and those sent in pieces."""

import json
from typing import Any

import pytest

from packhouse.git.oid import hash_object
from tests.unit.web.api.conftest import Client, as_sent, commit_files, new_commit, shown

pytestmark = pytest.mark.quick


def patch(path: str, new: str, lines: str, *, git_path: str = "") -> str:
    """Return git's patch of a new file of one hunk."""
    name = git_path or path
    oid = hash_object("blob", new.encode())[:7]
    names = (f'"a/{name}"', f'"b/{name}"') if git_path else (f"a/{name}", f"b/{name}")
    return (
        f"diff --git {names[0]} {names[1]}\nnew file mode 100644\nindex 0000000..{oid}\n"
        f"--- /dev/null\n+++ {names[1]}\n{lines}"
    )


def shown_file(path: str, raw: str, **more: Any) -> dict[str, Any]:
    members: dict[str, Any] = {"path": path, "state": "A", "old_path": "", "bytes": len(raw.encode())}
    return {**members, "is_eof": True, **more, "additions": 1, "deletions": 0, "raw": raw}


def stats(files: int, additions: int, deletions: int) -> dict[str, int]:
    changes = additions + deletions
    return {"files": files, "additions": additions, "deletions": deletions, "changes": changes}


def test_a_commit_is_compared_with_its_parent(stocked: Client) -> None:
    base = json.loads(stocked.call("GET", "/commit?ref=main").body)["commit"]["sha"]
    tip = new_commit(commit_files(stocked, "main", {b"b.txt": b'"\xc3\xbc"\n', b"caf\xe9": b"x\n"}))
    files = [
        shown_file("b.txt", patch("b.txt", '"ü"\n', '@@ -0,0 +1 @@\n+"ü"\n')),
        shown_file(
            "caf\N{REPLACEMENT CHARACTER}",
            patch("", "x\n", "@@ -0,0 +1 @@\n+x\n", git_path="caf\\351"),
            path_base64="Y2Fm6Q==",
        ),
    ]
    expected = {
        "sha": tip,
        "base_sha": base,
        "merge_base_sha": "",
        "stats": stats(2, 2, 0),
        "files": files,
        "filtered_files": [],
    }
    sent = stocked.call("GET", "/diff?ref=main")
    assert shown(sent) == (200, as_sent(expected))
    assert sent.headers["cache-control"] == "private, no-cache"
    kept = stocked.call("GET", f"/diff?ref={tip}").headers["cache-control"]
    assert kept == "private, max-age=31536000, immutable"


def test_a_root_commit_has_no_base_and_a_named_base_gives_a_merge_base(repo: Client) -> None:
    root = new_commit(commit_files(repo, "main", {b"a": b"1\n"}))
    sent = repo.call("GET", "/diff?ref=main").body.decode()
    assert sent.startswith(f'{{"sha":"{root}","base_sha":"","merge_base_sha":"","stats":{{"files":1,')
    sent = repo.call("GET", f"/diff?ref=main&base_ref={root}").body.decode()
    expected = {"sha": root, "base_sha": root, "merge_base_sha": root, "stats": stats(0, 0, 0)}
    assert sent == as_sent({**expected, "files": [], "filtered_files": []})


def test_a_file_without_its_patch_is_filtered_and_counted(stocked: Client) -> None:
    tip = new_commit(
        commit_files(stocked, "main", {b"a.txt": None, b"bin": b"\0x", b"caf\xe9/go.sum": b"v1\nv2\n"})
    )
    sent = json.loads(stocked.call("GET", f"/diff?ref={tip}").body)
    assert [file["path"] for file in sent["files"]] == ["a.txt"]
    assert (sent["files"][0]["state"], sent["files"][0]["deletions"]) == ("D", 1)
    binary, locked = sent["filtered_files"]
    assert list(binary.items()) == [
        ("path", "bin"),
        ("state", "A"),
        ("old_path", ""),
        ("bytes", 2),
        ("is_eof", False),
    ]
    assert list(locked) == ["path", "state", "old_path", "bytes", "is_eof", "path_base64"]
    assert sent["stats"] == stats(3, 2, 1)


def test_a_renamed_file_has_the_bytes_of_both_names(repo: Client) -> None:
    text = b"".join(b"line %d\n" % number for number in range(50))
    assert commit_files(repo, "main", {b"caf\xe9": text}).status == 201
    assert commit_files(repo, "main", {b"caf\xe9": None, b"th\xe9": text}).status == 201
    (file,) = json.loads(repo.call("GET", "/diff?ref=main").body)["files"]
    assert (file["state"], file["path_base64"], file["old_path_base64"]) == ("R", "dGjp", "Y2Fm6Q==")
    names = ["path", "state", "old_path", "bytes", "is_eof", "path_base64", "old_path_base64"]
    assert list(file) == [*names, "additions", "deletions", "raw"]


def test_a_branch_is_compared_with_where_it_left_its_base(stocked: Client) -> None:
    base = json.loads(stocked.call("GET", "/commit?ref=main").body)["commit"]["sha"]
    made = stocked.call("POST", "/branches/create", {"target_branch": "dev", "base_ref": "main"})
    assert made.status == 200
    assert commit_files(stocked, "dev", {b"b": b"x\n"}).status == 201
    raw = patch("b", "x\n", "@@ -0,0 +1 @@\n+x\n")
    expected = {
        "branch": "dev",
        "base": "main",
        "merge_base_sha": base,
        "stats": stats(1, 1, 0),
        "files": [shown_file("b", raw)],
        "filtered_files": [],
    }
    sent = stocked.call("GET", "/branches/diff?branch=dev")
    assert shown(sent) == (200, as_sent(expected))
    assert sent.headers["cache-control"] == "private, no-cache"


def test_a_large_answer_has_the_same_form_in_several_pieces(repo: Client) -> None:
    text = b'"quoted" \xc3\xbc line\n' * 1000
    files = {b"%02d" % number: text for number in range(30)}
    tip = new_commit(commit_files(repo, "main", files | {b"go.sum": b"1\n", b"bin": b"\0"}))
    sent = repo.call("GET", f"/diff?ref={tip}")
    assert len(sent.messages) > 4
    assert "content-length" not in sent.headers
    assert (sent.status, sent.headers["content-type"]) == (200, "application/json")
    assert sent.headers["cache-control"] == "private, max-age=31536000, immutable"
    told = json.loads(sent.body)
    assert as_sent(told) == sent.body.decode()
    assert list(told) == ["sha", "base_sha", "merge_base_sha", "stats", "files", "filtered_files"]
    assert [file["path"] for file in told["files"]] == [name.decode() for name in files]
    assert [file["path"] for file in told["filtered_files"]] == ["bin", "go.sum"]
    assert told["stats"] == stats(32, 30_001, 0)


def test_head_sends_no_body_of_a_large_answer(repo: Client) -> None:
    files = {b"%02d" % number: b"line\n" * 2000 for number in range(40)}
    assert commit_files(repo, "main", files).status == 201
    sent = repo.call("HEAD", "/diff?ref=main")
    assert (sent.status, sent.body, sent.headers["content-type"]) == (200, b"", "application/json")
