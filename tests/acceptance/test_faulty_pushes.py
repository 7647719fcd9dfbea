"""Pushes with faulty objects: what lands, what is said, and what stays on the server."""

import subprocess
from pathlib import Path

import pytest

from tests.support.git import Git
from tests.support.org import Org
from tests.support.raw_objects import FORGIVABLE, RawObjects, list_stored, refused_refs
from tests.support.repo import Repo

ZERO = "0" * 40
SUBMODULES = b'[submodule "a/../../x"]\n\tpath = x\n\turl = https://h/x\n'

Push = subprocess.CompletedProcess[bytes]


@pytest.fixture
def raw(git: Git, tmp_path: Path) -> RawObjects:
    return RawObjects(git, tmp_path / "raw")


def push(raw: RawObjects, repo: Repo, refs: dict[str, str], *options: str, suffix: str = "") -> Push:
    """Push each value as a ref."""
    specs = [f"{oid}:{name}" for name, oid in refs.items()]
    return raw.git.try_run("push", "--porcelain", *options, repo.remote(suffix), *specs, cwd=raw.work)


def good_tree(raw: RawObjects) -> str:
    return raw.tree((b"100644", b"a.txt", raw.blob()))


def bad_commit(raw: RawObjects, *parents: str, fault: str = "missingEmail") -> str:
    author, message = FORGIVABLE[fault]
    return raw.commit(good_tree(raw), *parents, author=author, message=message)


def hostile_tree(raw: RawObjects) -> str:
    """Store a tree with a `.git` two folders down."""
    evil = raw.tree((b"100644", b".git", raw.blob(b"evil")))
    return raw.tree((b"40000", b"lib", raw.tree((b"40000", b"deep", evil))))


def test_a_refusal_names_each_ref_and_the_object(org: Org, raw: RawObjects) -> None:
    repo = org.create_repo()
    bad = bad_commit(raw, raw.commit(good_tree(raw)))
    above = raw.commit(good_tree(raw), bad)
    done = push(raw, repo, {"refs/heads/main": bad, "refs/tags/v1": raw.tag(above)})
    found = refused_refs(done.stdout)
    assert set(found) == {"refs/heads/main", "refs/tags/v1"}
    for name, reason in found.items():
        assert reason.startswith(f"commit {bad}: missingEmail: ")
        assert f"remote: {name}: commit {bad}: missingEmail: ".encode() in done.stderr
    assert b"remote: faults of old histories like these are let through on the +import remote" in done.stderr
    assert raw.git.ls_remote(repo.remote()) == {}


def test_a_refusal_of_a_tree_names_its_path(org: Org, raw: RawObjects) -> None:
    repo = org.create_repo()
    commit = raw.commit(hostile_tree(raw))
    done = push(raw, repo, {"refs/heads/main": commit, "refs/tags/tree": hostile_tree(raw)})
    found = refused_refs(done.stdout)
    assert set(found) == {"refs/heads/main", "refs/tags/tree"}
    assert f"(lib/deep of {commit}): hasDotgit: " in found["refs/heads/main"]
    assert "(lib/deep of " in found["refs/tags/tree"]
    assert b"+import" not in done.stderr


@pytest.mark.parametrize("version", ["0", "1", "2"])
def test_refs_without_faulty_objects_land_and_nothing_else_is_kept(
    org: Org, raw: RawObjects, version: str
) -> None:
    repo = org.create_repo()
    first = raw.commit(good_tree(raw))
    bad = bad_commit(raw, first)
    only_bad = raw.commit(raw.tree((b"100644", b"secret", raw.blob(b"only behind the fault"))), bad)
    side = raw.commit(raw.tree((b"100644", b"b", raw.blob(b"b" * 5000))), first)
    tag = raw.tag(side)
    refs = {"refs/heads/main": only_bad, "refs/heads/side": side, "refs/tags/v1": tag, "refs/tags/v0": first}
    done = raw.git.try_run(
        "-c",
        f"protocol.version={version}",
        *("push", "--porcelain", repo.remote(), *(f"{oid}:{name}" for name, oid in refs.items())),
        cwd=raw.work,
    )
    assert list(refused_refs(done.stdout)) == ["refs/heads/main"]
    landed = raw.git.ls_remote(repo.remote(), "refs/heads/*", "refs/tags/*")
    assert {name: oid for name, oid in landed.items() if not name.endswith("^{}")} == {
        name: oid for name, oid in refs.items() if name != "refs/heads/main"
    }
    assert list_stored(raw.git, repo.folder()) == raw.closure([side, tag, first])


