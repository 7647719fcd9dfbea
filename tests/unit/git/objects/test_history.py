"""The short ways to read a commit say what the long one says; what is streamed from git is what git shows."""

import random
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from packhouse import limits
from packhouse.errors import Corrupt, LimitExceeded
from packhouse.git.commands.process import GitPlace
from packhouse.git.objects.codec import parse_commit
from packhouse.git.objects.history import (
    list_history,
    list_sized_files,
    parse_links,
    parse_summary,
    read_first_parent_changes,
)
from packhouse.git.oid import EMPTY_TREE_OID, Oid
from tests.support.clients.git import Git

pytestmark = pytest.mark.quick

DATES = st.one_of(
    st.integers(min_value=-(2**70), max_value=2**70).map(lambda number: b"%d" % number),
    st.binary(max_size=12).filter(lambda text: not set(text) & {0, 10}),
)
HEAD = f"tree {EMPTY_TREE_OID}\n".encode()


@given(DATES)
@example(b"253402300800")
@example(b"9223372036854775807")
@example(b"99999999999999999999")
@example(b"9" * 5000)
@example(b"00000000000000000005")
@example(b"-5")
@example(b"x> 7")
def test_the_short_ways_read_every_date_as_the_long_one_does(date: bytes) -> None:
    content = HEAD + b"author A <a@x> %s +0000\ncommitter C <c@x> %s +0000\n\nm\n" % (date, date)
    commit = parse_commit(content)
    assert parse_links(content).committed_at == commit.committer.when
    assert parse_summary(content).authored_at == commit.author.when


HEADERS = st.sampled_from(
    [
        b"encoding ISO-8859-1\n",
        b"gpgsig -----BEGIN\n author x\n committer y\n -----END\n",
        b"mergetag object 1\n tree 2\n",
        b"HG:extra author: no\n",
        b"",
    ]
)


@given(st.integers(0, 3), HEADERS, st.binary(max_size=30))
def test_the_short_ways_read_everything_as_the_long_one_does(
    parents: int, header: bytes, message: bytes
) -> None:
    lines = b"".join(b"parent %040x\n" % number for number in range(parents))
    content = (
        HEAD + lines + b"author \xc9a <a@x> 5 +0100\ncommitter C <c@x> 6 -0230\n" + header + b"\n" + message
    )
    commit, links, summary = parse_commit(content), parse_links(content), parse_summary(content)
    assert (links.tree, list(links.parents)) == (commit.tree, list(commit.parents))
    assert (summary.author, summary.message.rstrip("\n")) == (commit.author.name, commit.message.rstrip("\n"))


def test_a_commit_without_a_committer_has_no_date() -> None:
    assert parse_links(HEAD + b"author A <a@x> 5 +0000\n\ncommitter C <c@x> 9 +0000\n").committed_at == 0


@pytest.mark.parametrize("content", [b"", b"tree x\n", b"blob", b"parent " + b"a" * 40 + b"\n"])
def test_what_is_no_commit_is_corrupt(content: bytes) -> None:
    with pytest.raises(Corrupt):
        parse_links(content)


class Line:
    """A repository with a random history of two branches that merge, a submodule and a symlink among its files."""

    def __init__(self, git: Git, folder: Path) -> None:
        self.git, self.work = git, git.init(folder)
        self.place = GitPlace(folder / ".git")
        rng = random.Random(11)
        git.commit(self.work, {"a": b"0", "d/b": b"0", "d/e/c": b"0"})
        (self.work / "link").symlink_to("a")
        git.commit(self.work, {})
        git.run("branch", "side", cwd=self.work)
        for number in range(12):
            git.run("checkout", "-q", rng.choice(["main", "side"]), cwd=self.work)
            name = f"{rng.choice(['a', 'd/b', 'd/e/c', 'new'])}{rng.choice(['', str(number)])}"
            git.commit(self.work, {name: b"%d" % number}, f"change {number}")
        git.run("checkout", "-q", "main", cwd=self.work)
        git.run("merge", "-q", "-X", "ours", "-m", "merge", "side", cwd=self.work)
        git.run("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub", cwd=self.work)
        git.run("commit", "-q", "-m", "submodule", cwd=self.work)
        git.run("commit", "-q", "--allow-empty", "-m", "nothing", cwd=self.work)
        self.tip = Oid(git.run("rev-parse", "HEAD", cwd=self.work))

    def changes(self) -> dict[Oid, list[bytes]]:
        """Return what read_first_parent_changes says of all."""
        return read_first_parent_changes(
            self.place, list_history(self.place, [self.tip]), memory_max_bytes=limits.GIB, entries_max=1000
        )


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    return Line(Git(tmp_path_factory.mktemp("home")), tmp_path_factory.mktemp("work"))


