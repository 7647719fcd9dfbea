"""The examples on the pages about commits and archives are what a server answers."""

import io
import json
import re
import tarfile
import zipfile
from typing import Any

import pytest

from tests.support.org import Org
from tests.support.repo import Repo
from tests.tidy.sources import ROOT

_EXAMPLE = re.compile(
    r"```http\n(?P<method>GET|POST) (?P<target>\S+)\n(?:\n(?P<body>.*?)\n)?```\n\n"
    r"```(?:json|text)\n(?P<answer>.*?)\n```\n",
    re.DOTALL,
)


def examples(page: str) -> list[re.Match[str]]:
    found = list(_EXAMPLE.finditer((ROOT / "docs/reference" / f"{page}.md").read_text("utf-8")))
    assert found, "a page has an example"
    return found


@pytest.fixture
def shop(new_org: Org) -> Repo:
    return new_org.create_repo("apps/shop")


def without_size(answer: dict[str, Any]) -> dict[str, Any]:
    assert answer["commit"].pop("pack_bytes") > 0
    return answer


def test_commits_answer_as_printed(shop: Repo) -> None:
    for example in examples("commits"):
        reply = shop.org.request("POST", example["target"], token=shop.token(), content=example["body"])
        assert reply.status_code == 201, reply.text
        assert without_size(reply.json()) == without_size(json.loads(example["answer"]))


def test_archives_hold_what_is_printed(shop: Repo) -> None:
    files = {"README.md": b"# Shop\n", "docs/guide.md": b"g", "docs/draft/plan.md": b"p", "src/cart.py": b"c"}
    shop.write_commit("main", files)
    number = shop.api("GET").json()["repository_id"]
    for example in examples("archives"):
        target = example["target"].replace("{repository_id}", str(number))
        headers = {"X-Auth-Token": shop.token()}
        reply = shop.org.request(
            example["method"], target, token=shop.token(), content=example["body"], headers=headers
        )
        assert reply.status_code == 200, reply.text
        if reply.headers["Content-Type"] == "application/zip":
            with zipfile.ZipFile(io.BytesIO(reply.content)) as archive:
                names = archive.namelist()
        else:
            with tarfile.open(fileobj=io.BytesIO(reply.content)) as archive:
                names = archive.getnames()
        assert names == example["answer"].splitlines()
