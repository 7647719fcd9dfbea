"""Pushes with faulty objects: the refs that are taken, the messages, and the objects that stay on the server."""

import gzip
import subprocess
from pathlib import Path
from random import Random

import pytest

from packhouse import limits
from packhouse.git.oid import EMPTY_TREE_OID, hash_object
from tests.support.builders.raw_objects import FORGIVABLE, RawObjects, list_stored, refused_refs
from tests.support.builders.seeds import seed_of
from tests.support.clients.git import Git
from tests.support.clients.git_wire import command, pack, pkt
from tests.support.clients.repo import Org, Repo

ZERO = "0" * 40
COMMIT, TREE = 1, 2
PEOPLE = "author A <a@x.test> 5 +0000\ncommitter A <a@x.test> 5 +0000\n"
SUBMODULES = b'[submodule "a/../../x"]\n\tpath = x\n\turl = https://h/x\n'

Push = subprocess.CompletedProcess[bytes]


@pytest.fixture
def raw(git: Git, tmp_path: Path) -> RawObjects:
    return RawObjects(git, tmp_path / "raw")


def push(raw: RawObjects, repo: Repo, refs: dict[str, str], *options: str, suffix: str = "") -> Push:
    """Push each object id to its refname."""
    specs = [f"{oid}:{name}" for name, oid in refs.items()]
    return raw.git.try_run("push", "--porcelain", *options, repo.remote(suffix), *specs, cwd=raw.work)


def good_tree(raw: RawObjects) -> str:
    return raw.tree((b"100644", b"a.txt", raw.blob()))


def bad_commit(raw: RawObjects, *parents: str, fault: str = "missingEmail") -> str:
    author, message = FORGIVABLE[fault]
    return raw.commit(good_tree(raw), *parents, author=author, message=message)


def hostile_tree(raw: RawObjects) -> str:
    """Store a tree that has a `.git` two folders down."""
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


def test_a_hostile_gitmodules_refuses_only_the_refs_that_have_it_under_this_name(
    org: Org, raw: RawObjects
) -> None:
    repo = org.create_repo()
    blob = raw.blob(SUBMODULES)
    inner = raw.tree((b"100644", b".gitmodules", blob))
    evil = raw.commit(raw.tree((b"40000", b"sub", inner)))
    plain = raw.commit(raw.tree((b"100644", b"example.txt", blob)))
    refs = {"refs/heads/evil": evil, "refs/heads/plain": plain, "refs/tags/blob": blob}
    found = refused_refs(push(raw, repo, refs).stdout)
    assert list(found) == ["refs/heads/evil"]
    assert found["refs/heads/evil"].startswith(f"blob {blob} (sub/.gitmodules of {evil}): gitmodulesName: ")
    assert list_stored(raw.git, repo.folder()) == raw.closure([plain])
    # The file is in place by now, so the client does not send it; its new name makes it hostile.
    thin = raw.commit(raw.tree((b"100644", b".gitmodules", blob)), plain)
    found = refused_refs(push(raw, repo, {"refs/heads/thin": thin}).stdout)
    assert f"blob {blob} (.gitmodules of {thin}): " in found["refs/heads/thin"]


