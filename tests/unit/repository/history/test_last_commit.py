"""The commit that last touched a path, compared with a full walk of history that keeps nothing."""

import random
from collections.abc import Iterator

import pytest

from packhouse.auth.principal import Principal
from packhouse.db.ref_transaction import RefUpdate
from packhouse.db.repos import Repo
from packhouse.git.objects.codec import encode_commit
from packhouse.git.oid import Oid
from packhouse.git.refname import PERSISTENT
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.repository.history.file_maps import find_file_map, read_file_map
from packhouse.repository.history.last_commit import read_last_commit
from packhouse.repository.view import RepoView, open_view
from packhouse.repository.write import Write
from tests.support.builders.node_writes import ADA, MAIN, move_refs
from tests.support.builders.seeds import seed_of
from tests.unit.repository.trees import add_tree

pytestmark = pytest.mark.quick


class Past:
    """A history on main, with the files and parents of each commit."""

    def __init__(self, node: Node, caller: Principal, repo: Repo) -> None:
        self.node, self.caller, self.repo = node, caller, repo
        self.parents: dict[Oid, tuple[Oid, ...]] = {}
        self.files: dict[Oid, dict[str, bytes]] = {}
        self.head: Oid | None = None

    def commit(self, files: dict[str, bytes], *parents: Oid) -> Oid:
        """Add a commit and put main on it; without parents it follows the last one."""
        parents = parents or (() if self.head is None else (self.head,))
        with open_view(self.node, self.repo) as view, Write(view) as write:
            content = encode_commit(
                tree=add_tree(write, files),
                parents=parents,
                author=ADA,
                committer=ADA,
                message=b"%d\n" % len(self.files),
            )
            new = write.writer.add_object("commit", content)
            update = RefUpdate(PERSISTENT, MAIN, None, new, any_old=True)
            move_refs(self.node, self.caller, self.repo, update, write=write)
        self.parents[new], self.files[new], self.head = parents, dict(files), new
        return new

    def touched(self, commit: Oid, path: str) -> Oid:
        """Return the answer of `git log -1`: follow the first parent with the same entry at the path."""
        content = self.files[commit][path]
        for parent in self.parents[commit]:
            if self.files[parent].get(path) == content:
                return self.touched(parent, path)
        return commit

    def open(self) -> RepoView:
        return RepoView(self.node, lookup_repo(self.node, self.caller, self.repo.name))


@pytest.fixture
def past(node: Node, caller: Principal, repo: Repo) -> Past:
    return Past(node, caller, repo)


def ask(past: Past, commit: Oid, path: str) -> Oid:
    with past.open() as view:
        return read_last_commit(view, commit, path.encode()).oid


def ask_map(past: Past, commit: Oid) -> dict[str, Oid]:
    with past.open() as view:
        found = read_file_map(view, commit)
        records = {path.decode(): found.find(path) for path in found.paths}
    return {path: record.last_commit for path, record in records.items() if record is not None}


def test_a_file_is_touched_by_the_commit_that_brought_its_content(past: Past) -> None:
    first = past.commit({"a": b"1", "b": b"1"})
    second = past.commit({"a": b"1", "b": b"2"})
    third = past.commit({"a": b"1", "b": b"2", "folder/c": b"3"})
    assert [ask(past, third, path) for path in ("a", "b", "folder/c")] == [first, second, third]


def test_a_content_that_comes_back_was_touched_by_the_commit_that_brought_it_back(past: Past) -> None:
    past.commit({"a": b"1"})
    past.commit({"a": b"2"})
    third = past.commit({"a": b"1"})
    assert ask(past, third, "a") == third


def test_a_file_that_was_deleted_and_made_again_begins_anew(past: Past) -> None:
    past.commit({"a": b"1", "b": b"1"})
    past.commit({"b": b"1"})
    third = past.commit({"a": b"1", "b": b"1"})
    assert ask(past, third, "a") == third


