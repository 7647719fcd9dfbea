"""The examples on the pages about diffs, blame, grep and merges are what a server answers."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.org import Org
from tests.support.repo import Repo
from tests.tidy.sources import ROOT

PAGES = ["diffs", "blame", "grep", "merge-preview"]

_EXAMPLE = re.compile(
    r"```http\n(?P<request>[^\n]+)\n(?:\n(?P<body>.*?)\n)?```\n\n```json\n(?P<answer>.*?)\n```\n", re.DOTALL
)


@pytest.fixture
def shop(new_org: Org) -> Repo:
    """The repository of the examples. Its dates are fixed, so its ids are those of the pages."""
    repo = new_org.create_repo("apps/shop")

    def write(branch: str, content: bytes, message: str, person: str, day: int, **metadata: Any) -> None:
        author = {
            "name": person,
            "email": f"{person.lower()}@northwind.example",
            "date": f"2026-01-0{day}T08:30:00Z",
        }
        repo.write_commit(branch, {"src/cart.py": content}, message=message, author=author, **metadata)

    write("main", b"items = []\n", "Start", "Ada", 1)
    write("feature/cart", b"items = []\ntax = 2\n", "Add tax", "Lin", 2, base_branch="main")
    write("main", b"items = []\ntax = 1\n", "Add another tax", "Ada", 3)
    return repo


def page_of(name: str) -> Path:
    """Return where a page stands."""
    return ROOT / "docs/reference" / f"{name}.md"


def ask(shop: Repo, example: re.Match[str]) -> httpx.Response:
    """Send the request of an example."""
    method, _, target = example["request"].partition(" ")
    options: dict[str, Any] = {"content": example["body"]} if example["body"] else {}
    return shop.org.request(method, target, token=shop.token(scopes=["git:read"]), **options)


@pytest.mark.parametrize("page", PAGES)
def test_each_example_is_answered_as_printed(shop: Repo, page: str) -> None:
    examples = list(_EXAMPLE.finditer(page_of(page).read_text("utf-8")))
    assert examples, "a page has an example"
    for example in examples:
        reply = ask(shop, example)
        assert reply.status_code == 200, (example["request"], reply.text)
        assert reply.json() == json.loads(example["answer"]), example["request"]
