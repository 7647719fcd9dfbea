"""Joining packs while others write."""

import os
import random
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from packhouse.auth.principal import Principal
from packhouse.db.packs import insert_packs, list_packs
from packhouse.db.repos import Repo
from packhouse.git.pack import Pack
from packhouse.git.process import GitFailed
from packhouse.limits import Limits
from packhouse.node.node import Node
from packhouse.operations.create_repo import CreateRepo, create_repo
from packhouse.operations.lookup import lookup_repo
from packhouse.repository.consolidate import consolidate


@pytest.fixture
def limits() -> Limits:
    """Packs are joined as soon as there are three."""
    return Limits(packs_before_consolidation=2)


@pytest.fixture
def repo(node: Node, caller: Principal) -> Repo:
    """An empty repository."""
    create_repo(node, caller, CreateRepo("repo"))
    return lookup_repo(node, caller, "repo")


def write_pack(node: Node, repo: Repo, content: bytes) -> str:
    """Do what a write does: publish a pack, then list it; return its name."""
    with node.store.new_draft() as draft:
        draft.writer.add_object("blob", content)
        pack = node.store.publish_draft(draft, repo.public_id)
    with node.database.write() as session:
        row = Pack(pack.name, pack.size_bytes, pack.objects)
        insert_packs(session, repo.id, [row], now=node.clock())
    return pack.name


def listed(node: Node, repo: Repo) -> set[str]:
    with node.database.read() as session:
        return {pack.name for pack in list_packs(session, repo.id)}


def in_place(node: Node, repo: Repo) -> set[str]:
    return {pack.name for pack in node.store.list_packs(repo.public_id)}


def pack_dir(node: Node, repo: Repo) -> Path:
    return node.store.repo_path(repo.public_id) / "objects" / "pack"


def test_joined_packs_go_and_the_list_says_what_is_there(node: Node, repo: Repo) -> None:
    names = {write_pack(node, repo, b"%d" % number) for number in range(4)}
    assert consolidate(node, repo.public_id) > 1
    assert listed(node, repo) == in_place(node, repo)
    assert not names <= in_place(node, repo)


def test_a_joined_pack_that_is_written_once_more_before_it_goes_stays(
    node: Node, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [write_pack(node, repo, b"%d" % number) for number in range(4)]
    find_pinned = node.store.find_pinned
    again = set()

    def write_again_meanwhile(repo_id: str, retired: Iterable[str], *, wait_max_s: float) -> set[str]:
        number = next(number for number, name in enumerate(names) if name in set(retired))
        again.add(write_pack(node, repo, b"%d" % number))
        return find_pinned(repo_id, retired, wait_max_s=wait_max_s)

    monkeypatch.setattr(node.store, "find_pinned", write_again_meanwhile)
    consolidate(node, repo.public_id)
    assert again
    assert again <= listed(node, repo) == in_place(node, repo)


def test_a_lock_of_a_git_that_was_killed_stops_nothing(node: Node, repo: Repo) -> None:
    for number in range(4):
        write_pack(node, repo, b"%d" % number)
    (pack_dir(node, repo) / "multi-pack-index.lock").touch()
    assert consolidate(node, repo.public_id) > 1
    assert (pack_dir(node, repo) / "multi-pack-index").exists()


def test_a_git_that_dies_while_it_joins_leaves_nothing(
    node: Node, repo: Repo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for number in range(4):
        write_pack(node, repo, random.Random(number).randbytes(100_000))
    before = sorted(pack_dir(node, repo).iterdir())
    real = shutil.which("git")
    (tmp_path / "bin").mkdir()
    dying = tmp_path / "bin" / "git"
    dying.write_text(f'#!/bin/sh\n[ "$1" = pack-objects ] && ulimit -f 20\nexec {real} "$@"\n')
    dying.chmod(0o755)
    monkeypatch.setenv("PATH", str(dying.parent), prepend=os.pathsep)
    monkeypatch.setattr("packhouse.repository.consolidate._IN_PROCESS_MAX_BYTES", 0)
    with pytest.raises(GitFailed):
        consolidate(node, repo.public_id)
    assert sorted(pack_dir(node, repo).iterdir()) == before
