"""POST …/diff-commit: patches that git apply --cached --binary accepts, all or nothing."""

import base64
import json
import random
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.builders.seeds import seed_of
from tests.support.clients.git import Git
from tests.support.clients.repo import Repo

AUTHOR = {"name": "Ada", "email": "ada@northwind.example"}
EDIT = b"--- a/README.md\n+++ b/README.md\n@@ -1 +1 @@\n-# Shop\n+# Web shop\n"


def post(repo: Repo, patch: bytes, *, chunk_bytes: int = 0, **fields: Any) -> httpx.Response:
    metadata = {"target_branch": "main", "commit_message": "patch", "author": AUTHOR, **fields}
    size = chunk_bytes or max(len(patch), 1)
    pieces = [patch[start : start + size] for start in range(0, len(patch), size)] or [b""]
    lines: list[dict[str, Any]] = [{"metadata": metadata}]
    for number, piece in enumerate(pieces):
        data = base64.b64encode(piece).decode()
        lines.append({"diff_chunk": {"data": data, "eof": number == len(pieces) - 1}})
    return repo.api("POST", "/diff-commit", content="".join(json.dumps(line) + "\n" for line in lines))


def refused(reply: httpx.Response, status: int, result_status: str) -> str:
    assert (reply.status_code, reply.json()["result"]["status"]) == (status, result_status), reply.text
    error: str = reply.json()["error"]
    return error


def test_a_patch_becomes_a_commit(repo: Repo) -> None:
    head = repo.write_commit("main", {"README.md": b"# Shop\n", "other": b"x"})
    reply = post(repo, EDIT, expected_target_sha=head, chunk_bytes=7)
    assert reply.status_code == 201, reply.text
    answer = reply.json()
    assert answer["commit"]["blob_count"] == 1
    assert answer["result"]["old_sha"] == head
    assert repo.read_file("README.md") == b"# Web shop\n"
    assert repo.list_paths() == ["README.md", "other"]


def test_the_base64_of_a_patch_may_be_wrapped(repo: Repo) -> None:
    repo.write_commit("main", {"README.md": b"# Shop\n"})
    metadata = {"target_branch": "main", "commit_message": "patch", "author": AUTHOR}
    chunk = {"data": base64.encodebytes(EDIT).decode(), "eof": True}
    lines = [{"metadata": metadata}, {"diff_chunk": chunk}]
    reply = repo.api("POST", "/diff-commit", content="".join(json.dumps(line) + "\n" for line in lines))
    assert reply.status_code == 201, reply.text
    assert repo.read_file("README.md") == b"# Web shop\n"


def test_a_first_commit_can_be_a_patch(repo: Repo) -> None:
    patch = (
        b"diff --git a/new/a b/new/a\nnew file mode 100755\n--- /dev/null\n+++ b/new/a\n@@ -0,0 +1 @@\n+x\n"
    )
    assert post(repo, patch).status_code == 201
    assert repo.read_file("new/a") == b"x\n"


def test_a_patch_that_does_not_fit_is_a_conflict_and_changes_nothing(repo: Repo) -> None:
    head = repo.write_commit("main", {"README.md": b"# Else\n"})
    error = refused(post(repo, EDIT), 400, "conflict")
    assert "README.md" in error
    missing = EDIT.replace(b"README.md", b"gone.md")
    refused(post(repo, missing), 400, "conflict")
    both = b"diff --git a/n b/n\nnew file mode 100644\n--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+x\n" + EDIT
    refused(post(repo, both), 400, "conflict")
    exists = b"--- /dev/null\n+++ b/README.md\n@@ -0,0 +1 @@\n+x\n"
    refused(post(repo, exists), 400, "conflict")
    assert repo.branches() == {"main": head}


