"""A small history with an example of everything that reading endpoints show, pushed with real git."""

from dataclasses import dataclass
from pathlib import Path

from tests.support.clients.git import Git
from tests.support.clients.repo import Repo

CART = b"items = []\ntotal = 0\n"


@dataclass(frozen=True)
class SampleHistory:
    """`start` is the first commit (tag v1, note in refs/notes/reviews), `tip` the second one on main.

    `feature` changes the line that `tip` changes. `docs` only adds docs/guide.md.
    """

    repo: Repo
    work: Path
    start: str
    tip: str
    feature: str
    docs: str


def push_sample_history(repo: Repo, git: Git, work: Path) -> SampleHistory:
    """Build the history in `work` and push it to the empty repository."""
    git.init(work)
    files = {"README.md": b"# Shop\n", "src/cart.py": CART, "logo.bin": b"\0\1\2\3" * 100}
    start = git.commit(work, files, "Start")
    git.run("tag", "-a", "-m", "first", "v1", cwd=work)
    git.run("notes", "--ref", "reviews", "add", "-m", "QA passed", start, cwd=work)
    git.run("checkout", "--quiet", "-b", "feature", cwd=work)
    feature = git.commit(work, {"src/cart.py": CART.replace(b"0", b"2")}, "Two")
    git.run("checkout", "--quiet", "-b", "docs", start, cwd=work)
    docs = git.commit(work, {"docs/guide.md": b"Read me.\n"}, "Guide")
    git.run("checkout", "--quiet", "main", cwd=work)
    tip = git.commit(work, {"src/cart.py": CART.replace(b"0", b"1")}, "One\n\nBecause.")
    git.run("push", "--quiet", repo.remote(), "refs/*:refs/*", cwd=work)
    return SampleHistory(repo, work, start, tip, feature, docs)
