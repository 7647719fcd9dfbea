"""New objects over a repository: which readers see them when, and what remains after a discarded write."""

import os
import random
import subprocess

import pytest

from packhouse import limits
from packhouse.auth.principal import Principal
from packhouse.db.repos import Repo
from packhouse.errors import Invalid, NotFound
from packhouse.git.commands.environment import GitPlace
from packhouse.git.commands.rev_list import Revisions
from packhouse.git.objects.codec import MODE_FILE, encode_tree_entry
from packhouse.git.oid import Oid, hash_object
from packhouse.git.packs.idx import PackIdx
from packhouse.node.node import Node
from packhouse.repository.view import RepoView
from packhouse.repository.write import Write
from tests.support.builders.node_writes import pack_states, put_blob, put_commit, write_commit_object
from tests.support.builders.packs import write_pack

pytestmark = pytest.mark.quick

ONE, TWO = b"one\n", b"two\n"


def oid_of(content: bytes) -> Oid:
    return hash_object("blob", content)


def ask_git(place: GitPlace, *args: str, stdin: str = "") -> list[str]:
    """Return the words of git's answer at a place."""
    environment = {**os.environ, **place.variables}
    command = ["git", f"--git-dir={place.git_dir}", *args]
    done = subprocess.run(
        command,
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        pass_fds=place.descriptors,
        check=True,
    )
    return done.stdout.split()


def in_scratch(node: Node) -> set[str]:
    """Return the names of the files that the node's process keeps for its writes."""
    return {
        path.name for path in node.store.scratch_dir().iterdir() if path.is_file() and path.name != "lock"
    }


# Writes without objects


def test_a_write_that_adds_nothing_makes_nothing(node: Node, repo: Repo) -> None:
    with RepoView(node, repo) as view, Write(view) as write:
        assert write.is_empty
        assert not write.has_folder
        assert write.publish(may_journal=False).packs == []
        assert write.published_bytes == 0
    assert pack_states(node, repo) == {}
    assert in_scratch(node) == set()


def test_a_repository_with_a_pack_is_not_empty_and_neither_is_a_write_with_an_object(
    node: Node, repo: Repo
) -> None:
    with RepoView(node, repo) as view, Write(view) as write:
        write.writer.add_object("blob", ONE)
        assert not write.is_empty
    put_blob(node, repo, ONE)
    with RepoView(node, repo) as view, Write(view) as write:
        assert not write.is_empty


# Readers of new objects


def test_only_the_write_reads_new_objects_with_those_of_the_repository(node: Node, repo: Repo) -> None:
    put_blob(node, repo, ONE)
    with RepoView(node, repo) as view, Write(view) as write:
        write.writer.add_object("blob", TWO)
        reader = write.reader()
        assert (reader.read(oid_of(ONE)), reader.read(oid_of(TWO))) == (("blob", ONE), ("blob", TWO))
        assert view.kind_and_size(oid_of(TWO)) is None
        with RepoView(node, repo) as other:
            assert other.kind_and_size(oid_of(TWO)) is None


def test_objects_that_came_after_a_reader_are_seen_by_the_next_one(node: Node, repo: Repo) -> None:
    with RepoView(node, repo) as view, Write(view) as write:
        write.writer.add_object("blob", ONE)
        write.reader()
        write.writer.add_object("blob", TWO)
        assert write.reader().read(oid_of(TWO)) == ("blob", TWO)


def test_git_sees_new_objects_packed_and_loose(node: Node, repo: Repo) -> None:
    put_blob(node, repo, ONE)
    with RepoView(node, repo) as view, Write(view) as write:
        write.writer.add_object("blob", TWO)
        loose = write.add_loose("blob", b"loose\n")
        fresh = write.fresh_reader()
        assert fresh.read(oid_of(ONE)) == ("blob", ONE)
        assert fresh.read(oid_of(TWO)) == ("blob", TWO)
        assert fresh.read(loose) == ("blob", b"loose\n")
        assert list(write.iter_loose()) == [("blob", b"loose\n")]


def test_loose_objects_are_never_published(node: Node, repo: Repo) -> None:
    with RepoView(node, repo) as view, Write(view) as write:
        write.add_loose("blob", b"loose\n")
        assert write.publish(may_journal=False).packs == []