def test_an_atomic_push_with_a_faulty_object_moves_nothing_and_says_why(org: Org, raw: RawObjects) -> None:
    repo = org.create_repo()
    good, bad = raw.commit(good_tree(raw)), bad_commit(raw)
    refs = {"refs/heads/main": good, "refs/heads/bad": bad, "refs/tags/bad": bad}
    found = refused_refs(push(raw, repo, refs, "--atomic").stdout)
    assert found["refs/heads/main"] == "atomic push failure"
    assert found["refs/heads/bad"].startswith(f"commit {bad}: missingEmail")
    assert found["refs/tags/bad"] == found["refs/heads/bad"]
    assert raw.git.ls_remote(repo.remote()) == {}
    assert not list(repo.org.server.data.glob(f"repos/*/*/{repo.api('GET').json()['repo_id']}"))


def test_a_deletion_beside_a_faulty_object_is_done(org: Org, raw: RawObjects) -> None:
    repo = org.create_repo()
    good = raw.commit(good_tree(raw))
    push(raw, repo, {"refs/heads/main": good, "refs/heads/old": good})
    before = list_stored(raw.git, repo.folder())
    done = raw.git.try_run(
        *("push", "--porcelain", repo.remote(), ":refs/heads/old", f"{bad_commit(raw, good)}:refs/heads/new"),
        cwd=raw.work,
    )
    assert list(refused_refs(done.stdout)) == ["refs/heads/new"]
    assert raw.git.ls_remote(repo.remote(), "refs/*") == {"refs/heads/main": good}
    assert list_stored(raw.git, repo.folder()) == before


def test_deltas_against_what_is_refused_are_written_out(org: Org, raw: RawObjects) -> None:
    repo = org.create_repo()
    lines = [b"%d %d\n" % (number, number**7) for number in range(20_000)]
    base = b"".join(lines)
    first = raw.commit(raw.tree((b"100644", b"a", raw.blob(base))))
    push(raw, repo, {"refs/heads/main": first})
    # The larger blob becomes the base of the delta; only the refused branch has it. Both are thin against `first`.
    larger = raw.commit(
        raw.tree((b"100644", b"a", raw.blob(base + b"more\n"))), first, author=b"author A 5 +0000"
    )
    smaller = raw.commit(raw.tree((b"100644", b"a", raw.blob(b"".join(lines[1:]) + b"m\n"))), first)
    done = push(raw, repo, {"refs/heads/larger": larger, "refs/heads/smaller": smaller})
    assert list(refused_refs(done.stdout)) == ["refs/heads/larger"]
    assert list_stored(raw.git, repo.folder()) == raw.closure([first, smaller])
    safe = ("-c", f"safe.directory={repo.folder()}", "-C", repo.folder())
    raw.git.run(*safe, "fsck", "--strict", "--full")
    assert repo.read_file("a", ref="smaller") == b"".join(lines[1:]) + b"m\n"


def hostile_trees(raw: RawObjects) -> dict[str, str]:
    """Return the trees that must never land, by what is wrong with them."""
    blob, folder = raw.blob(), good_tree(raw)
    config = raw.blob(SUBMODULES)
    names = (b".git", b".GIT", b"git~1", b".g\xe2\x80\x8cit", b".git ", b".git...", b"..", b".")
    return {
        **{f"file {name!r}": raw.tree((b"100644", name, blob)) for name in names},
        **{f"folder {name!r}": raw.tree((b"40000", name, folder)) for name in names},
        "empty name": raw.tree((b"100644", b"", blob)),
        "slash": raw.tree((b"100644", b"a/b", blob)),
        "doubled": raw.tree((b"100644", b"a", blob), (b"100644", b"a", blob)),
        "not sorted": raw.tree((b"100644", b"b", blob), (b"100644", b"a", blob)),
        "hostile .gitmodules": raw.tree((b"100644", b".gitmodules", config)),
        "hostile gitmod~1": raw.tree((b"100644", b"gitmod~1", config)),
        "link .gitmodules": raw.tree((b"120000", b".gitmodules", blob)),
        "folder .gitmodules": raw.tree((b"40000", b".gitmodules", folder)),
        "null file": raw.tree((b"100644", b"a", ZERO)),
        "null folder": raw.tree((b"40000", b"a", ZERO)),
    }


def send_pack(raw: RawObjects, repo: Repo, refs: dict[str, str], oids: list[str], suffix: str) -> bytes:
    """Push a pack of exactly these objects, however they hang together; return the answer."""
    packed = raw.git.try_run(
        "pack-objects", "--stdout", "-q", cwd=raw.work, stdin="".join(f"{oid}\n" for oid in oids).encode()
    ).stdout
    lines = b""
    for name, oid in refs.items():
        line = f"{ZERO} {oid} {name}".encode() + (b"" if lines else b"\0report-status side-band-64k")
        lines += b"%04x" % (len(line) + 4) + line
    reply = repo.org.request(
        "POST",
        f"/{repo.name}{suffix}.git/git-receive-pack",
        token=repo.token(),
        content=lines + b"0000" + packed,
        headers={"Content-Type": "application/x-git-receive-pack-request"},
    )
    assert reply.status_code == 200, reply.text
    return reply.content


