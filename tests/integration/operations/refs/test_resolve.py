"""The object that a ref input names: as in `git rev-parse` if both know the spelling, otherwise as documented."""

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from packhouse.auth.principal import Principal
from packhouse.config import Config
from packhouse.db.ref_transaction import RefUpdate, apply_ref_updates
from packhouse.db.repos import Repo
from packhouse.errors import Invalid, NotFound
from packhouse.git.oid import Oid
from packhouse.git.refname import RefName
from packhouse.node.node import Node, open_node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.repository.refs import resolve
from packhouse.repository.refs.resolve import RefNotFound, ResolvedRef
from packhouse.repository.view import open_view
from tests.support.builders.histories import History, load_history, make_history
from tests.support.builders.seeds import seed_of
from tests.support.clients.git import Git


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A node on SQLite: nothing here depends on the database."""
    node = open_node(Config(data=tmp_path / "data"))
    yield node
    node.close()


@pytest.fixture
def history(request: pytest.FixtureRequest, tmp_path: Path) -> History:
    """A random history."""
    return make_history(Git(tmp_path / "home"), tmp_path / "src.git", seed_of(request), commits=60)


def move(node: Node, caller: Principal, repo: Repo, *moves: tuple[str, str, str | None]) -> Repo:
    """Set refs, given as (namespace, refname, id or None to delete); return the repository as it is now."""
    updates = [
        RefUpdate(
            namespace=namespace,
            refname=RefName(name.encode()),
            old_oid=None,
            new_oid=None if oid is None else Oid(oid),
            any_old=True,
            restores=True,  # what an older release stored under any name
        )
        for namespace, name, oid in moves
    ]
    with node.database.write() as session:
        apply_ref_updates(
            session, repo.id, updates, actor="test", action="test", state=node.new_state(), now=1000
        )
    return lookup_repo(node, caller, repo.name)


def resolve_ref(node: Node, repo: Repo, ref: str | None, *, ephemeral: bool = False) -> ResolvedRef:
    """Resolve in a view of its own, as the repository is now."""
    with open_view(node, repo) as view:
        return resolve.resolve_ref(view, ref, ephemeral=ephemeral)


def resolve_object(node: Node, repo: Repo, text: str) -> Oid:
    """Resolve in a view of its own."""
    with open_view(node, repo) as view:
        return resolve.resolve_object(view, text)


def rev_parse(history: History, expression: str) -> str | None:
    """Return the commit that git finds, or None."""
    done = history.git.try_run(
        "rev-parse", "--verify", "--quiet", f"{expression}^{{commit}}", cwd=history.folder
    )
    return done.stdout.decode().strip() or None


def expressions(history: History, rng: random.Random, count: int) -> list[str]:
    """Return spellings of commits, most of which exist."""
    refs = history.refs()
    oids = [*history.commits(), *refs.values()]
    bases = [
        *history.branches,
        *(name.removeprefix("refs/tags/") for name in refs if name.startswith("refs/tags/")),
        *refs,
        *rng.sample(oids, min(10, len(oids))),
        *(oid[: rng.randrange(7, 40)] for oid in rng.sample(oids, min(10, len(oids)))),
        *(oid.upper() for oid in rng.sample(oids, 3)),
        *(oid[:12].upper() for oid in rng.sample(oids, 3)),
        "absent",
        "refs/heads/absent",
        "0" * 40,
        "f" * 39,
    ]
    suffixes = [
        "",
        "",
        "~",
        "^",
        "~2",
        "^2",
        "^0",
        "~0",
        "^3",
        "~1^2~1",
        "^^",
        "~~~",
        "~200",
        "^2^2",
        "~3^0~1",
    ]
    return [rng.choice(bases) + rng.choice(suffixes) for _ in range(count)]


def test_random_expressions_mean_what_git_says(node: Node, caller: Principal, history: History) -> None:
    repo = load_history(node, caller, history, "r")
    for expression in expressions(history, random.Random(history.seed), 120):
        expected = rev_parse(history, expression)
        if expected is None:
            with pytest.raises(NotFound):
                resolve_ref(node, repo, expression)
        else:
            assert resolve_ref(node, repo, expression).commit == expected, expression
            assert resolve_ref(node, repo, f"  {expression} ").name == expression


def test_a_long_way_down_the_first_parents_is_right(node: Node, caller: Principal, tmp_path: Path) -> None:
    git = Git(tmp_path / "home")
    folder = tmp_path / "line.git"
    git.run("init", "--quiet", "--bare", folder)
    script = b"".join(
        b"commit refs/heads/main\ncommitter A <a@x> %d +0000\ndata 0\n\n" % (10**9 + n) for n in range(300)
    )
    git.run("fast-import", "--quiet", cwd=folder, stdin=script)
    history = History(git, folder, 0, ["main"])
    repo = load_history(node, caller, history, "r")
    for number in (99, 100, 101, 250, 299):
        assert resolve_ref(node, repo, f"main~{number}").commit == rev_parse(history, f"main~{number}")
    for number in (300, 301, 5000, 10**30):
        with pytest.raises(RefNotFound):
            resolve_ref(node, repo, f"main~{number}")


def test_a_branch_wins_over_a_tag_and_an_id_over_both(
    node: Node, caller: Principal, history: History
) -> None:
    repo = load_history(node, caller, history, "r")
    one, two, three = random.Random(history.seed).sample(history.commits(), 3)
    short = three[:10]
    repo = move(
        node,
        caller,
        repo,
        ("", "refs/heads/same", one),
        ("", "refs/tags/same", two),
        ("", f"refs/heads/{three}", one),
        ("", f"refs/heads/{'d' * 40}", two),
        ("", f"refs/tags/{short}", two),
        ("", "refs/notes/commits", one),
        ("", "refs/changes/1", one),
    )
    assert resolve_ref(node, repo, "same").commit == one
    assert resolve_ref(node, repo, "refs/tags/same").commit == two
    assert resolve_ref(node, repo, three).commit == three
    assert resolve_ref(node, repo, "refs/heads/" + "d" * 40).commit == two
    with pytest.raises(RefNotFound):
        resolve_ref(node, repo, "d" * 40)
    assert resolve_ref(node, repo, short).commit == two
    assert resolve_ref(node, repo, "refs/notes/commits").commit == one
    for name in ("refs/changes/1", "changes/1", "notes/commits", "heads/same", "refs", "refs/heads", "@"):
        with pytest.raises(RefNotFound):
            resolve_ref(node, repo, name)


def test_head_and_no_ref_at_all_are_the_default_branch(
    node: Node, caller: Principal, history: History
) -> None:
    repo = load_history(node, caller, history, "r")
    main = rev_parse(history, "refs/heads/main")
    assert main is not None
    for ref in (None, "", "  "):
        found = resolve_ref(node, repo, ref)
        assert (found.commit, found.name) == (main, "main")
    head = resolve_ref(node, repo, "HEAD")
    assert (head.commit, head.name, head.refname) == (main, "HEAD", b"refs/heads/main")


def test_ids_are_served_only_while_a_ref_leads_to_them(
    node: Node, caller: Principal, history: History
) -> None:
    repo = load_history(node, caller, history, "r")
    refs = history.refs()
    keep = "refs/heads/main"
    gone = [("", name, None) for name in refs if name != keep]
    repo = move(node, caller, repo, *gone)
    reachable = set(history.run("rev-list", keep).split())
    for oid in history.commits():
        for spelling in (oid, oid[:20]):
            if oid in reachable:
                assert resolve_ref(node, repo, spelling).commit == oid
            else:
                with pytest.raises(NotFound):
                    resolve_ref(node, repo, spelling)
    tag = refs["refs/tags/release/v2"]
    with pytest.raises(NotFound):
        resolve_ref(node, repo, tag)


def test_the_ephemeral_namespace_has_branches_only(node: Node, caller: Principal, history: History) -> None:
    repo = load_history(node, caller, history, "r")
    one, two = random.Random(history.seed).sample(history.commits(), 2)
    repo = move(
        node,
        caller,
        repo,
        ("", "refs/heads/only", one),
        ("ephemeral", "refs/heads/temp", two),
        ("ephemeral", "refs/heads/main", two),
    )
    assert resolve_ref(node, repo, "temp", ephemeral=True).commit == two
    assert resolve_ref(node, repo, "refs/heads/temp", ephemeral=True).commit == two
    assert resolve_ref(node, repo, None, ephemeral=True).commit == two
    assert resolve_ref(node, repo, one, ephemeral=True).commit == one
    assert resolve_ref(node, repo, two[:16], ephemeral=True).commit == two
    for name in ("only", "light", "refs/tags/light", "HEAD", "v1.0"):
        with pytest.raises(RefNotFound):
            resolve_ref(node, repo, name, ephemeral=True)
    with pytest.raises(RefNotFound):
        resolve_ref(node, repo, "temp")


def test_only_a_full_id_of_its_object_counts_as_a_request_by_id(
    node: Node, caller: Principal, history: History
) -> None:
    repo = load_history(node, caller, history, "r")
    oid, tag = rev_parse(history, "main"), history.refs()["refs/tags/v1.0"]
    assert oid is not None
    repo = move(node, caller, repo, ("", f"refs/heads/{'e' * 40}", oid), ("", f"refs/heads/{oid}", oid))
    for text in (oid, oid.upper(), f" {oid} ", tag):
        assert resolve_ref(node, repo, text).is_by_id
        assert resolve_ref(node, repo, text, ephemeral=True).is_by_id
    named = (f"refs/heads/{'e' * 40}", f"refs/heads/{oid}")
    for other in ("main", None, oid[:39], f"{oid}~0", f"{oid}^0", "v1.0", *named):
        assert not resolve_ref(node, repo, other).is_by_id


def test_a_tag_of_no_commit_names_an_object_but_no_commit(
    node: Node, caller: Principal, history: History
) -> None:
    blob = history.git.run("hash-object", "-w", "--stdin", cwd=history.folder, stdin=b"text")
    history.run("tag", "blob", blob)
    repo = load_history(node, caller, history, "r")
    with pytest.raises(RefNotFound):
        resolve_ref(node, repo, "blob")
    assert resolve_object(node, repo, "blob") == blob
    assert resolve_object(node, repo, blob.upper()) == blob
    tag = history.refs()["refs/tags/v1.0"]
    assert resolve_object(node, repo, tag) == tag
    assert resolve_object(node, repo, "v1.0") == rev_parse(history, "v1.0")
    assert resolve_object(node, repo, "main^0") == rev_parse(history, "main")
    with pytest.raises(RefNotFound):
        resolve_object(node, repo, "e" * 40)


REFUSED = [
    "-main",
    "--output=x",
    "a\0b",
    "a\nb",
    "a\x7f",
    "main..other",
    "main@{1}",
    "@{-1}",
    ":/text",
    "main:path",
    ":path",
    "main^{/text}",
    "x" * 5000,
    "\ud800",
    "main" + "^" * 100,
    "a b",
    "a*",
    "a?",
    "a[b]",
    "a\\b",
    "~1",
    "~",
    "^",
    "main~1x",
    "main^2q",
    "main^{x",
    "main^@",
    "main^!",
    "main^-",
    "/main",
    "main/",
    "a//b",
    ".a",
    "a/.b",
    "main.",
    "a.lock",
    "a.lock/b",
    "refs/",
    "refs/heads/",
    "refs/heads/a b",
    "refs/x/../y",
    "refs/tags/v1.lock",
]
UNKNOWN = [
    "absent",
    "main^{commit}",
    "main^{}",
    "main^{}~1",
    "refs/stash",
    "refs/changes/1",
    "a.b",
    "@",
    "é",
    "日本",
    "12345",
    "\u00a0x",
]


@pytest.mark.parametrize("ref", REFUSED)
def test_text_that_is_not_a_ref_input_is_refused(node: Node, caller: Principal, ref: str) -> None:
    create_repo(node, caller, CreateRepo("empty"))
    with pytest.raises(Invalid):
        resolve_ref(node, lookup_repo(node, caller, "empty"), ref)


@pytest.mark.parametrize("ref", [*UNKNOWN, "a" * 40, "HEAD", "main", "HEAD~1", None])
def test_a_ref_that_names_nothing_is_not_found(node: Node, caller: Principal, ref: str | None) -> None:
    create_repo(node, caller, CreateRepo("empty"))
    with pytest.raises(NotFound):
        resolve_ref(node, lookup_repo(node, caller, "empty"), ref)


def test_a_hostile_ref_starts_no_process(
    node: Node, caller: Principal, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = load_history(node, caller, history, "r")
    started: list[object] = []

    def refuse(*args: object, **_options: object) -> None:
        started.append(args)
        raise AssertionError("a program was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    for ref in REFUSED:
        with pytest.raises(Invalid):
            resolve_ref(node, repo, ref)
    assert not started
