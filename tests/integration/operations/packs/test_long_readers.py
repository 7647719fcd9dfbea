"""Consolidation beside slow readers: packs stay few, and every reader keeps its packs."""

import os
import time

import pytest

from packhouse.auth.principal import Principal
from packhouse.db.packs import PackList
from packhouse.db.repos import Repo
from packhouse.git.commands.process import spawn_git
from packhouse.git.commands.rev_list import Revisions
from packhouse.git.oid import Oid, hash_object
from packhouse.limits import Limits
from packhouse.node.node import Node, open_node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.repository.packs import open_packs
from packhouse.repository.stored_packs import sweep_packs
from packhouse.repository.upkeep.sweep import sweep
from packhouse.repository.view import RepoView
from packhouse.storage.store import OpenedPacks
from tests.support.builders.node_writes import pack_states, put_blob, put_commit
from tests.support.builders.packs import list_packs, stored_names
from tests.support.builders.upkeep import consolidate, flush

CONTENTS = [b"%d" % number for number in range(4)]


@pytest.fixture
def limits() -> Limits:
    """Packs are joined as soon as there are two."""
    return Limits(packs_before_consolidation=1)


@pytest.fixture
def repo(node: Node, caller: Principal) -> Repo:
    """A repository with four blobs, each in a pack of its own."""
    create_repo(node, caller, CreateRepo("repo"))
    repo = lookup_repo(node, caller, "repo")
    for content in CONTENTS:
        put_blob(node, repo, content)
    return lookup_repo(node, caller, "repo")


def oid_of(content: bytes) -> Oid:
    return hash_object("blob", content)


def folders_of(node: Node, repo: Repo) -> set[str]:
    """Return the view folders of a repository on the disk."""
    root = node.config.data / "views" / repo.public_id
    return {path.name for path in root.iterdir()} if root.exists() else set()


def join(node: Node, repo: Repo) -> None:
    """Join all packs into one. The replaced packs are deleted at once."""
    before = stored_names(node, repo)
    assert consolidate(node, repo.public_id) == len(before) > 1
    assert before.isdisjoint(stored_names(node, repo))
    assert pack_states(node, repo) == dict.fromkeys(stored_names(node, repo), "live")


def test_retired_packs_are_deleted_at_once_even_if_they_are_being_read(node: Node, repo: Repo) -> None:
    with RepoView(node, repo) as view:
        assert view.read(oid_of(b"0")) == ("blob", b"0")
        join(node, repo)
    assert len(stored_names(node, repo)) == 1


def test_a_view_opened_before_still_reads_its_packs(node: Node, repo: Repo) -> None:
    with RepoView(node, repo) as view:
        assert view.read(oid_of(b"0")) == ("blob", b"0")
        shown = view.packs().object_dir
        join(node, repo)
        sweep(node)
        assert [view.read(oid_of(content)) for content in CONTENTS] == [
            ("blob", content) for content in CONTENTS
        ]
        assert view.listed().packs != tuple(list_packs(node, repo)), "it did so without the new list"
        assert shown.exists()
    with RepoView(node, repo) as later:
        later.packs()
    sweep(node)
    assert not shown.exists(), "the last who had it open has gone"


def test_a_git_started_before_still_reads_its_packs_without_the_view(node: Node, repo: Repo) -> None:
    """For example an upload-pack that takes minutes, also when the server that started it is gone."""
    with RepoView(node, repo) as view:
        git = spawn_git(view.place(), "cat-file", "--batch")
    with git:
        git.stdin.write(f"{oid_of(b'0')}\n".encode())
        git.stdin.flush()
        assert git.stdout.readline().split()[1:] == [b"blob", b"1"]
        assert git.stdout.readline() == b"0\n"
        join(node, repo)
        node.store.forget_readers(repo.public_id)
        sweep(node)
        for content in CONTENTS:
            git.stdin.write(f"{oid_of(content)}\n".encode())
            git.stdin.flush()
            answer = git.stdout.readline()
            assert answer.split()[1:] == [b"blob", b"1"], git.stderr.read()
            assert git.stdout.readline() == content + b"\n"
        git.stdin.close()


def test_uninterrupted_readers_do_not_keep_packs_and_folders_for_long(node: Node, repo: Repo) -> None:
    first = RepoView(node, repo)
    first.read(oid_of(b"0"))
    (old,) = folders_of(node, repo)
    join(node, repo)
    with RepoView(node, repo) as second:
        second.packs()
        assert second.read(oid_of(b"0")) == ("blob", b"0")
        assert len(folders_of(node, repo)) == 2
        first.close()
        assert old not in folders_of(node, repo), "the new reader keeps the new folder only"
        assert second.read(oid_of(b"1")) == ("blob", b"1")


