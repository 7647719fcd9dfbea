"""The examples of writing calls on the reference pages are what a server answers, to the last digit of each id."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.git import Git
from tests.support.org import Org
from tests.support.repo import Repo
from tests.tidy.sources import ROOT

PAGES = ["merge", "tags", "notes"]

_EXAMPLE = re.compile(
    r"```http\n(?P<method>POST|DELETE) (?P<target>\S+)\n\n(?P<body>\{.*?\})\n```\n\n```json\n(?P<answer>.*?)\n```\n",
    re.DOTALL,
)


@pytest.fixture
def shop(new_org: Org, git: Git, tmp_path: Path) -> Repo:
    """The repository of the examples. Its dates are fixed, so its ids are those of the pages."""
    repo = new_org.create_repo("apps/shop")
    people = [
        {"name": "Ada", "email": "ada@northwind.example", "date": "2026-01-01T00:00:09Z"},
        {"name": "Lin", "email": "lin@northwind.example", "date": "2026-01-02T08:30:00Z"},
    ]
    repo.write_commit("main", {"README.md": b"# Shop\n"}, message="Start", author=people[0])
    repo.write_commit(
        "feature/cart",
        {"src/cart.py": b"items = []\n"},
        message="Add cart",
        author=people[1],
        base_branch="main",
    )
    repo.write_commit("main", {"docs/guide.md": b"Read me.\n"}, message="Add guide", author=people[0])
    work = git.clone(repo.remote(), tmp_path / "work")
    dates = {"GIT_AUTHOR_DATE": "1767342600 +0000", "GIT_COMMITTER_DATE": "1767342600 +0000"}
    git.run("notes", "--ref=reviews", "add", "-m", "QA passed", cwd=work, env=dates)
    git.run("push", "--quiet", "origin", "refs/notes/reviews", cwd=work)
    return repo


def answers(repo: Repo, page: str) -> list[tuple[Any, str]]:
    """Send each example of a page, in order; return what came back and what the page prints."""
    text = (ROOT / "docs/reference" / f"{page}.md").read_text("utf-8")
    found = []
    for match in _EXAMPLE.finditer(text):
        body = json.loads(match["body"])
        reply = repo.org.request(match["method"], match["target"], token=repo.token(), json=body)
        assert reply.status_code in (200, 201), reply.text
        found.append((reply.json(), match["answer"]))
    return found


@pytest.mark.parametrize("page", PAGES)
def test_each_example_is_answered_as_printed(shop: Repo, page: str) -> None:
    found = answers(shop, page)
    assert found, "a page has an example"
    for answer, printed in found:
        assert answer == json.loads(printed)