@pytest.mark.parametrize(
    "patch",
    [
        b"",
        b"hello\n",
        b"\0\xff" * 50,
        b"--- a/README.md\n+++ b/README.md\n@@ -1 +1,5 @@\n-# Shop\n",
        b"diff --git a/README.md b/README.md\nold mode 100644\nnew mode 100644\n",
        EDIT.replace(b"README.md", b".git/config"),
        EDIT.replace(b"README.md", b"../escape"),
        b"--- /dev/null\n+++ b/.git/hooks/x\n@@ -0,0 +1 @@\n+x\n",
        b"--- /dev/null\n+++ b/../x\n@@ -0,0 +1 @@\n+x\n",
        b"--- /dev/null\n+++ b/GIT~1/x\n@@ -0,0 +1 @@\n+x\n",
        "--- /dev/null\n+++ b/.g\u200cit/x\n@@ -0,0 +1 @@\n+x\n".encode(),
        b'--- /dev/null\n+++ b/.gitmodules\n@@ -0,0 +1,2 @@\n+[submodule "../x"]\n+\turl = https://x.example\n',
        b"diff --git a/s b/s\nnew file mode 160000\n--- /dev/null\n+++ b/s\n@@ -0,0 +1 @@\n+Subproject commit "
        + b"0" * 40
        + b"\n",
        b"diff --git a/n b/n\nunknown header\n--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+x\n",
    ],
)
def test_text_that_is_not_an_acceptable_patch_is_invalid(repo: Repo, patch: bytes) -> None:
    head = repo.write_commit("main", {"README.md": b"# Shop\n", "x": b"1"})
    refused(post(repo, patch), 400, "invalid")
    assert repo.branches() == {"main": head}


@pytest.mark.parametrize(
    "header",
    [
        b"--- a/dir//two\n+++ b/dir//two\n",
        b'--- "a/dir//two"\n+++ "b/dir//two"\n',
        b"--- a/dir/two 2026-01-01 00:00:00.000000000 +0000\n+++ b/dir/two 2026-01-02 10:20:30 +01:00\n",
        b"--- a/dir/two\tyesterday\n+++ b/dir/two\ttoday\n",
        b"--- a/dir/two.orig\n+++ a/dir/two\n",
        b"Index: dir/two\n--- old/dir/two\n+++ new/dir/two\n",
        b"--- dir/two\n+++ dir/two\n",
        b"--- /a/dir/two\n+++ /b/dir/two\n",
        b"--- a//dir/two\n+++ b//dir/two\n",
    ],
)
def test_a_plain_header_is_read_as_git_reads_it(repo: Repo, git: Git, tmp_path: Path, header: bytes) -> None:
    files = {"dir/one": b"1\n", "dir/two": b"2\n"}
    repo.write_commit("main", files)
    work = git.init(tmp_path / "work")
    git.commit(work, files)
    patch = header + b"@@ -1 +1 @@\n-2\n+zwei\n"
    applies = git.try_run("apply", "--cached", "--check", cwd=work, stdin=patch).returncode == 0
    assert post(repo, patch).status_code == (201 if applies else 400)
    assert repo.read_file("dir/two") == (b"zwei\n" if applies else b"2\n")


def test_a_file_below_two_thousand_folders_can_be_patched(repo: Repo) -> None:
    path = "a/" * 2000 + "f"
    repo.write_commit("main", {path: b"1\n", "x": b"2\n"})
    patch = f"--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-1\n+one\n".encode()
    assert post(repo, patch).status_code == 201
    assert repo.read_file(path) == b"one\n"


def test_a_patch_cannot_write_through_a_symlink(repo: Repo) -> None:
    repo.write_commit("main", {"link": ("120000", b"/etc"), "x": b"1"})
    patch = b"--- /dev/null\n+++ b/link/passwd\n@@ -0,0 +1 @@\n+x\n"
    assert post(repo, patch).status_code == 400
    below_a_file = patch.replace(b"link/passwd", b"x/below")
    assert post(repo, below_a_file).status_code == 400


