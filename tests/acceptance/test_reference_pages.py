"""The examples of the reference pages are what a server answers, to the last digit of each id."""

import json
import re
from pathlib import Path

import pytest

from tests.support.git import Git
from tests.support.org import Org
from tests.support.repo import Repo
from tests.tidy.sources import ROOT

PAGES = ["history", "tags", "notes", "files"]

_EXAMPLE = re.compile(r"```http\n(?P<request>[^\n]+)\n```\n(?:\n```json\n(?P<answer>.*?)\n```\n)?", re.DOTALL)


@pytest.fixture
def shop(new_org: Org, git: Git, tmp_path: Path) -> Repo:
    """The repository of the examples. Its dates are fixed, so its ids are those of the pages."""
    repo = new_org.create_repo("apps/shop")
    people = [
        {"name": "Ada", "email": "ada@northwind.example", "date": "2026-01-01T00:00:09Z"},
        {"name": "Lin", "email": "lin@northwind.example", "date": "2026-01-02T08:30:00Z"},
    ]
    first, second = people
    repo.write_commit(
        "main", {"README.md": b"# Shop\n", "docs/guide.md": b"Read me.\n"}, message="Start", author=first
    )
    repo.write_commit("main", {"src/cart.py": b"items = []\n"}, message="Add cart", author=second)
    work = git.clone(repo.remote(), tmp_path / "work")
    dates = {"GIT_AUTHOR_DATE": "1767342600 +0000", "GIT_COMMITTER_DATE": "1767342600 +0000"}
    git.run("tag", "-a", "-m", "First release", "release/v1", cwd=work, env=dates)
    git.run("notes", "--ref=reviews", "add", "-m", "QA passed", cwd=work, env=dates)
    git.run("push", "--quiet", "origin", "release/v1", "refs/notes/reviews", cwd=work)
    return repo


def examples(page: str) -> list[tuple[str, str | None]]:
    """Return (request line, answer) of each example on a page."""
    text = (ROOT / "docs/reference" / f"{page}.md").read_text("utf-8")
    return [(match["request"], match["answer"]) for match in _EXAMPLE.finditer(text)]


@pytest.mark.parametrize("page", PAGES)
def test_each_example_is_answered_as_printed(shop: Repo, page: str) -> None:
    found = examples(page)
    assert found, "a page has an example"
    for request, answer in found:
        method, _, target = request.partition(" ")
        reply = shop.org.request(method, target, token=shop.token(scopes=["git:read"]))
        assert reply.status_code == 200, (request, reply.text)
        if answer is not None:
            assert reply.json() == json.loads(answer), request
