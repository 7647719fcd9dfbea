"""History over HTTP: both dialects, pages, signatures, odd commits, bad input."""

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.support.clients.git import Git
from tests.support.clients.repo import Repo
from tests.support.servers.programs import need_programs

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def list_shas(repo: Repo, **query: str) -> list[str]:
    """Return the ids of one page."""
    reply = repo.api("GET", "/commits", params=query)
    assert reply.status_code == 200, reply.text
    return [commit["sha"] for commit in reply.json()["commits"]]


def write_history(repo: Repo, count: int) -> list[str]:
    """Make `count` commits of one file each; return their ids, newest first."""
    return [repo.write_commit("main", {f"f{n % 3}": b"%d\n" % n}) for n in range(count)][::-1]


def push_raw_commit(repo: Repo, git: Git, work: Path, content: bytes, branch: str) -> str:
    """Push a commit object made of exactly these bytes."""
    if not work.exists():
        git.init(work)
    git.run("hash-object", "-w", "-t", "tree", "--stdin", cwd=work)
    oid = git.run("hash-object", "-w", "-t", "commit", "--literally", "--stdin", cwd=work, stdin=content)
    git.run("push", "--quiet", repo.remote("+import"), f"{oid}:refs/heads/{branch}", cwd=work)
    return oid


def test_a_commit_is_listed_with_every_field_in_both_dialects(repo: Repo) -> None:
    person = {"name": "Lin", "email": "lin@example.test", "date": "2026-01-02T09:30:00+01:00"}
    first = repo.write_commit("main", {"a": b"1\n"}, message="Start", committer=person)
    second = repo.write_commit("main", {"a": b"2\n"}, message="Second\n\nWith a body.\n\n", committer=person)
    expected = {
        "sha": second,
        "parent_shas": [first],
        "message": "Second\n\nWith a body.",
        "author_name": "Ada",
        "author_email": "ada@example.test",
        "committer_name": "Lin",
        "committer_email": "lin@example.test",
        "date": "2026-01-02T08:30:00Z",
    }
    for reply in (
        repo.api("GET", "/commits", params={"ref": "main"}),
        repo.v1("GET", "/repos/commits", params={"branch": "main"}),
        repo.v1("GET", "/repos/commits"),
    ):
        assert reply.status_code == 200
        body = reply.json()
        assert body["commits"][0] == expected
        assert body["commits"][1]["parent_shas"] == []
        assert body["has_more"] is False
        assert "next_cursor" not in body
    for reply in (
        repo.api("GET", "/commit", params={"ref": "main"}),
        repo.v1("GET", "/repos/commit", params={"sha": second.upper()}),
    ):
        assert reply.json() == {"commit": expected}


def test_pages_neither_repeat_nor_miss_while_the_branch_moves(repo: Repo) -> None:
    expected = write_history(repo, 7)
    seen: list[str] = []
    query = {"limit": "3"}
    while True:
        body = repo.api("GET", "/commits", params=query).json()
        seen += [commit["sha"] for commit in body["commits"]]
        if not body["has_more"]:
            break
        assert body["next_cursor"].split(":")[0] == str(len(seen))
        query["cursor"] = body["next_cursor"]
        repo.write_commit("main", {"new": str(len(seen)).encode()})
    assert seen == expected


def test_a_bare_number_is_a_cursor_too(repo: Repo) -> None:
    expected = write_history(repo, 4)
    assert list_shas(repo, cursor="2") == expected[2:]
    assert list_shas(repo, cursor="") == expected
    assert list_shas(repo, cursor="9" * 18) == []


def test_a_cursor_gives_no_access_to_unreachable_commits(repo: Repo, git: Git, tmp_path: Path) -> None:
    secret = repo.write_commit("main", {"secret": b"1\n"})
    work = git.init(tmp_path / "work")
    public = git.commit(work, {"public": b"1\n"})
    git.run("push", "--quiet", "--force", repo.remote(), "HEAD:main", cwd=work)
    assert list_shas(repo, cursor=f"0:{secret}") == [public]
    assert repo.api("GET", "/commit", params={"ref": secret}).status_code == 404
    assert repo.api("GET", "/commit", params={"ref": secret[:12]}).status_code == 404


def test_a_path_limits_history_to_the_commits_that_touched_it(repo: Repo) -> None:
    newest_first = write_history(repo, 6)
    assert list_shas(repo, path="f0") == [newest_first[2], newest_first[5]]
    assert list_shas(repo, path="f0", limit="1") == [newest_first[2]]
    folder = repo.write_commit("main", {"dir/a*b": b"1", "dir/x": b"1"})
    assert list_shas(repo, path="dir/") == [folder]
    assert list_shas(repo, path="dir/a*b") == [folder]
    assert list_shas(repo, path="dir/*") == []
    assert list_shas(repo, path="absent") == []


@pytest.mark.parametrize(
    "query",
    [
        {"cursor": "-1"},
        {"cursor": "1.5"},
        {"cursor": "٣"},
        {"cursor": "1:main"},
        {"cursor": "1:" + "a" * 41},
        {"cursor": "1" * 5000},
        {"limit": "-1"},
        {"limit": "ten"},
        {"ephemeral": "maybe"},
        {"path": "../../etc/passwd"},
        {"path": "a//b"},
        {"path": "a\0b"},
        {"path": ".git/config"},
        {"path": "x" * 5000},
        {"ref": "--output=x"},
        {"ref": "a\0b"},
        {"ref": "x" * 5000},
        {"ref": "main..other"},
        {"ref": "main@{1}"},
        {"ref": ":/Start"},
        {"ref": "main:f0"},
        {"ref": "main^{/Start}"},
    ],
)
def test_bad_parameters_of_a_listing_are_refused(repo: Repo, query: dict[str, str]) -> None:
    repo.write_commit("main", {"f0": b"1"})
    reply = repo.api("GET", "/commits", params=query)
    assert reply.status_code == 400, reply.text
    assert reply.json()["error"]


