"""POST …/archive and the CodeArts download."""

import io
import json
import stat
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import StartServer
from tests.support.clients.git import Git
from tests.support.clients.repo import Org, Repo
from tests.support.servers.programs import need_programs
from tests.support.servers.server_process import ServerOptions

FILES: dict[str, bytes | tuple[str, bytes]] = {
    "README.md": b"# Shop\n",
    "docs/guide.md": b"guide\r\n",
    "docs/img/logo.bin": bytes(range(256)) * 40,
    "src/run.sh": ("100755", b"#!/bin/sh\n"),
    "src/link": ("120000", b"../README.md"),
    "src/empty": b"",
    ".gitattributes": b"*.md export-ignore\n* text eol=crlf\n",
    "l" * 120 + "/" + "n" * 120: b"long\n",
    "vendor/lib": ("160000", b"f" * 40),
    "ünï ☃.txt": b"u",
}


def archive(repo: Repo, **body: Any) -> httpx.Response:
    return repo.api("POST", "/archive", json=body) if body else repo.api("POST", "/archive")


def members(reply: httpx.Response) -> dict[str, tarfile.TarInfo]:
    assert reply.status_code == 200, reply.text
    with tarfile.open(fileobj=io.BytesIO(reply.content), mode="r:*") as tar:
        return {info.name: info for info in tar.getmembers()}


def test_an_archive_holds_the_stored_bytes_with_modes(repo: Repo, tmp_path: Path) -> None:
    person = {"name": "Ada", "email": "ada@x", "date": "2026-01-02T03:04:05Z"}
    repo.write_commit("main", FILES, author=person)
    reply = archive(repo)
    assert reply.headers["Content-Type"] == "application/gzip"
    assert reply.headers["Cache-Control"] == "no-store"
    name = repo.name.replace("/", "-")
    assert reply.headers["Content-Disposition"] == f'attachment; filename="{name}-main.tar.gz"'
    assert "Content-Encoding" not in reply.headers
    found = members(reply)
    assert set(found) == set(FILES)
    assert {info.mtime for info in found.values()} == {1767323045}
    assert found["src/run.sh"].mode == 0o755
    assert (found["src/link"].issym(), found["src/link"].linkname) == (True, "../README.md")
    assert found["vendor/lib"].isdir()
    with tarfile.open(fileobj=io.BytesIO(reply.content)) as tar:
        for path, value in FILES.items():
            if found[path].isfile():
                content = tar.extractfile(path)
                assert content is not None
                assert content.read() == (value if isinstance(value, bytes) else value[1])
    (tmp_path / "a.tar.gz").write_bytes(reply.content)
    listed = subprocess.run(["tar", "-tzf", str(tmp_path / "a.tar.gz")], capture_output=True, check=True)
    assert len(listed.stdout.splitlines()) == len(FILES)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"include_globs": ["docs/**"]}, {"docs/guide.md", "docs/img/logo.bin"}),
        ({"include_globs": ["*.md"]}, {"README.md", "docs/guide.md"}),
        ({"include_globs": ["docs/*.md", "README.md"]}, {"README.md", "docs/guide.md"}),
        ({"include_globs": ["guide.md"]}, set()),
        ({"include_globs": ["docs/"], "exclude_globs": ["*.bin"]}, {"docs/guide.md"}),
        ({"include_globs": ["docs/**"], "max_blob_size": 100}, {"docs/guide.md"}),
        ({"include_globs": ["src/empty"], "max_blob_size": 0}, {"src/empty"}),
        ({"include_globs": ["docs/guide.md"], "archive": {"prefix": "shop/v1"}}, {"shop/v1/docs/guide.md"}),
    ],
)
def test_globs_and_sizes_choose_the_files_and_prefix_places_them(
    repo: Repo, options: dict[str, Any], expected: set[str]
) -> None:
    repo.write_commit("main", FILES)
    assert set(members(archive(repo, ref="main", **options))) == expected


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"ref": "gone"}, 404),
        ({"ref": "a..b"}, 400),
        ({"ref": "--output=/tmp/x"}, 400),
        ({"ref": "x" * 5000}, 400),
        ({"include_globs": "docs"}, 400),
        ({"include_globs": ["[a"]}, 400),
        ({"exclude_globs": [5]}, 400),
        ({"max_blob_size": -1}, 400),
        ({"max_blob_size": "5"}, 400),
        ({"archive": {"prefix": "/abs"}}, 400),
        ({"archive": {"prefix": "a/../b"}}, 400),
        ({"archive": {"prefix": "a\\b"}}, 400),
        ({"archive": {"prefix": "a//b"}}, 400),
        ({"archive": {"prefix": "a" * 5000}}, 400),
    ],
)
def test_a_bad_request_is_refused_before_the_first_byte(
    repo: Repo, body: dict[str, Any], status: int
) -> None:
    repo.write_commit("main", {"a": b"1"})
    reply = archive(repo, **body)
    assert (reply.status_code, reply.json()["status"]) == (status, status), reply.text