def test_a_process_that_joins_packs_keeps_no_folder_of_the_old_ones(node: Node, repo: Repo) -> None:
    for round_ in range(3):
        put_blob(node, repo, b"in round %d" % round_)
        join(node, repo)
        with RepoView(node, repo) as view:
            assert view.read(oid_of(b"0")) == ("blob", b"0")
    assert len(folders_of(node, repo)) == 1


def test_a_reader_of_another_process_keeps_its_folder_until_it_ends(
    node: Node, caller: Principal, repo: Repo
) -> None:
    other = open_node(node.config)
    with RepoView(other, lookup_repo(other, caller, "repo")) as view:
        view.read(oid_of(b"0"))
        (old,) = folders_of(node, repo)
        join(node, repo)
        with RepoView(node, repo) as here:
            here.packs()
        node.store.forget_readers(repo.public_id)
        sweep(node)
        assert old in folders_of(node, repo)
        assert view.read(oid_of(b"1")) == ("blob", b"1")
    other.close()
    sweep_all(node)
    assert old not in folders_of(node, repo)


def sweep_all(node: Node) -> None:
    """Sweep some time later, when unused folders are no longer new."""
    for pack_dir in node.config.data.glob("views/*/*/pack"):
        os.utime(pack_dir, (time.time() - 7200,) * 2)
    sweep(node)


def test_a_view_that_misses_an_object_reads_the_list_again(node: Node, caller: Principal, repo: Repo) -> None:
    with RepoView(node, repo) as view:
        view.read(oid_of(b"0"))
        put_blob(node, repo, b"new")
        assert view.read(oid_of(b"new")) == ("blob", b"new")
        commit = put_commit(node, caller, repo)
        join(node, repo)
        assert view.git.list_commits(Revisions([commit]), count_max=9) == [commit]
        assert view.kind_and_size(commit) is not None
        assert view.kind_and_size(oid_of(b"never written")) is None


def test_an_outdated_list_leads_to_no_wrong_answer(
    node: Node, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The packs of the list are retired and deleted after the list is read and before they are opened."""
    joined: list[bool] = []

    def join_then_open(node: Node, repo: Repo, listed: PackList) -> OpenedPacks:
        if not joined:
            joined.append(True)
            join(node, repo)
        return open_packs(node, repo, listed)

    monkeypatch.setattr("packhouse.repository.view.open_packs", join_then_open)
    with RepoView(node, repo) as view:
        assert view.read(oid_of(b"0")) == ("blob", b"0")
        assert view.kind_and_size(oid_of(b"never written")) is None
    assert joined


def test_packs_kept_for_a_while_are_deleted_afterwards(node: Node, repo: Repo) -> None:
    node.limits = Limits(packs_before_consolidation=1, pack_keep_s=900)
    before = stored_names(node, repo)
    assert consolidate(node, repo.public_id) == 4
    assert before < stored_names(node, repo)
    assert sorted(pack_states(node, repo).values()) == ["live", *["retired"] * 4]
    node.clock = lambda: 1000 + 899
    assert sweep_packs(node) == 0
    node.clock = lambda: 1000 + 900
    assert sweep_packs(node) == 4
    assert len(stored_names(node, repo)) == 1


def test_a_git_started_before_a_flush_still_reads_the_journal(
    node: Node, caller: Principal, repo: Repo
) -> None:
    """Before the flush it sees the rows in a folder of their own; afterwards other commands see the stored pack."""
    commits = [put_commit(node, caller, repo, message=b"%d\n" % number) for number in range(3)]
    with RepoView(node, repo) as view:
        git = spawn_git(view.place(), "cat-file", "--batch-check")
    with git:
        assert flush(node, repo.public_id) == 3
        join(node, repo)
        node.store.forget_readers(repo.public_id)
        sweep(node)
        with RepoView(node, repo) as later:
            assert later.journal() == ()
            assert later.git.list_commits(Revisions(commits[:1]), count_max=9) == commits[:1]
        for commit in commits:
            git.stdin.write(f"{commit}\n".encode())
            git.stdin.flush()
            assert git.stdout.readline().split()[:2] == [commit.encode(), b"commit"]
        git.stdin.close()


def test_a_view_opened_before_a_flush_still_reads_the_journal(
    node: Node, caller: Principal, repo: Repo
) -> None:
    commits = [put_commit(node, caller, repo, message=b"%d\n" % number) for number in range(3)]
    with RepoView(node, repo) as view:
        assert view.read(commits[0])[0] == "commit"
        flush(node, repo.public_id)
        join(node, repo)
        assert [view.read(commit)[0] for commit in commits] == ["commit"] * 3
        assert view.git.list_commits(Revisions(commits[2:]), count_max=9) == commits[2:]