def test_an_index_line_gives_no_access_to_an_object_by_its_id(repo: Repo) -> None:
    """A binary patch may name, in `index`, an object of another branch. It must not bring that object in."""
    repo.write_commit("main", {"a": b"1"})
    secret = b"\0secret\n"
    repo.write_commit("hidden", {"s": secret}, base_branch="main")
    oid = repo.api("HEAD", "/file", params={"path": "s", "ref": "hidden"}).headers["X-Blob-Sha"]
    patch = (
        f"diff --git a/a b/stolen\nsimilarity index 100%\ncopy from a\ncopy to stolen\nindex {oid}..{oid} 100644\n"
        f"diff --git a/new b/new\nnew file mode 100644\nindex {'0' * 40}..{oid}\nBinary files differ\n"
    ).encode()
    refused(post(repo, patch), 400, "conflict")


def test_framing_faults_are_refused(repo: Repo) -> None:
    head = repo.write_commit("main", {"README.md": b"# Shop\n"})
    metadata = {"metadata": {"target_branch": "main", "commit_message": "m", "author": AUTHOR}}
    data = base64.b64encode(EDIT).decode()
    whole = {"diff_chunk": {"data": data, "eof": True}}
    streams: list[list[dict[str, Any]]] = [
        [metadata],
        [metadata, {"diff_chunk": {"data": data, "eof": False}}],
        [metadata, whole, whole],
        [metadata, {"blob_chunk": {"content_id": "c", "data": data, "eof": True}}],
        [whole],
    ]
    for lines in streams:
        body = "".join(json.dumps(line) + "\n" for line in lines)
        refused(repo.api("POST", "/diff-commit", content=body), 400, "invalid")
    assert repo.branches() == {"main": head}


FILE = b"".join(b"line %d\n" % number for number in range(1, 21))
TWO_HUNKS = (
    b"--- a/f\n+++ b/f\n@@ -1,3 +1,4 @@\n line 1\n+new\n line 2\n line 3\n"
    b"@@ -17,4 +18,4 @@ section\n line 17\n-line 18\n+changed\n line 19\n line 20\n"
)
PATCHED = FILE.replace(b"line 1\n", b"line 1\nnew\n", 1).replace(b"line 18\n", b"changed\n")


@pytest.mark.parametrize(
    "patch",
    [
        TWO_HUNKS.rstrip(b"\n"),
        TWO_HUNKS.replace(b"-1,3 +1,4", b"-1,9 +1,9"),
        TWO_HUNKS.replace(b"-1,3 +1,4", b"-1,2 +1,3"),
        TWO_HUNKS.replace(b"-1,3 +1,4", b"-1 +1"),
        TWO_HUNKS.replace(b"-17,4 +18,4", b"-17,7 +18,2"),
        TWO_HUNKS.replace(b"-17,4 +18,4", b"-17,3 +18,3"),
        TWO_HUNKS.replace(b"-17,4 +18,4", b"-17,2 +18,2").rstrip(b"\n"),
        TWO_HUNKS.replace(b"-1,3 +1,4", b"-1,30 +1,40").replace(b"-17,4 +18,4", b"-17,40 +18,40"),
        TWO_HUNKS.replace(b"-17,4 +18,4", b"-17,7 +18,7") + b"\n\n",
        TWO_HUNKS.replace(b"@@ -17", b"\n@@ -17"),
        TWO_HUNKS + b"\nThat is all.\n",
        TWO_HUNKS.replace(b"-1,3 +1,4", b"-1,8 +1,8").replace(b"@@ -17", b"\n@@ -17"),
        b"diff --git a/f b/f\nindex 1..2 100644\n" + TWO_HUNKS.replace(b"-17,4 +18,4", b"-17,5 +18,5"),
        b"Subject: [PATCH] f\n\n---\n f | 2 +-\n\ndiff --git a/f b/f\n"
        + TWO_HUNKS.replace(b"-17,4 +18,4", b"-17,9 +18,9")
        + b"-- \n2.39.5\n\n",
    ],
)
def test_hunks_are_counted_anew_where_only_the_counts_are_wrong(repo: Repo, patch: bytes) -> None:
    repo.write_commit("main", {"f": FILE})
    reply = post(repo, patch)
    assert reply.status_code == 201, reply.text
    assert repo.read_file("f") == PATCHED