def test_history_lists_children_before_their_parents_and_each_commit_once(line: Line) -> None:
    history = list_history(line.place, [line.tip])
    assert len(history) == int(line.git.run("rev-list", "--count", "HEAD", cwd=line.work))
    seen: set[Oid] = set()
    for commit, parents in history:
        assert commit not in seen
        assert not seen.intersection(parents)
        seen.add(commit)
        shown = line.git.run("rev-parse", f"{commit}^@", cwd=line.work).split()
        assert list(parents) == shown


def test_history_of_several_tips_is_what_any_of_them_reaches(line: Line) -> None:
    tips = [Oid(line.git.run("rev-parse", name, cwd=line.work)) for name in ("HEAD~4", "side")]
    listed = {commit for commit, _ in list_history(line.place, tips)}
    assert listed == set(line.git.run("rev-list", *tips, cwd=line.work).split())
    assert list_history(line.place, []) == []


def test_changes_are_those_against_the_first_parent(line: Line) -> None:
    changes = line.changes()
    for commit, parents in list_history(line.place, [line.tip]):
        shown = (
            line.git.run("diff", "--name-only", "--no-renames", parents[0], commit, cwd=line.work).split("\n")
            if parents
            else [""]
        )
        assert changes.get(commit, []) == [name.encode() for name in shown if name]


def test_commits_without_parents_or_changes_are_left_out(line: Line) -> None:
    changes = line.changes()
    root = line.git.run("rev-list", "--max-parents=0", "HEAD", cwd=line.work)
    assert root not in changes
    assert line.tip not in changes


def test_a_pass_that_needs_too_much_memory_is_refused(line: Line) -> None:
    history = list_history(line.place, [line.tip])
    with pytest.raises(LimitExceeded) as caught:
        read_first_parent_changes(line.place, history, memory_max_bytes=limits.KIB, entries_max=77)
    assert caught.value.fields["entries_max"] == 77


def test_files_come_with_mode_and_size(line: Line) -> None:
    tree = Oid(line.git.run("rev-parse", "HEAD^{tree}", cwd=line.work))
    listed = list_sized_files(line.place, tree, output_max_bytes=limits.MIB)
    names = line.git.run("ls-tree", "-r", "--name-only", "HEAD", cwd=line.work).split("\n")
    assert [path for _, _, path in listed] == [name.encode() for name in names]
    by_path = {path: (mode, size) for mode, size, path in listed}
    assert by_path[b"sub"] == (b"160000", b"-")
    assert by_path[b"link"] == (b"120000", b"1")
    assert by_path[b"a"][0] == b"100644"


def test_a_listing_has_a_bound(line: Line) -> None:
    tree = Oid(line.git.run("rev-parse", "HEAD^{tree}", cwd=line.work))
    with pytest.raises(LimitExceeded):
        list_sized_files(line.place, tree, output_max_bytes=100)


def test_a_file_that_is_missing_is_named(line: Line) -> None:
    lacking = "12" * 20
    rows = f"100644 blob {lacking}\tgone\n".encode()
    tree = Oid(line.git.run("mktree", "--missing", cwd=line.work, stdin=rows))
    with pytest.raises(Corrupt) as caught:
        list_sized_files(line.place, tree, output_max_bytes=limits.MIB)
    assert caught.value.fields["oid"] == lacking