def test_refs_for_git_alone_are_names_of_commits(node: Node, repo: Repo) -> None:
    with RepoView(node, repo) as view, Write(view) as write:
        commit = write_commit_object(write)
        write.write_refs([commit.encode() + b" refs/heads/ours"])
        assert ask_git(write.place(), "rev-parse", "--verify", "refs/heads/ours") == [commit]
        assert write.is_special_name("HEAD")
        assert write.is_special_name("objects/info")
        assert not write.is_special_name("ours")


# Publishing and keeping


def test_published_packs_are_incoming_until_they_are_kept(node: Node, repo: Repo) -> None:
    with RepoView(node, repo) as view, Write(view) as write:
        write.writer.add_object("blob", ONE)
        (pack,) = write.publish(may_journal=False).packs
        assert pack.objects == 1
        assert write.published_bytes == pack.size_bytes
        assert pack_states(node, repo) == {pack.name: "incoming"}
        write.keep_published()
    assert pack_states(node, repo) == {pack.name: "incoming"}, "to be listed is the business of a transaction"


def test_a_later_publish_returns_the_packs_of_earlier_ones_too(node: Node, repo: Repo) -> None:
    """An attempt that lost its race has published. The next attempt adds a commit on top."""
    with RepoView(node, repo) as view, Write(view) as write:
        write.writer.add_object("blob", ONE)
        first = write.publish(may_journal=False).packs
        assert write.publish(may_journal=False).packs == first
        write.writer.add_object("blob", TWO)
        second = write.publish(may_journal=False).packs
        assert second[0] == first[0]
        assert len(second) == 2
        assert write.published_bytes == sum(pack.size_bytes for pack in second)


def test_packs_that_were_not_kept_are_removed_with_the_write(node: Node, repo: Repo) -> None:
    with RepoView(node, repo) as view, Write(view) as write:
        write.writer.add_object("blob", ONE)
        write.publish(may_journal=False)
        write.writer.add_object("blob", random.Random(1).randbytes(limits.pack_buffer_max_bytes + 1))
        assert in_scratch(node)
    assert pack_states(node, repo) == {}
    assert in_scratch(node) == set()
    assert node.store.list_names(repo.public_id) == []
    write.discard()


def test_forgotten_objects_are_not_published(node: Node, repo: Repo) -> None:
    with RepoView(node, repo) as view, Write(view) as write:
        write.writer.add_object("blob", ONE)
        write.forget_writer()
        write.writer.add_object("blob", TWO)
        (pack,) = write.publish(may_journal=False).packs
        assert pack.objects == 1
        with pytest.raises(NotFound):
            write.reader().read(oid_of(ONE))


def test_a_write_for_reading_publishes_nothing(node: Node, repo: Repo) -> None:
    with RepoView(node, repo) as view, Write(view, is_kept=False) as write:
        write.writer.add_object("blob", ONE)
        with pytest.raises(AssertionError, match="made for reading"):
            write.publish(may_journal=False)


def test_a_stored_pack_is_taken_in_under_a_name_of_its_own(node: Node, repo: Repo) -> None:
    """A fork shares the bytes of its source. The deletion of one must not delete the other's."""
    name = put_blob(node, repo, ONE)
    with RepoView(node, repo) as view, Write(view) as write:
        (stored,) = view.listed().packs
        write.link_stored(repo.public_id, stored)
        (taken,) = write.publish(may_journal=False).packs
        assert taken.name != name
        assert (taken.size_bytes, taken.objects) == (stored.size_bytes, stored.objects)
        assert set(node.store.list_names(repo.public_id)) == {name, taken.name}


def test_a_stored_pack_deleted_meanwhile_is_taken_from_the_folder_that_shows_it(
    node: Node, repo: Repo
) -> None:
    name = put_blob(node, repo, ONE)
    with RepoView(node, repo) as view, Write(view) as write:
        (stored,) = view.listed().packs
        write.link_stored(repo.public_id, stored)
        node.store.delete(repo.public_id, [name])
        (taken,) = write.publish(may_journal=False).packs
        assert node.store.list_names(repo.public_id) == [taken.name]


# Git's checks of new objects