@pytest.mark.parametrize(
    "behind",
    [
        b"--\n2.39.5\n",
        b"--\n2.39.5\n\n",
        b"- a bullet\n",
        b" indented\n",
        b"\n- a bullet\n",
        b"\nThat is all.\n",
    ],
)
def test_text_behind_a_hunk_with_right_counts_is_ignored(repo: Repo, behind: bytes) -> None:
    repo.write_commit("main", {"f": FILE})
    last_hunk = b"--- a/f\n+++ b/f\n@@ -9,3 +9,3 @@\n line 9\n-line 10\n+ten\n line 11\n"
    reply = post(repo, last_hunk + behind)
    assert reply.status_code == 201, reply.text
    assert repo.read_file("f") == FILE.replace(b"line 10\n", b"ten\n")


def test_the_next_file_of_a_plain_patch_ends_a_hunk_with_wrong_counts(repo: Repo) -> None:
    repo.write_commit("main", {"f": FILE, "g": b"1\n"})
    second = b"--- a/g\n+++ b/g\n@@ -1,9 +1,9 @@\n-1\n+one\n--- /dev/null\n+++ b/h\n@@ -0,0 +1,7 @@\n+h\n"
    reply = post(repo, TWO_HUNKS.replace(b"-17,4 +18,4", b"-17,9 +18,9") + second)
    assert reply.status_code == 201, reply.text
    assert [repo.read_file(path) for path in "fgh"] == [PATCHED, b"one\n", b"h\n"]


def test_lines_that_look_like_headers_stay_content_while_the_counts_hold(repo: Repo) -> None:
    repo.write_commit("main", {"f": b"-- a/x\ntwo\n"})
    patch = b"--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n--- a/x\n+++ b/x\n two\n"
    assert post(repo, patch).status_code == 201
    assert repo.read_file("f") == b"++ b/x\ntwo\n"


def test_an_empty_line_of_context_may_lack_its_blank(repo: Repo) -> None:
    repo.write_commit("main", {"f": b"1\n\n3\n\n"})
    patch = b"--- a/f\n+++ b/f\n@@ -1,9 +1,9 @@\n 1\n\n-3\n+three\n\n"
    assert post(repo, patch).status_code == 201
    assert repo.read_file("f") == b"1\n\nthree\n\n"


@pytest.mark.parametrize("lacking", [1, 2])
def test_binary_data_may_lack_the_end_of_its_last_line(
    repo: Repo, git: Git, tmp_path: Path, lacking: int
) -> None:
    work = git.init(tmp_path / "work")
    git.commit(work, {"f": b"\0" * 300})
    repo.write_commit("main", {"f": b"\0" * 300})
    git.commit(work, {"f": bytes(range(256))})
    patch = git.try_run("diff", "--binary", "HEAD~", "HEAD", cwd=work).stdout
    assert patch.endswith(b"\n\n")
    reply = post(repo, patch[:-lacking])
    assert reply.status_code == 201, reply.text
    assert repo.read_file("f") == bytes(range(256))