@pytest.mark.parametrize("suffix", ["", "+import", "+ephemeral"])
def test_hostile_trees_never_land_whatever_leads_to_them(org: Org, raw: RawObjects, suffix: str) -> None:
    good = raw.commit(good_tree(raw))
    wholes = raw.closure([good])
    for what, tree in hostile_trees(raw).items():
        repo = org.create_repo()
        evil = raw.commit(raw.tree((b"40000", b"sub", tree)))
        tag = raw.tag(tree, "tree")
        root = raw.git.run("rev-parse", f"{evil}^{{tree}}", cwd=raw.work)
        oids = [*{*wholes, raw.blob(SUBMODULES), tree, evil, tag, root}]
        refs = {
            "refs/heads/good": good,
            "refs/heads/evil": evil,
            "refs/tags/tree": tree,
            "refs/tags/tag": tag,
        }
        if suffix != "+ephemeral":
            refs["refs/notes/evil"] = evil
        answer = send_pack(raw, repo, refs, oids, suffix)
        shown = set(raw.git.ls_remote(repo.remote(suffix if suffix == "+ephemeral" else ""), "refs/*"))
        assert shown <= {"refs/heads/good"}, (what, answer)
        # At what cannot be a tree, and at what is incomplete, git gives up, and no ref moves.
        if what not in ("empty name", "null file", "null folder"):
            assert shown == {"refs/heads/good"}, (what, answer)
            assert list_stored(raw.git, repo.folder()) == wholes, what
        # Reached by nothing, or by a ref that is refused for another reason.
        other = org.create_repo()
        send_pack(raw, other, {"refs/heads/good": good, "refs/other/evil": evil}, oids, suffix)
        if shown:
            assert list_stored(raw.git, other.folder()) == wholes, what


def test_a_damaged_pack_refuses_every_ref(org: Org, raw: RawObjects) -> None:
    good, bad = raw.commit(good_tree(raw)), bad_commit(raw)
    repo = org.create_repo()
    # Incomplete: the tree of the good commit does not come.
    answer = send_pack(raw, repo, {"refs/heads/a": good, "refs/heads/b": bad}, [good, bad], "")
    assert answer.count(b"unpacker error") == 2
    assert raw.git.ls_remote(repo.remote()) == {}


def test_a_fault_that_git_gives_up_at_refuses_every_ref_and_names_the_object(
    org: Org, raw: RawObjects
) -> None:
    good = raw.commit(good_tree(raw))
    bad = raw.commit(good_tree(raw), author=b"author A\0 <a@x.test> 5 +0000")
    repo = org.create_repo()
    done = push(raw, repo, {"refs/heads/a": good, "refs/heads/b": bad}, suffix="+import")
    assert set(refused_refs(done.stdout)) == {"refs/heads/a", "refs/heads/b"}
    assert f"object {bad}: nulInHeader".encode() in done.stderr
    assert raw.git.ls_remote(repo.remote()) == {}


@pytest.mark.parametrize("fault", FORGIVABLE)
def test_faults_of_old_histories_are_taken_on_the_import_remote_only(
    org: Org, raw: RawObjects, fault: str
) -> None:
    author, message = FORGIVABLE[fault]
    lines = {"author": author, "committer": author.replace(b"author", b"committer")}
    bad = raw.commit(good_tree(raw), message=message, **lines)
    repo = org.create_repo()
    assert list(refused_refs(push(raw, repo, {"refs/heads/main": bad}).stdout)) == ["refs/heads/main"]
    done = push(raw, repo, {"refs/heads/main": raw.commit(good_tree(raw), bad)}, suffix="+import")
    assert done.returncode == 0, done.stderr
    # What is in place is built upon by ordinary pushes.
    above = raw.commit(raw.tree((b"100644", b"b", raw.blob(b"b"))), raw.commit(good_tree(raw), bad))
    done = push(raw, repo, {"refs/heads/main": above})
    assert done.returncode == 0, done.stderr


def test_a_null_gitlink_is_taken_on_the_import_remote_only(org: Org, raw: RawObjects) -> None:
    commit = raw.commit(raw.tree((b"160000", b"sub", ZERO)))
    repo = org.create_repo()
    found = refused_refs(push(raw, repo, {"refs/heads/main": commit}).stdout)
    assert "nullSha1" in found["refs/heads/main"]
    assert push(raw, repo, {"refs/heads/main": commit}, suffix="+import").returncode == 0


def test_the_import_remote_lands_what_is_clean_beside_what_is_not(org: Org, raw: RawObjects) -> None:
    repo = org.create_repo()
    old, evil = bad_commit(raw), raw.commit(hostile_tree(raw))
    done = push(raw, repo, {"refs/heads/old": old, "refs/heads/evil": evil}, suffix="+import")
    assert list(refused_refs(done.stdout)) == ["refs/heads/evil"]
    assert list_stored(raw.git, repo.folder()) == raw.closure([old])