def test_an_empty_repository_has_no_archive(repo: Repo) -> None:
    assert archive(repo).status_code == 404


def test_an_archive_of_a_large_tree_arrives_whole(repo: Repo, git: Git, tmp_path: Path) -> None:
    work = git.init(tmp_path / "work")
    git.commit(
        work, {f"d{n % 20}/f{n}": b"%d\n" % n * (n % 50) for n in range(800)} | {"big": bytes(20_000_000)}
    )
    git.run("-C", str(work), "push", "--quiet", repo.remote(), "HEAD:refs/heads/main")
    found = members(archive(repo))
    assert len(found) == 801
    assert found["big"].size == 20_000_000


def codearts(repo: Repo, number: object, *, token: str | None = None, **query: str) -> httpx.Response:
    headers = {"X-Auth-Token": repo.token(scopes=["git:read"]) if token is None else token}
    url = f"{repo.org.server.url}/v4/repositories/{number}/repository/archive"
    return repo.org.server.http.get(url, headers=headers, params=query)


def number_of(repo: Repo) -> int:
    number: int = repo.api("GET").json()["repository_id"]
    return number


@pytest.mark.parametrize(
    ("archive_format", "media_type"),
    [
        ("zip", "application/zip"),
        ("tar.gz", "application/gzip"),
        ("tar.bz2", "application/x-bzip2"),
        ("tar", "application/x-tar"),
    ],
)
def test_codearts_serves_four_formats(repo: Repo, archive_format: str, media_type: str) -> None:
    repo.write_commit("main", FILES)
    reply = codearts(repo, number_of(repo), archive_format=archive_format, path="src", sha="main")
    assert reply.status_code == 200, reply.text
    assert reply.headers["Content-Type"] == media_type
    assert reply.headers["Content-Disposition"].endswith(f'-main.{archive_format}"')
    top = f"{repo.name.rpartition('/')[2]}-main/"
    expected = {f"{top}src/run.sh", f"{top}src/link", f"{top}src/empty"}
    if archive_format != "zip":
        assert set(members(reply)) == expected
        return
    with zipfile.ZipFile(io.BytesIO(reply.content)) as found:
        assert found.testzip() is None
        assert set(found.namelist()) == expected
        modes = {info.filename: info.external_attr >> 16 for info in found.infolist()}
        assert stat.S_ISLNK(modes[f"{top}src/link"])
        assert found.read(f"{top}src/link") == b"../README.md"
        assert modes[f"{top}src/run.sh"] & 0o777 == 0o755


def test_a_zip_has_the_names_that_git_gives_to_names_that_are_not_utf8(
    repo: Repo, git: Git, tmp_path: Path
) -> None:
    names = [b"\xff", b"\xfe", "\N{REPLACEMENT CHARACTER}".encode(), "ü".encode(), b"plain"]
    files = b"".join(b'M 100644 inline "%b"\ndata 1\nx\n' % _quote(name) for name in names)
    head = b"commit refs/heads/main\ncommitter A <a@x> 99999999999 +0000\ndata 0\n"
    work = git.init(tmp_path / "work")
    git.run("fast-import", "--quiet", cwd=work, stdin=head + files)
    git.run("push", "--quiet", repo.remote(), "main", cwd=work)
    git.run("archive", "--prefix=top/", "--output", work / "own.zip", "main", cwd=work)
    reply = codearts(repo, number_of(repo), archive_format="zip")
    with zipfile.ZipFile(io.BytesIO(reply.content)) as found, zipfile.ZipFile(work / "own.zip") as own:
        assert found.testzip() is None
        stored = {(info.filename.partition("/")[2], info.flag_bits & 0x800) for info in found.infolist()}
        assert stored == {(info.filename[4:], info.flag_bits & 0x800) for info in own.infolist()[1:]}
        assert found.infolist()[0].date_time == (2107, 12, 31, 23, 59, 58)


def _quote(name: bytes) -> bytes:
    return b"".join(b"\\%03o" % byte for byte in name)


