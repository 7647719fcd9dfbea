"""Ids of repositories: which texts are ids, and that no other value is taken for one."""

import subprocess
import sys
from pathlib import Path

import pytest

from packhouse.errors import Invalid
from packhouse.ids import new_repo_id, parse_repo_id

pytestmark = pytest.mark.quick

ROOT = Path(__file__).resolve().parents[2]

TAKEN_FOR_EACH_OTHER = """
from packhouse.db.refs import get_ref, list_refs
from packhouse.db.repos import Repo
from packhouse.db.session import Session
from packhouse.git.oid import Oid
from packhouse.git.objects.tree_edit import TreeEditor
from packhouse.git.objects.tree_path import TreePath
from packhouse.node.node import Node

def wrong(node: Node, session: Session, repo: Repo, editor: TreeEditor, path: bytes, oid: Oid) -> None:
    list_refs(session, repo.org_id)  # refused
    list_refs(session, 7)  # refused
    get_ref(session, repo.id, "", path)  # refused
    node.request_maintenance(repo.name)  # refused
    editor.upsert(path, 0o100644, oid)  # refused
    editor.upsert(TreePath(path), 0o100644, repo.name)  # refused

def right(node: Node, session: Session, repo: Repo) -> None:
    list_refs(session, repo.id)
    node.request_maintenance(repo.public_id)
"""


def test_a_new_repository_has_an_id_that_can_be_parsed() -> None:
    made = new_repo_id(lambda size: bytes(range(size)))
    assert parse_repo_id(made) == made


@pytest.mark.parametrize(
    "text",
    [
        "",
        "repo_",
        "repo_abc",
        "abcdef",
        "repo_../../x",
        "repo_ab/cd",
        "repo_ABCD",
        "repo_abcd\n",
        "repo_abcd\0",
    ],
)
def test_text_that_cannot_name_a_separate_folder_is_not_a_repository_id(text: str) -> None:
    with pytest.raises(Invalid):
        parse_repo_id(text)


def test_the_type_checker_refuses_other_numbers_and_text_as_ids(tmp_path: Path) -> None:
    script = tmp_path / "wrong.py"
    script.write_text(TAKEN_FOR_EACH_OTHER, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", str(script)], cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    lines = TAKEN_FOR_EACH_OTHER.splitlines()
    expected = [number for number, line in enumerate(lines, 1) if line.endswith("# refused")]
    found = [int(line.split(":")[1]) for line in done.stdout.splitlines() if "[arg-type]" in line]
    assert found == expected, done.stdout