def test_a_hostile_gitmodules_is_refused_with_gits_reason(node: Node, repo: Repo) -> None:
    with RepoView(node, repo) as view, Write(view) as write:
        blob = write.writer.add_object("blob", b'[submodule "x"]\n\tpath = x\n\turl = -u./payload\n')
        write.writer.add_object("tree", encode_tree_entry(MODE_FILE, b".gitmodules", blob))
        with pytest.raises(Invalid, match="git refuses an object") as refused:
            write.check_strict()
        assert "gitmodules" in str(refused.value.fields["reason"])


def test_sound_objects_pass_and_may_be_published_afterwards(node: Node, repo: Repo) -> None:
    with RepoView(node, repo) as view, Write(view) as write:
        blob = write.writer.add_object(
            "blob", b'[submodule "x"]\n\tpath = x\n\turl = https://example.com/x\n'
        )
        write.writer.add_object("tree", encode_tree_entry(MODE_FILE, b".gitmodules", blob))
        write.check_strict()
        (pack,) = write.publish(may_journal=False).packs
    assert pack.objects == 2


def test_a_small_pack_that_git_has_seen_goes_into_the_journal(node: Node, repo: Repo) -> None:
    with RepoView(node, repo) as view, Write(view) as write:
        blob = write.writer.add_object("blob", ONE)
        assert write.git.place().object_dir is not None
        published = write.publish()
        (held,) = published.small_packs
    assert (published.packs, held.read(blob)) == ([], ("blob", ONE))


def test_a_small_pack_whose_objects_are_large_is_stored(node: Node, repo: Repo) -> None:
    with RepoView(node, repo) as view, Write(view) as write:
        write.writer.add_object("blob", bytes(node.limits.journal_pack_inflated_max_bytes + 1))
        published = write.publish()
    assert (len(published.packs), published.small_packs) == (1, [])


def test_a_pack_of_git_goes_into_the_journal_as_it_is(node: Node, repo: Repo) -> None:
    with RepoView(node, repo) as view, Write(view) as write:
        write.make_folder()
        (write._objects().object_dir / "info").mkdir()
        write.add_loose("blob", ONE)
        kind, content = next(write.iter_loose())
        made = write_pack(write._objects().pack_dir, [(kind, content)])
        (held,) = write.publish().small_packs
    assert (held.data[:4], len(held), held.read(hash_object("blob", ONE))) == (b"PACK", 1, ("blob", ONE))
    assert held.pack.name != made.stem.removeprefix("pack-"), "its name is random"


def test_git_sees_the_journal_beneath_new_objects(node: Node, caller: Principal, repo: Repo) -> None:
    commit = put_commit(node, caller, repo)
    with RepoView(node, repo) as view, Write(view) as write:
        new = write_commit_object(write, commit, message=b"new\n")
        assert set(write.git.list_commits(Revisions([new]), count_max=9)) == {commit, new}
        assert write.reader().read(commit)[0] == write.reader().read(new)[0] == "commit"
        assert write.fresh_reader().read(commit)[0] == "commit"
    assert node.store.list_names(repo.public_id) == []


def test_a_pack_of_a_shallow_clone_is_checked_without_the_missing_parents(node: Node, repo: Repo) -> None:
    missing = Oid("1" * 40)
    with RepoView(node, repo) as view, Write(view) as write:
        commit = write_commit_object(write, missing)
        assert write.git_with_roots([]) is write.git
        assert ask_git(write.git_with_roots([commit]).place(), "rev-list", commit) == [commit]
        with pytest.raises(subprocess.CalledProcessError):
            ask_git(write.place(), "rev-list", commit)


def test_the_bytes_and_refs_that_git_has_written_are_counted(node: Node, repo: Repo) -> None:
    with RepoView(node, repo) as view, Write(view) as write:
        write.make_folder()
        assert write.folder_bytes() == 0
        write.add_loose("blob", ONE)
        ask_git(write.place(), "pack-objects", "-q", write.pack_prefix(), stdin=f"{oid_of(ONE)}\n")
        assert write.folder_bytes() > 0
        with PackIdx(write.new_idx()) as idx:
            assert oid_of(ONE) in idx
            assert len(idx) == 1
        (pack,) = write.publish(may_journal=False).packs
        assert pack.objects == 1
