"""What a crash leaves of a repository that was to start with objects, and what becomes of it."""

import os
import time
from pathlib import Path

import pytest

from packhouse.auth.principal import Principal
from packhouse.db.repos import RepoExists
from packhouse.node.node import Node
from packhouse.operations.create_repo import CreateRepo, create_repo
from packhouse.operations.fork_insert import FilledRepo, insert_filled_repo, sweep_unsettled
from packhouse.storage.unsettled import mark_unsettled, unsettled_age_s


def age(folder: Path) -> None:
    """Make the mark of a folder two hours old."""
    then = time.time() - 7200
    os.utime(folder / "unsettled", (then, then))


def fill(node: Node, caller: Principal, name: str) -> str:
    """Create a repository that starts with one blob; return its internal id."""
    with node.store.new_quarantine() as quarantine, node.store.new_draft() as draft:
        draft.writer.add_object("blob", b"content")
        return insert_filled_repo(
            node, caller, FilledRepo(name, "main", [], "fork"), quarantine, draft, receipt=None
        ).public_id


def test_a_folder_whose_row_was_never_inserted_is_removed_after_an_hour(
    node: Node, caller: Principal
) -> None:
    folder = node.store.ensure_repo("repo_zzzz9999")
    mark_unsettled(folder)
    assert sweep_unsettled(node) == 0
    assert folder.exists()
    age(folder)
    assert sweep_unsettled(node) == 1
    assert not folder.exists()


def test_a_folder_without_a_row_and_without_a_mark_is_left_alone(node: Node, caller: Principal) -> None:
    folder = node.store.ensure_repo("repo_zzzz9999")
    assert sweep_unsettled(node) == 0
    assert folder.exists()


def test_a_mark_that_a_crash_left_after_the_rows_were_inserted_is_taken_off(
    node: Node, caller: Principal
) -> None:
    folder = node.store.repo_path(fill(node, caller, "shop"))
    assert unsettled_age_s(folder) is None
    mark_unsettled(folder)
    age(folder)
    assert sweep_unsettled(node) == 0
    assert unsettled_age_s(folder) is None
    assert list(folder.glob("objects/pack/*.pack"))


def test_who_loses_the_race_for_a_name_leaves_no_folder(node: Node, caller: Principal) -> None:
    create_repo(node, caller, CreateRepo("shop"))
    with pytest.raises(RepoExists):
        fill(node, caller, "shop")
    assert list(node.store.iter_repo_ids()) == []