@pytest.mark.parametrize("version", ["0", "1", "2"])
def test_refs_without_faulty_objects_are_taken_and_nothing_else_is_kept(
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
    taken = raw.git.ls_remote(repo.remote(), "refs/heads/*", "refs/tags/*")
    assert {name: oid for name, oid in taken.items() if not name.endswith("^{}")} == {
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


def test_deltas_against_refused_objects_are_stored_without_them(org: Org, raw: RawObjects) -> None:
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
    """Return the trees that must never be taken, by their fault."""
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


def send_pack(
    raw: RawObjects,
    repo: Repo,
    refs: dict[str, str],
    oids: list[str],
    suffix: str,
    *,
    is_gzipped: bool = False,
) -> bytes:
    """Push a pack of exactly these objects, connected or not; return the answer."""
    packed = raw.git.try_run(
        "pack-objects", "--stdout", "-q", cwd=raw.work, stdin="".join(f"{oid}\n" for oid in oids).encode()
    ).stdout
    lines = b""
    for name, oid in refs.items():
        line = f"{ZERO} {oid} {name}".encode() + (b"" if lines else b"\0report-status side-band-64k")
        lines += b"%04x" % (len(line) + 4) + line
    body = lines + b"0000" + packed
    headers = {"Content-Type": "application/x-git-receive-pack-request"}
    if is_gzipped:
        body, headers["Content-Encoding"] = gzip.compress(body), "gzip"
    path = f"/{repo.name}{suffix}.git/git-receive-pack"
    reply = repo.org.request("POST", path, token=repo.token(), content=body, headers=headers)
    assert reply.status_code == 200, reply.text
    return reply.content


@pytest.mark.parametrize("suffix", ["", "+import", "+ephemeral"])
def test_hostile_trees_are_refused_behind_every_kind_of_ref(org: Org, raw: RawObjects, suffix: str) -> None:
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
        # Git gives up at bytes that cannot be a tree, and at incomplete trees. Then no ref moves.
        if what not in ("empty name", "null file", "null folder"):
            assert shown == {"refs/heads/good"}, (what, answer)
            assert list_stored(raw.git, repo.folder()) == wholes, what
        # No ref leads to the hostile tree, or only one that is refused for another reason.
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
    # Ordinary pushes build on faulty objects that are in place.
    above = raw.commit(raw.tree((b"100644", b"b", raw.blob(b"b"))), raw.commit(good_tree(raw), bad))
    done = push(raw, repo, {"refs/heads/main": above})
    assert done.returncode == 0, done.stderr


def test_a_null_gitlink_is_taken_on_the_import_remote_only(org: Org, raw: RawObjects) -> None:
    commit = raw.commit(raw.tree((b"160000", b"sub", ZERO)))
    repo = org.create_repo()
    found = refused_refs(push(raw, repo, {"refs/heads/main": commit}).stdout)
    assert "nullSha1" in found["refs/heads/main"]
    assert push(raw, repo, {"refs/heads/main": commit}, suffix="+import").returncode == 0


def test_the_import_remote_takes_clean_refs_beside_faulty_ones(org: Org, raw: RawObjects) -> None:
    repo = org.create_repo()
    old, evil = bad_commit(raw), raw.commit(hostile_tree(raw))
    done = push(raw, repo, {"refs/heads/old": old, "refs/heads/evil": evil}, suffix="+import")
    assert list(refused_refs(done.stdout)) == ["refs/heads/evil"]
    assert list_stored(raw.git, repo.folder()) == raw.closure([old])


def test_a_push_in_chunks_and_one_that_is_gzipped_are_judged_alike(
    org: Org, raw: RawObjects, tmp_path: Path
) -> None:
    good = raw.commit(raw.tree((b"100644", b"large", raw.blob(Random(1).randbytes(3 * 2**20)))))
    bad = bad_commit(raw, good)
    chunked = org.create_repo()
    small = ("-c", "http.postBuffer=65536")
    raw.git.try_run(
        *small, "push", chunked.remote(), f"{good}:refs/heads/good", f"{bad}:refs/heads/bad", cwd=raw.work
    )
    gzipped = org.create_repo()
    refs = {"refs/heads/good": good, "refs/heads/bad": bad}
    send_pack(raw, gzipped, refs, [*raw.closure([bad])], "", is_gzipped=True)
    for repo in (chunked, gzipped):
        assert raw.git.ls_remote(repo.remote(), "refs/*") == {"refs/heads/good": good}
        assert list_stored(raw.git, repo.folder()) == raw.closure([good])


def test_a_shallow_clone_can_push_its_clean_refs(org: Org, raw: RawObjects, tmp_path: Path) -> None:
    repo = org.create_repo()
    tip = raw.commit(good_tree(raw), raw.commit(good_tree(raw), author=b"author A <a@x.test> 4 +0000"))
    push(raw, repo, {"refs/heads/main": tip})
    work = raw.git.clone(repo.remote(), tmp_path / "shallow", "--depth", "1")
    good = raw.git.commit(work, {"new": b"1"})
    (work / "evil").write_bytes(b"x")
    text = f"tree {raw.git.run('rev-parse', 'HEAD^{tree}', cwd=work)}\nparent {good}\n"
    text += "author A 5 +0000\ncommitter A <a@b> 5 +0000\n\nm\n"
    ask = ("hash-object", "-w", "-t", "commit", "--literally", "--stdin")
    bad = raw.git.run(*ask, cwd=work, stdin=text.encode())
    specs = (f"{good}:refs/heads/good", f"{bad}:refs/heads/bad")
    done = raw.git.try_run("push", "--porcelain", "origin", *specs, cwd=work)
    assert list(refused_refs(done.stdout)) == ["refs/heads/bad"], done.stderr
    assert raw.git.ls_remote(repo.remote(), "refs/*") == {"refs/heads/main": tip, "refs/heads/good": good}
    assert bad not in list_stored(raw.git, repo.folder())


def test_refs_that_a_policy_refuses_leave_no_objects(org: Org, raw: RawObjects) -> None:
    repo = org.create_repo()
    good, denied = raw.commit(good_tree(raw)), raw.commit(raw.tree((b"100644", b"b", raw.blob(b"denied"))))
    remote = repo.remote(refs=[["locked", ["no-push"]]])
    specs = (f"{good}:refs/heads/main", f"{denied}:refs/heads/locked")
    done = raw.git.try_run("push", "--porcelain", remote, *specs, cwd=raw.work)
    assert list(refused_refs(done.stdout)) == ["refs/heads/locked"]
    assert list_stored(raw.git, repo.folder()) == raw.closure([good])


def test_signatures_of_faulty_commits_are_judged_like_others(org: Org, raw: RawObjects) -> None:
    repo = org.create_repo()
    refs = {f"refs/heads/b{n}": bad_commit(raw, fault=fault) for n, fault in enumerate(FORGIVABLE)}
    remote = repo.remote("+import", refs=[["*", ["verify-sig"]]])
    specs = [f"{oid}:{name}" for name, oid in refs.items()]
    done = raw.git.try_run("push", "--porcelain", remote, *specs, cwd=raw.work)
    assert refused_refs(done.stdout) == dict.fromkeys(refs, "denied by policy (verify-sig)")


def test_more_faults_than_can_be_traced_refuse_every_ref(org: Org, git: Git) -> None:
    objects = [(COMMIT, f"tree {EMPTY_TREE_OID}\n{PEOPLE}\nm\n".encode()), (TREE, b"")]
    good = tip = hash_object("commit", objects[0][1])
    for _ in range(limits.push_faults_max + 1):
        content = f"tree {EMPTY_TREE_OID}\nparent {tip}\n{PEOPLE.replace('A <', 'A<')}\nm\n".encode()
        objects.append((COMMIT, content))
        tip = hash_object("commit", content)
    body = command(b"refs/heads/good", good, capabilities=b"report-status side-band-64k")
    body += pkt(f"{ZERO} {tip} refs/heads/bad") + b"0000" + pack(*objects)

    def post(repo: Repo, suffix: str) -> bytes:
        path = f"/{repo.name}{suffix}.git/git-receive-pack"
        headers = {"Content-Type": "application/x-git-receive-pack-request"}
        return repo.org.request("POST", path, token=repo.token(), content=body, headers=headers).content

    repo = org.create_repo()
    answer = post(repo, "")
    assert answer.count(b"which refs lead to them cannot be found out") == 2
    assert len(answer) < 10_000
    assert git.ls_remote(repo.remote()) == {}
    assert b"ok refs/heads/bad" in post(repo, "+import")


def random_tree(raw: RawObjects, random: Random, depth: int, *, faulty: bool) -> str:
    """Store a tree of a few levels; a faulty one has a `.git` somewhere."""
    rows = [(b"100644", b"%c" % (97 + n), raw.blob(random.randbytes(3))) for n in range(random.randint(1, 3))]
    if depth:
        rows.append((b"40000", b"sub", random_tree(raw, random, depth - 1, faulty=faulty)))
    elif faulty:
        rows.insert(0, (b"100644", b".git", raw.blob(b"evil")))
    return raw.tree(*rows)


def random_refs(raw: RawObjects, random: Random) -> dict[str, str]:
    """Store a random history in which a few objects are faulty; return refs into it."""
    trees: list[str] = []
    commits: list[str] = []
    for number in range(random.randint(4, 9)):
        if trees and random.random() < 0.3:
            tree = random.choice(trees)
        else:
            tree = random_tree(raw, random, random.randint(0, 2), faulty=random.random() < 0.12)
        trees.append(tree)
        parents = random.sample(commits, min(len(commits), random.randint(0, 2)))
        faulty = random.random() < 0.12
        author = (
            random.choice(list(FORGIVABLE.values()))[0]
            if faulty
            else b"author A <a@x.test> %d +0000" % number
        )
        message = b"m\0%d\n" % number if random.random() < 0.05 else b"m%d\n" % number
        commits.append(raw.commit(tree, *parents, author=author, message=message))
    refs = {f"refs/heads/b{number}": oid for number, oid in enumerate(random.sample(commits, 4))}
    refs["refs/tags/commit"] = raw.tag(random.choice(commits))
    refs["refs/tags/odd"] = raw.tag(random.choice(commits), tagger=b"tagger A 5 +0000")
    refs["refs/tags/tree"] = random.choice(trees)
    refs["refs/tags/of-tree"] = raw.tag(random.choice(trees), "tree")
    refs["refs/tags/twice"] = raw.tag(refs["refs/tags/commit"], "tag")
    refs["refs/notes/n"] = random.choice(commits)
    return refs


@pytest.mark.parametrize("number", range(8))
def test_the_refs_taken_from_random_pushes_are_those_that_git_finds_clean(
    org: Org, raw: RawObjects, tmp_path: Path, request: pytest.FixtureRequest, number: int
) -> None:
    seed = seed_of(request)
    random = Random(seed)
    repo = org.create_repo()
    taken: dict[str, str] = {}
    for push_number in range(2):  # the second one meets a repository that holds something
        refs = {f"{name}-{push_number}": oid for name, oid in random_refs(raw, random).items()}
        clean = {name: oid for name, oid in refs.items() if raw.is_clean(oid, tmp_path)}
        options = random.choice([(), ("--atomic",), ("--no-thin",)])
        done = push(raw, repo, refs, *options)
        if options != ("--atomic",) or clean == refs:
            taken |= clean
        shown = raw.git.ls_remote(repo.remote(), "refs/*")
        assert {n: o for n, o in shown.items() if not n.endswith("^{}")} == taken, (seed, done.stderr)
        reasons = refused_refs(done.stdout)
        assert set(reasons) == set(refs) - set(taken), seed
        assert all(": " in reasons[name] for name in set(refs) - set(clean)), (seed, reasons)
    if taken:
        assert list_stored(raw.git, repo.folder()) == raw.closure(taken.values()), seed
        copy = raw.git.clone(repo.remote(), tmp_path / "copy", "--mirror")
        raw.git.run("fsck", "--strict", "--no-dangling", cwd=copy)
