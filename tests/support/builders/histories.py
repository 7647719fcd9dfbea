"""Random histories like those of real repositories, written by git itself, and loaded into a node.

They have merges, criss-cross merges and octopuses, several roots, clocks that run backwards, renames, changes of mode
and type, symlinks, submodules, names that are not UTF-8, encodings, empty commits, and deleted paths that come back.
"""

import random
from dataclasses import dataclass, field
from pathlib import Path

from packhouse.auth.principal import Principal
from packhouse.db.ref_transaction import RefUpdate, apply_ref_updates
from packhouse.db.repos import Repo
from packhouse.git.oid import Oid
from packhouse.git.refname import RefName
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from tests.support.builders.packs import give_pack
from tests.support.clients.git import Git

Tree = dict[bytes, tuple[str, bytes]]
"""Path to (mode, content). The content of a submodule is an id."""

_FOLDERS = [b"", b"", b"src/", b"src/deep/er/", b"docs/", b"a b/", b"\xff\xfe/"]
_NAMES = [
    b"a",
    b"b.txt",
    b"c",
    b"*",
    b":(glob)x",
    b"n\nl",
    b'q"uote',
    b"\xe9t\xe9",
    "Ä".encode(),
    b"-x",
    b"a.b",
]
_CONTENTS = [b"", b"one\n", b"two\n", b"no newline", b"\0binary\xff", b"x\n" * 50]
_MODES = ["100644", "100644", "100644", "100755", "120000", "160000"]
_MESSAGES = [b"Change\n", b"", b"Two lines\n\nand more\n\n", "Größe\n".encode(), b"\xfcber\n"]


@dataclass
class History:
    """A bare repository made by git. The same `seed` makes the same history."""

    git: Git
    folder: Path
    seed: int
    branches: list[str] = field(default_factory=list)

    def run(self, *args: str) -> str:
        """Run git in the repository and return its output, stripped."""
        return self.git.run(*args, cwd=self.folder)

    def refs(self) -> dict[str, str]:
        """Return refname to id of every ref."""
        lines = self.run("for-each-ref", "--format=%(objectname) %(refname)").splitlines()
        return {name: oid for oid, name in (line.split(" ", 1) for line in lines)}

    def commits(self) -> list[str]:
        """Return every commit."""
        return self.run("rev-list", "--all").split()

    def files(self, commit: str) -> dict[bytes, tuple[str, str]]:
        """Return path to (mode, id) of everything at a commit except folders."""
        listed = self.git.try_run("ls-tree", "-r", "-z", commit, cwd=self.folder).stdout
        files = {}
        for row in listed.split(b"\0")[:-1]:
            facts, _, path = row.partition(b"\t")
            mode, _, oid = facts.decode().split()
            files[path] = (mode, oid)
        return files

    def last_commit(self, commit: str, path: bytes) -> str:
        """Return the answer of `git log -1` for a path, taken literally."""
        text = path.decode("utf-8", "surrogateescape")
        return self.git.run(
            "log",
            "-1",
            "--format=%H",
            commit,
            "--",
            text,
            cwd=self.folder,
            env={"GIT_LITERAL_PATHSPECS": "1"},
        )


def make_history(git: Git, folder: Path, seed: int, *, commits: int = 40) -> History:
    """Write a random history with a few branches, main among them, and tags; print the seed."""
    print(f"history seed {seed}")
    rng = random.Random(seed)
    git.run("init", "--quiet", "--bare", folder)
    script, branches = _write_script(rng, commits)
    git.run("fast-import", "--quiet", "--date-format=raw", cwd=folder, stdin=script)
    if "main" not in branches:
        git.run("branch", "main", branches[0], cwd=folder)
        branches = sorted(["main", *branches])
    history = History(git, folder, seed, branches)
    tips = sorted(set(history.refs().values()))
    git.run("tag", "light", rng.choice(tips), cwd=folder)
    git.run("tag", "-a", "-m", "annotated", "v1.0", rng.choice(tips), cwd=folder)
    git.run("tag", "-a", "-m", "nested", "release/v2", "v1.0", cwd=folder)
    return history


def _write_script(rng: random.Random, commits: int) -> tuple[bytes, list[str]]:
    """Return the input of git-fast-import(1) and the branches that it makes."""
    trees: list[Tree] = []
    tips: dict[str, int] = {}
    out: list[bytes] = []
    for number in range(commits):
        branch = rng.choice(["main", "main", "topic", "other", "feature/x"])
        parents = [tips[branch]] if branch in tips else []
        if not parents and trees and rng.random() < 0.8:
            parents = [rng.randrange(len(trees))]
        if parents and rng.random() < 0.3:
            others = [n for n in range(len(trees)) if n not in parents]
            parents += rng.sample(others, min(len(others), rng.choice([1, 1, 1, 2])))
        tree = _mix(rng, [trees[n] for n in parents])
        for _ in range(rng.choice([0, 1, 1, 2, 4])):
            _change(rng, tree)
        trees.append(tree)
        tips[branch] = number
        out.append(_commit(rng, branch, number, parents, tree))
    return b"".join(out), sorted(tips)