@pytest.mark.parametrize(
    ("patch", "told"),
    [
        (TWO_HUNKS.replace(b"-1,3 +1,4", b"-1,9 +1,9").replace(b" line 2\n", b"line 2\n"), "line 6"),
        (TWO_HUNKS.replace(b" line 2\n", b"line 2\n"), "line 6"),
        (b"--- a/f\n+++ b/f\n@@ -2,3 +2,3 @@\nline 2\n-line 3\n+LINE 3\nline 4\n", "line 4 begins"),
        (TWO_HUNKS.replace(b"@@ -17,4 +18,4 @@", b"@@ ... @@"), "line 8"),
        (TWO_HUNKS.replace(b"@@ -1,3 +1,4 @@", b"@@"), "line 3"),
        (b"--- a/f\n+++ b/f\n@@ -1,2 +1,9 @@\n-line 1\n-line 2\n", "cut off"),
        (b"--- a/f\n+++ b/f\n@@ -1,4 +1,9 @@\n", "cut off"),
        (TWO_HUNKS.replace(b"-17,4 +18,4", b"-17,9 +18,9") + b"That is all.\n", "line 14"),
    ],
)
def test_hunks_with_unclear_lines_are_refused_by_their_header(repo: Repo, patch: bytes, told: str) -> None:
    head = repo.write_commit("main", {"f": FILE})
    error = refused(post(repo, patch), 400, "invalid")
    assert "@@" in error and told in error
    assert repo.branches() == {"main": head}


def test_a_deleted_line_of_a_dash_and_a_blank_does_not_end_the_patch(repo: Repo) -> None:
    repo.write_commit("main", {"f": b"list:\n- a\nmid\n- \n- b\nend\n"})
    patch = b"--- a/f\n+++ b/f\n@@ -1,3 +1,2 @@\n list:\n-- a\n mid\n-- \n-- b\n+- c\n end\n"
    assert post(repo, patch).status_code == 201
    assert repo.read_file("f") == b"list:\nmid\n- c\nend\n"


@pytest.mark.parametrize(
    "patch",
    [
        b"--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n-line 1\n+one\n line 2\nline 3\n-line 4\n+four\n",
        b"--- /dev/null\n+++ b/n\n@@ -0,0 +1,2 @@\n+one\n+two\nthree\n+four\n",
    ],
)
def test_changes_behind_a_line_without_its_blank_are_not_dropped(repo: Repo, patch: bytes) -> None:
    head = repo.write_commit("main", {"f": FILE})
    assert "@@" in refused(post(repo, patch), 400, "invalid")
    assert repo.branches() == {"main": head}


def test_many_files_of_one_folder_can_be_patched(repo: Repo) -> None:
    repo.write_commit("main", {f"d/{number}": b"%d\n" % number for number in range(500)})
    patch = b"".join(b"--- a/d/%d\n+++ b/d/%d\n@@ -1 +1 @@\n-%d\n+x\n" % (n, n, n) for n in range(500))
    assert post(repo, patch).json()["commit"]["blob_count"] == 500


def test_a_recounted_hunk_that_does_not_fit_is_named(repo: Repo) -> None:
    repo.write_commit("main", {"f": FILE.replace(b"line 18", b"else")})
    error = refused(post(repo, TWO_HUNKS.replace(b"-17,4 +18,4", b"-17,9 +18,2")), 400, "conflict")
    assert (
        "f:17" in error and "line 8 (@@ -17,9 +18,2 @@ section) is followed by 4 old and 4 new lines" in error
    )