def test_a_merge_touches_only_content_that_no_parent_has(past: Past) -> None:
    base = past.commit({"a": b"1", "b": b"1", "c": b"1"})
    ours = past.commit({"a": b"2", "b": b"1", "c": b"1"}, base)
    theirs = past.commit({"a": b"1", "b": b"2", "c": b"1"}, base)
    merge = past.commit({"a": b"2", "b": b"2", "c": b"merged"}, ours, theirs)
    assert [ask(past, merge, path) for path in "abc"] == [ours, theirs, merge]


def test_the_answer_is_about_the_commit_that_was_asked_for(past: Past) -> None:
    first = past.commit({"a": b"1"})
    second = past.commit({"a": b"2"})
    assert ask(past, first, "a") == first
    assert ask(past, second, "a") == second


def test_the_map_of_a_commit_has_every_file(past: Past) -> None:
    first = past.commit({"a": b"1", "folder/b": b"1", "folder/deeper/c": b"1"})
    second = past.commit({"a": b"2", "folder/b": b"1", "folder/deeper/c": b"1"})
    assert ask_map(past, second) == {"a": second, "folder/b": first, "folder/deeper/c": first}


def test_a_map_is_derived_from_that_of_an_ancestor(past: Past) -> None:
    """Each new commit must not read all of history again."""
    base = past.commit({"a": b"1", "b": b"1"})
    ask_map(past, base)
    second = past.commit({"a": b"2", "b": b"1"})
    third = past.commit({"a": b"2", "c": b"1"})
    assert ask_map(past, third) == {"a": second, "c": third}
    with past.open() as view:
        assert find_file_map(view, third) is not None
        assert find_file_map(view, second) is None, "only what was asked for is kept"


def test_a_map_that_was_kept_on_the_disk_is_found_by_the_next_process(past: Past) -> None:
    first = past.commit({"a": b"1"})
    second = past.commit({"a": b"1", "b": b"1"})
    before = ask_map(past, second)
    past.node.last_commits.maps.clear()
    with past.open() as view:
        found = find_file_map(view, second)
    assert found is not None
    assert before == {"a": first, "b": second}
    assert ask_map(past, second) == before


def random_files(rng: random.Random, before: dict[str, bytes]) -> dict[str, bytes]:
    """Change, add and remove files at a few paths; earlier contents come back now and then."""
    files = dict(before)
    for _ in range(rng.randint(1, 3)):
        path = rng.choice(["a", "b", "dir/a", "dir/b", "dir/sub/a", "dir/sub/b"])
        if path in files and rng.random() < 0.3:
            del files[path]
        else:
            files[path] = rng.choice([b"1", b"2", b"3"])
    return files


def random_history(past: Past, rng: random.Random, commits: int) -> Iterator[Oid]:
    """Make a history with branches and merges, and yield each commit."""
    made = [past.commit({"a": b"1"})]
    for _ in range(commits):
        parent = rng.choice(made[-4:])
        parents = [parent]
        files = random_files(rng, past.files[parent])
        if rng.random() < 0.3:
            other = rng.choice(made[-6:])
            if other != parent:
                parents.append(other)
                files = {**files, **(past.files[other] if rng.random() < 0.5 else {})}
        made.append(past.commit(files, *parents))
        yield made[-1]


def test_any_history_gives_the_same_answers_as_a_full_walk(
    past: Past, request: pytest.FixtureRequest
) -> None:
    rng = random.Random(seed_of(request))
    for commit in random_history(past, rng, 25):
        expected = {path: past.touched(commit, path) for path in past.files[commit]}
        if rng.random() < 0.5:
            assert ask_map(past, commit) == expected
        else:
            assert {path: ask(past, commit, path) for path in expected} == expected
        if rng.random() < 0.2:
            past.node.last_commits.answers.clear()
        if rng.random() < 0.2:
            past.node.last_commits.maps.clear()