@pytest.mark.parametrize("query", [{}, {"ref": ""}, {"sha": "  "}, {"ref": "-x"}, {"sha": "a" * 2000}])
def test_bad_parameters_of_a_commit_are_refused(repo: Repo, query: dict[str, str]) -> None:
    repo.write_commit("main", {"f0": b"1"})
    assert repo.api("GET", "/commit", params=query).status_code == 400


def test_an_unknown_ref_is_named_in_the_answer(repo: Repo) -> None:
    assert repo.api("GET", "/commits").status_code == 404  # no commit yet
    repo.write_commit("main", {"f0": b"1"})
    for path in ("/commits", "/commit"):
        reply = repo.api("GET", path, params={"ref": "feature/none"})
        assert reply.status_code == 404
        assert "feature/none" in reply.json()["error"]


def test_ephemeral_branches_have_a_history_of_their_own(repo: Repo) -> None:
    main = repo.write_commit("main", {"a": b"1"})
    other = repo.write_commit("main", {"b": b"1"}, ephemeral=True, base_branch="main")
    assert list_shas(repo, ephemeral="true") == [other, main]
    assert list_shas(repo, ephemeral="true", ref=main) == [main]
    assert list_shas(repo) == [main]


def test_an_openpgp_signature_comes_with_the_signed_bytes(repo: Repo, git: Git, tmp_path: Path) -> None:
    head = f"tree {EMPTY_TREE}\nauthor A <a@x> 1 +0000\ncommitter A <a@x> 1 +0000\n".encode()
    lines = [
        "-----BEGIN PGP SIGNATURE-----",
        "",
        "iQEzBAABCAAdFiEE",
        "=abcd",
        "-----END PGP SIGNATURE-----",
        "",
    ]
    folded = "\n ".join(lines).encode()
    body = b"\nSigned\n"
    oid = push_raw_commit(repo, git, tmp_path / "w", head + b"gpgsig " + folded + b"\n" + body, "signed")
    commit = repo.api("GET", "/commit", params={"ref": oid}).json()["commit"]
    assert commit["signature"].rstrip("\n") == "\n".join(lines).rstrip("\n")
    assert commit["payload"].encode() == head + body
    assert commit["message"] == "Signed"


def test_an_ssh_signature_verifies_against_the_signed_bytes(repo: Repo, git: Git, tmp_path: Path) -> None:
    need_programs("ssh-keygen")
    work = git.init(tmp_path / "w")
    key = tmp_path / "key"
    git.run("config", "gpg.format", "ssh", cwd=work)
    git.run("config", "user.signingKey", key, cwd=work)
    _make_ssh_key(key)
    git.run("commit", "--quiet", "--allow-empty", "-S", "-m", "Signed", cwd=work)
    git.run("push", "--quiet", repo.remote(), "HEAD:main", cwd=work)
    commit = repo.api("GET", "/commit", params={"ref": "main"}).json()["commit"]
    raw = git.try_run("cat-file", "commit", "HEAD", cwd=work).stdout.decode()
    assert commit["signature"].startswith("-----BEGIN SSH SIGNATURE-----\n")
    folded = commit["signature"].rstrip("\n").replace("\n", "\n ")
    assert raw.replace(f"gpgsig {folded}\n", "") == commit["payload"]


def _make_ssh_key(path: Path) -> None:
    private = Ed25519PrivateKey.generate()
    path.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
    )
    path.chmod(0o600)
    path.with_suffix(".pub").write_bytes(
        private.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    )


ODD_COMMITS: dict[str, tuple[bytes, dict[str, Any]]] = {
    "latin-1": (
        b"author J\xf6rg <j@x> 5 +0000\ncommitter J\xf6rg <j@x> 5 +0000\nencoding ISO-8859-1\n\n\xfcber\n",
        {"author_name": "Jörg", "message": "über", "date": "1970-01-01T00:00:05Z"},
    ),
    "half-a-surrogate-pair": (
        b"author A <a@x> 5 +0000\ncommitter A <a@x> 5 +0000\nencoding UTF-7\n\n+2AA-\n",
        {"message": "+2AA-"},
    ),
    "broken-utf-8": (
        b"author J\xf6rg <j@x> 5 +0000\ncommitter J\xf6rg <j@x> 5 +0000\n\n\xfcber\n",
        {"author_name": "J\ufffdrg", "message": "\ufffdber"},
    ),
    "no-names": (
        b"author  <> 5 +0000\ncommitter  <> 5 +0000\n\n",
        {"author_name": "", "committer_email": "", "message": ""},
    ),
    "date-after-9999": (
        b"author A <a@x> 999999999999 +0000\ncommitter A <a@x> 999999999999 +0000\n\nm\n",
        {"date": "9999-12-31T23:59:59Z"},
    ),
}


@pytest.mark.parametrize("name", ODD_COMMITS)
def test_odd_commits_are_shown_as_far_as_they_are_readable(
    repo: Repo, git: Git, tmp_path: Path, name: str
) -> None:
    rest, expected = ODD_COMMITS[name]
    content = f"tree {EMPTY_TREE}\n".encode() + rest
    oid = push_raw_commit(repo, git, tmp_path / "w", content, "odd")
    for commit in (
        repo.api("GET", "/commit", params={"ref": oid}).json()["commit"],
        repo.api("GET", "/commits", params={"ref": "odd"}).json()["commits"][0],
    ):
        assert {key: commit[key] for key in expected} == expected
        assert "signature" not in commit and "payload" not in commit