def _mix(rng: random.Random, parents: list[Tree]) -> Tree:
    """Return the tree of a merge: mostly the first parent's entries, a few from another parent."""
    tree = dict(parents[0]) if parents else {}
    for other in parents[1:]:
        for path in sorted({*tree, *other}):
            if rng.random() < 0.5:
                if path in other:
                    _put(tree, path, other[path])
                else:
                    tree.pop(path, None)
    return tree


def _change(rng: random.Random, tree: Tree) -> None:
    action = rng.random()
    if tree and action < 0.15:
        del tree[rng.choice(sorted(tree))]
    elif tree and action < 0.3:
        _put(tree, _path(rng), tree.pop(rng.choice(sorted(tree))))
    elif tree and action < 0.6:
        path = rng.choice(sorted(tree))
        tree[path] = _entry(rng)
    else:
        _put(tree, _path(rng), _entry(rng))


def _put(tree: Tree, path: bytes, entry: tuple[str, bytes]) -> None:
    """Set a path. Remove files at the paths of its folders, and files below it."""
    for other in list(tree):
        if other.startswith(path + b"/") or path.startswith(other + b"/"):
            del tree[other]
    tree[path] = entry


def _path(rng: random.Random) -> bytes:
    return rng.choice(_FOLDERS) + rng.choice([*_NAMES, b"src", b"docs"])


def _entry(rng: random.Random) -> tuple[str, bytes]:
    mode = rng.choice(_MODES)
    if mode == "160000":
        return mode, b"%040x" % rng.randrange(1, 4)
    if mode == "120000":
        return mode, rng.choice([b"target", b"../x"])
    return mode, rng.choice(_CONTENTS)


def _commit(rng: random.Random, branch: str, number: int, parents: list[int], tree: Tree) -> bytes:
    when = 1_700_000_000 + number * 60 + rng.choice([0, 0, 0, -100_000, 500])
    message = rng.choice(_MESSAGES)
    name = rng.choice([b"Ada", "Jörg".encode(), b"J\xf6rg"])
    lines = [
        b"commit refs/heads/%s" % branch.encode(),
        b"mark :%d" % (number + 1),
        b"author %s <ada@example.test> %d +0100" % (name, when - 5),
        b"committer %s <ada@example.test> %d -0300" % (name, when),
    ]
    if rng.random() < 0.2:
        lines.append(b"encoding ISO-8859-1")
    lines.append(b"data %d\n%s" % (len(message), message))
    lines += [b"%s :%d" % (b"merge" if n else b"from", p + 1) for n, p in enumerate(parents)]
    if not parents:
        lines.insert(0, b"reset refs/heads/%s" % branch.encode())
    lines.append(b"deleteall")
    for path, (mode, content) in tree.items():
        quoted = b'"' + b"".join(b"\\%03o" % byte for byte in path) + b'"'
        if mode == "160000":
            lines.append(b"M 160000 %s %s" % (content, quoted))
        else:
            lines.append(b"M %s inline %s\ndata %d\n%s" % (mode.encode(), quoted, len(content), content))
    return b"\n".join(lines) + b"\n\n"


def load_history(node: Node, caller: Principal, history: History, name: str) -> Repo:
    """Make a repository of the node with all objects and refs of a history."""
    create_repo(node, caller, CreateRepo(name))
    repo = lookup_repo(node, caller, name)
    history.run("repack", "-adq")
    for pack in (history.folder / "objects" / "pack").glob("*.pack"):
        give_pack(node, repo, pack)
    move_refs_to(node, repo, history)
    return lookup_repo(node, caller, name)


def move_refs_to(node: Node, repo: Repo, history: History) -> None:
    """Give the repository the refs of the history."""
    lines = history.run("for-each-ref", "--format=%(refname) %(objectname) %(*objectname)").splitlines()
    updates = []
    for refname, oid, *_ in (line.split(" ") for line in lines):
        peeled = Oid(history.run("rev-parse", f"{refname}^{{}}"))
        updates.append(
            RefUpdate(
                namespace="",
                refname=RefName(refname.encode()),
                old_oid=None,
                new_oid=Oid(oid),
                peeled_oid=peeled if peeled != oid else None,
                any_old=True,
            )
        )
    with node.database.write() as session:
        apply_ref_updates(
            session, repo.id, updates, actor="test", action="test", state=node.new_state(), now=1000
        )
