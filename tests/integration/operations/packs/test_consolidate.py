"""Joining packs while others write."""

import os
import random
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from packhouse.auth.principal import Principal
from packhouse.db.packs import PackNotIncoming
from packhouse.db.repos import Repo
from packhouse.git.commands.run import GitFailed, run_git
from packhouse.git.oid import hash_object
from packhouse.git.packs.pack import Pack
from packhouse.limits import Limits
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.operations.repos.delete_repo import DeleteRepo, delete_repo
from packhouse.repository.stored_packs import sweep_packs
from packhouse.repository.upkeep import consolidate as consolidate_module
from packhouse.repository.view import RepoView
from packhouse.repository.write import Published, Write
from tests.support.builders.node_writes import pack_states, put_blob
from tests.support.builders.packs import list_packs, pack_dir, stored_names
from tests.support.builders.upkeep import consolidate


@pytest.fixture
def limits() -> Limits:
    """Packs are joined as soon as there are three."""
    return Limits(packs_before_consolidation=2)


@pytest.fixture
def repo(node: Node, caller: Principal) -> Repo:
    """An empty repository."""
    create_repo(node, caller, CreateRepo("repo"))
    return lookup_repo(node, caller, "repo")


def listed(node: Node, repo: Repo) -> set[str]:
    return {pack.name for pack in list_packs(node, repo)}


def holds(node: Node, repo: Repo, content: bytes) -> bool:
    with RepoView(node, repo) as view:
        return view.kind_and_size(hash_object("blob", content)) == ("blob", len(content))


def test_joined_packs_are_deleted_and_the_list_has_the_new_one(node: Node, repo: Repo) -> None:
    names = {put_blob(node, repo, b"%d" % number) for number in range(4)}
    assert consolidate(node, repo.public_id) > 1
    assert listed(node, repo) == stored_names(node, repo)
    assert pack_states(node, repo) == dict.fromkeys(listed(node, repo), "live")
    assert not names <= stored_names(node, repo)
    assert all(holds(node, repo, b"%d" % number) for number in range(4))


def test_an_object_written_again_while_packs_are_joined_stays(
    node: Node, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pack of the same content is another pack. The deletion of the retired one does not remove it."""
    names = [put_blob(node, repo, b"%d" % number) for number in range(4)]
    again: set[str] = set()
    copy = consolidate_module._copy

    def write_again_meanwhile(view: RepoView, chosen: Sequence[Pack], write: Write) -> bool:
        if not again:
            number = next(
                number for number, name in enumerate(names) if name in {pack.name for pack in chosen}
            )
            again.add(put_blob(node, repo, b"%d" % number))
        return copy(view, chosen, write)

    monkeypatch.setattr(consolidate_module, "_copy", write_again_meanwhile)
    consolidate(node, repo.public_id)
    assert again
    assert again <= listed(node, repo) == stored_names(node, repo)


def test_a_pack_that_is_listed_while_others_are_joined_stays_listed(
    node: Node, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        put_blob(node, repo, b"%d" % number)
    late: set[str] = set()
    copy = consolidate_module._copy

    def write_meanwhile(view: RepoView, chosen: Sequence[Pack], write: Write) -> bool:
        late.add(put_blob(node, repo, b"late"))
        return copy(view, chosen, write)

    monkeypatch.setattr(consolidate_module, "_copy", write_meanwhile)
    assert consolidate(node, repo.public_id) > 1
    assert late <= listed(node, repo)
    assert all(holds(node, repo, content) for content in (b"0", b"1", b"2", b"late"))


def test_a_repository_that_is_deleted_while_its_packs_are_joined_gets_no_new_pack(
    node: Node, caller: Principal, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {put_blob(node, repo, b"%d" % number) for number in range(4)}
    copy = consolidate_module._copy

    def delete_meanwhile(view: RepoView, chosen: Sequence[Pack], write: Write) -> bool:
        delete_repo(node, caller, DeleteRepo("repo"))
        return copy(view, chosen, write)

    monkeypatch.setattr(consolidate_module, "_copy", delete_meanwhile)
    consolidate(node, repo.public_id)
    assert stored_names(node, repo) == names
    assert pack_states(node, repo) == dict.fromkeys(names, "live"), "it may be put back"


def test_a_joined_pack_that_was_swept_meanwhile_replaces_nothing(
    node: Node, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For example maintenance stood still for longer than the grace period."""
    names = {put_blob(node, repo, b"%d" % number) for number in range(4)}
    publish = Write.publish

    def publish_and_stand_still(write: Write, *, may_journal: bool) -> Published:
        published = publish(write, may_journal=may_journal)
        node.clock = lambda: 1001 + node.limits.incoming_grace_s
        sweep_packs(node)
        return published

    monkeypatch.setattr(Write, "publish", publish_and_stand_still)
    with pytest.raises(PackNotIncoming):
        consolidate(node, repo.public_id)
    assert listed(node, repo) == stored_names(node, repo) == names
    assert all(holds(node, repo, b"%d" % number) for number in range(4))


def test_leftover_locks_and_indexes_of_git_do_not_stop_joining(node: Node, repo: Repo) -> None:
    for number in range(4):
        put_blob(node, repo, b"%d" % number)
    for name in ("multi-pack-index.lock", "multi-pack-index"):
        (pack_dir(node, repo) / name).write_bytes(b"left by a git that was killed")
    assert consolidate(node, repo.public_id) > 1
    with RepoView(node, repo) as view:
        for number in range(4):
            oid = hash_object("blob", b"%d" % number)
            found = run_git(view.place(), "cat-file", "blob", oid)
            assert (found.stdout, found.stderr) == (b"%d" % number, b"")


def test_a_git_that_dies_while_it_joins_leaves_nothing(
    node: Node, repo: Repo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for number in range(4):
        put_blob(node, repo, random.Random(number).randbytes(100_000))
    before, states = sorted(pack_dir(node, repo).iterdir()), pack_states(node, repo)
    real = shutil.which("git")
    (tmp_path / "bin").mkdir()
    dying = tmp_path / "bin" / "git"
    dying.write_text(f'#!/bin/sh\n[ "$1" = pack-objects ] && ulimit -f 20\nexec {real} "$@"\n')
    dying.chmod(0o755)
    monkeypatch.setenv("PATH", str(dying.parent), prepend=os.pathsep)
    monkeypatch.setattr("packhouse.repository.upkeep.consolidate._IN_PROCESS_MAX_BYTES", 0)
    with pytest.raises(GitFailed):
        consolidate(node, repo.public_id)
    assert sorted(pack_dir(node, repo).iterdir()) == before
    assert pack_states(node, repo) == states