def test_random_patches_with_wrong_counts_give_the_trees_of_right_counts(
    repo: Repo, git: Git, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    rng = random.Random(seed_of(request))
    work = git.init(tmp_path / "work")
    lines = [b"%d\n" % number if number % 7 else b"\n" for number in range(300)]
    git.commit(work, {"f": b"".join(lines), "g": b"".join(lines)})
    git.run("push", "--quiet", repo.remote(), "HEAD:refs/heads/main", cwd=work)
    for _ in range(8):
        files: dict[str, bytes | None] = {}
        for name in "fg":
            edited = list(lines)
            for _ in range(rng.randrange(1, 5)):
                place = rng.randrange(len(edited))
                edited[place : place + rng.randrange(3)] = [b"new %d\n" % rng.randrange(99)] * rng.randrange(
                    1, 4
                )
            files[name] = b"".join(edited)
        git.run("reset", "--quiet", "--hard", "HEAD", cwd=work)
        for name, content in files.items():
            (work / name).write_bytes(content or b"")
        patch = git.try_run("diff", cwd=work).stdout
        if rng.random() < 0.3:
            patch = b"".join(
                line for line in patch.splitlines(True) if not line.startswith((b"diff", b"index"))
            )
        wrong = re.sub(
            rb"(?m)^@@ -(\d+),\d+ \+(\d+),\d+ @@",
            lambda match: (
                b"@@ -%s,%d +%s,%d @@" % (match[1], rng.randrange(1, 30), match[2], rng.randrange(1, 30))
            ),
            patch,
        )
        branch = f"b{rng.randrange(10**9)}"
        reply = post(repo, wrong.rstrip(b"\n"), target_branch=branch, base_branch="main")
        assert reply.status_code == 201, (reply.text, wrong)
        assert {name: repo.read_file(name, ref=branch) for name in "fg"} == files


def test_random_patches_give_the_trees_that_git_apply_gives(
    repo: Repo, git: Git, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    rng = random.Random(seed_of(request))
    work = git.init(tmp_path / "work")
    files: dict[str, bytes | None] = {
        f"dir{number % 3}/file {number}.txt": b"".join(b"line %d\n" % rng.randrange(99) for _ in range(30))
        for number in range(8)
    }
    files['odd"name\t'] = b"quoted\n"
    files["crlf"] = b"one\r\ntwo\r\n"
    files["bin"] = rng.randbytes(3000)
    first = git.commit(work, files)
    git.run("-C", str(work), "push", "--quiet", repo.remote(), "HEAD:refs/heads/main")
    for _ in range(6):
        _edit_randomly(rng, work)
        git.run("-C", str(work), "add", "--all")
        git.run("-C", str(work), "commit", "--quiet", "--allow-empty", "-m", "edit")
        options = ["--binary", "-M", "-C", "--find-copies-harder"]
        patch = git.try_run("diff", *options, "HEAD~", "HEAD", cwd=work).stdout
        if not patch:
            continue
        reply = post(repo, patch)
        assert reply.status_code == 201, (reply.text, patch)
        assert (
            reply.json()["commit"]["tree_sha"] == git.run("-C", str(work), "rev-parse", "HEAD^{tree}").strip()
        )
    assert first


def _edit_randomly(rng: random.Random, work: Path) -> None:
    """Change a few files of a work tree by edits that a diff can show."""
    paths = sorted(path for path in work.rglob("*") if path.is_file() and ".git" not in path.parts)
    for number, path in enumerate(rng.sample(paths, min(4, len(paths)))):
        kind = rng.choice(
            ["edit", "rename", "copy", "mode", "delete", "no newline", "binary", "symlink", "empty"]
        )
        if path.is_symlink():
            path.unlink()
        elif kind == "edit":
            lines = path.read_bytes().splitlines(keepends=True)
            lines.insert(rng.randrange(len(lines) + 1), b"inserted %d\n" % rng.randrange(999))
            path.write_bytes(b"".join(lines))
        elif kind == "rename":
            path.rename(path.with_name(f"renamed-{rng.randrange(999)}-{number}"))
        elif kind == "copy":
            path.with_name(f"copy-{rng.randrange(999)}-{number}").write_bytes(path.read_bytes() + b"more\n")
        elif kind == "mode":
            path.chmod(path.stat().st_mode ^ 0o111)
        elif kind == "no newline":
            path.write_bytes(path.read_bytes().rstrip(b"\n"))
        elif kind == "binary":
            path.write_bytes(rng.randbytes(rng.randrange(1, 4000)))
        elif kind == "symlink":
            path.unlink()
            path.symlink_to("somewhere/else")
        elif kind == "empty":
            path.write_bytes(b"")
        else:
            path.unlink()