def test_codearts_works_with_plain_curl(repo: Repo, tmp_path: Path) -> None:
    need_programs("curl")
    repo.write_commit("main", FILES)
    url = f"{repo.org.server.url}/v4/repositories/{number_of(repo)}/repository/archive?archive_format=zip"
    header = f"X-Auth-Token: {repo.token(scopes=['git:read'])}"
    subprocess.run(["curl", "--silent", "--fail", "-H", header, "-OJ", url], cwd=tmp_path, check=True)
    [saved] = tmp_path.glob("*-main.zip")
    with zipfile.ZipFile(saved) as found:
        assert found.testzip() is None
        assert len(found.namelist()) == len(FILES)


def test_codearts_archives_everything_or_a_single_file(repo: Repo) -> None:
    repo.write_commit("main", FILES)
    assert len(members(codearts(repo, number_of(repo)))) == len(FILES)
    one = members(codearts(repo, number_of(repo), path="docs/guide.md"))
    assert [name.partition("/")[2] for name in one] == ["docs/guide.md"]


def test_codearts_takes_static_tokens_from_a_file(start_server: StartServer, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("# readers\n")
    server = start_server(ServerOptions(settings={"static_tokens": str(tokens)}))
    repo = server.new_org().create_repo("team/shop")
    other = repo.org.create_repo("other")
    for each in (repo, other):
        each.write_commit("main", {"a": b"1"})
    tokens.write_text(f"# readers\nsecret-1 {repo.org.name} team/shop\nsecret-2 {repo.org.name} *\n")
    assert codearts(repo, number_of(repo), token="secret-1").status_code == 200
    assert codearts(other, number_of(other), token="secret-1").status_code == 403
    assert codearts(other, number_of(other), token="secret-2").status_code == 200
    assert codearts(other, number_of(other), token="secret-3").status_code == 401
    assert repo.api("GET", token="secret-2").status_code == 401


def test_a_bad_line_in_the_token_file_leaves_the_other_lines_valid(
    start_server: StartServer, tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens"
    server = start_server(ServerOptions(settings={"static_tokens": str(tokens)}))
    repo = server.new_org().create_repo("team/spring catalogue")
    repo.write_commit("main", {"a": b"1"})
    signed = repo.token()
    assert codearts(repo, number_of(repo), token=signed).status_code == 503
    good = f"secret-1 {repo.org.name} team/spring catalogue\n".encode()
    tokens.write_bytes(b"secret-0\n\xff\xfe\n" + good + b"secret-2 acme a\\b\n")
    for _ in range(3):
        assert codearts(repo, number_of(repo), token="secret-1").status_code == 200
        assert codearts(repo, number_of(repo), token=signed).status_code == 200
        assert codearts(repo, number_of(repo), token="secret-0").status_code == 401
    told = [line for line in server.stderr().splitlines() if "static tokens' file" in line]
    assert [json.loads(line)["line"] for line in told] == [1, 2, 4]
    assert "secret-" not in server.stderr()


def test_codearts_errors_have_two_members(repo: Repo, org: Org) -> None:
    repo.write_commit("main", {"a": b"1"})
    number = number_of(repo)
    other = org.create_repo()
    expired = {"error_code": "DEV.00000003", "error_msg": "Authentication information expired."}
    for reply in (
        codearts(repo, number, token="x"),
        codearts(repo, 999_999, token="x"),
        codearts(repo, "x", token=""),
    ):
        assert (reply.status_code, reply.json()) == (401, expired)
    denied = codearts(repo, number, token=other.token())
    assert denied.status_code == 403
    assert denied.json() == {
        "error_code": "CH.004403",
        "error_msg": "Insufficient permissions. Apply for the required permissions and try again.",
    }
    assert codearts(repo, number, token=repo.token(scopes=["repo:write"])).status_code == 403
    for number_given in (0, -1, "abc", 2**31, "1.5", "9" * 50, "0" * 19 + "1" + "0" * 30, "1" * 5000, "%20"):
        reply = codearts(repo, number_given)
        assert (reply.status_code, reply.json()["error_code"]) == (400, "CH.004400"), number_given
    for query in ({"archive_format": "rar"}, {"path": " "}, {"path": "../x"}, {"sha": "-x"}):
        reply = codearts(repo, number, **query)
        assert (reply.status_code, set(reply.json())) == (400, {"error_code", "error_msg"}), query
    for query in ({"path": "gone"}, {"sha": "gone"}, {"path": "gone/" * 2000}):
        assert codearts(repo, number, **query).json()["error_code"] == "CH.004404"
    assert codearts(repo, 2**31 - 1).status_code == 404
