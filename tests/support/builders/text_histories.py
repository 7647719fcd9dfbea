"""Random histories of text files that are edited line by line, for tests of reads inside files.

Lines are inserted, changed, removed and moved. Some changes are whitespace only. Files are renamed and copied with
edits. Line ends differ, some last lines have no newline, and branches merge.
"""

import random
from pathlib import Path

from tests.support.builders.histories import History
from tests.support.clients.git import Git

_WORDS = ["tax", "cart", "item", "total", "price", "Größe", "x", "", "  indent", "a\tb", "--dash", "12:34"]
_NAMES = [
    b"README.md",
    b"src/cart.py",
    b"src/lib/a b.py",
    b"src/lib/tab\there.txt",
    b'docs/q"uote.md',
    b"docs/\xff.txt",
    "docs/Ä.md".encode(),
    b"-x",
    b"a-1-b",
    b"a:2:b",
    b"go.sum",
]

_LONGEST_MIN = 12

TextTree = dict[bytes, tuple[str, list[str]]]
"""Path to (mode, lines with their line ends)."""


def make_text_history(git: Git, folder: Path, seed: int, *, commits: int = 25) -> History:
    """Write a random history of edited text, and print the seed. Its branches are main and topic.

    Each commit has a file of at least `_LONGEST_MIN` lines.
    """
    print(f"text history seed {seed}")
    rng = random.Random(seed)
    git.run("init", "--quiet", "--bare", folder)
    trees: list[TextTree] = []
    tips: dict[str, int] = {}
    out: list[bytes] = []
    for number in range(commits):
        branch = "main" if number == 0 else rng.choice(["main", "main", "topic"])
        parents = [tips[branch]] if branch in tips else list(range(number))[-1:]
        other = tips.get("topic" if branch == "main" else "main")
        if other is not None and other not in parents and rng.random() < 0.25:
            parents.append(other)
        tree: TextTree = {
            path: (mode, list(lines))
            for path, (mode, lines) in (trees[parents[0]] if parents else {}).items()
        }
        for path, (mode, lines) in (trees[parents[1]] if len(parents) > 1 else {}).items():
            if rng.random() < 0.5:
                tree[path] = (mode, list(lines))
        for _ in range(8 if number == 0 else rng.randint(1, 3)):
            _edit(rng, tree)
        if all("".join(lines).count("\n") < _LONGEST_MIN for _, lines in tree.values()):
            tree[rng.choice(_NAMES)] = ("100644", [_line(rng) for _ in range(_LONGEST_MIN)])
        trees.append(tree)
        tips[branch] = number
        out.append(_commit(branch, number, parents, tree))
    git.run("fast-import", "--quiet", "--date-format=raw", cwd=folder, stdin=b"".join(out))
    return History(git, folder, seed, sorted(tips))


def _edit(rng: random.Random, tree: TextTree) -> None:
    action = rng.random()
    if not tree or action < 0.2:
        tree[rng.choice(_NAMES)] = ("100644", [_line(rng) for _ in range(rng.choice([0, 1, 12, 40]))])
        return
    path = rng.choice(sorted(tree))
    mode, lines = tree[path]
    if action < 0.3:
        tree[rng.choice(_NAMES)] = tree.pop(path)
    elif action < 0.4:
        tree[rng.choice(_NAMES)] = (mode, [*lines, _line(rng)])
        lines.append(_line(rng))
    elif action < 0.45:
        tree[path] = ("100755" if mode == "100644" else "100644", lines)
    elif action < 0.5 and lines:
        lines[-1] = lines[-1].rstrip("\r\n")
    elif action < 0.6:
        tree[path] = (mode, [line.replace(" ", "   ") for line in lines])
    elif action < 0.7 and len(lines) > 4:
        at = rng.randrange(len(lines) - 3)
        block, lines[at : at + 3] = lines[at : at + 3], []
        lines[rng.randrange(len(lines) + 1) :] = block
    else:
        _change_lines(rng, lines)


def _change_lines(rng: random.Random, lines: list[str]) -> None:
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(lines) + 1)
        lines[at : at + rng.choice([0, 1, 1, 2])] = [_line(rng) for _ in range(rng.choice([0, 1, 1, 3]))]


def _line(rng: random.Random) -> str:
    words = [rng.choice(_WORDS) for _ in range(rng.randint(1, 6))]
    return " ".join([*words, str(rng.randrange(1000))]) + rng.choice(["\n", "\n", "\n", "\r\n"])


def _commit(branch: str, number: int, parents: list[int], tree: TextTree) -> bytes:
    person = b"Ada <ada@example.test> %d +0100" % (1_700_000_000 + 60 * number)
    message = b"Change %d\n" % number
    rows = [b"commit refs/heads/%s" % branch.encode(), b"mark :%d" % (number + 1)]
    rows += [b"author " + person, b"committer " + person, b"data %d\n%s" % (len(message), message)]
    rows += [b"%s :%d" % (b"merge" if n else b"from", p + 1) for n, p in enumerate(parents)]
    if not parents:
        rows.insert(0, b"reset refs/heads/%s" % branch.encode())
    rows.append(b"deleteall")
    for path, (mode, lines) in tree.items():
        quoted = b'"' + b"".join(b"\\%03o" % byte for byte in path) + b'"'
        content = "".join(lines).encode()
        rows.append(b"M %s inline %s\ndata %d\n%s" % (mode.encode(), quoted, len(content), content))
    return b"\n".join(rows) + b"\n\n"
