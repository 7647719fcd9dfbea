"""Refnames are judged as git judges them."""

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from packhouse import limits
from packhouse.git.refname import RefName, is_refname, short_name
from tests.support.clients.git import Git

pytestmark = pytest.mark.quick

PLAIN = ("a", "main", "é", "refs", "refs/heads/", "HEAD", "lock", "-", "{", "]")
RULED = (
    "/",
    "//",
    ".",
    "..",
    "@",
    "@{",
    ".lock",
    "~",
    "^",
    ":",
    "?",
    "*",
    "[",
    "\\",
    " ",
    "\x7f",
    "\x1f",
    "\t",
)
PIECES = st.sampled_from((*PLAIN, *RULED))
NAMES = st.lists(PIECES, max_size=6).map("".join)


@pytest.fixture(scope="module")
def git(tmp_path_factory: pytest.TempPathFactory) -> Git:
    return Git(tmp_path_factory.mktemp("home"))


@settings(max_examples=200)
@given(NAMES)
@example("@")
@example("a/@")
@example("refs/heads/@{")
@example("refs/heads/a.lock/b")
@example("refs/heads/.a")
@example("refs/heads/a.")
@example("refs/heads/a./b")
@example("refs/heads/-a")
@example("main")
def test_the_names_that_git_accepts_are_accepted(git: Git, name: str) -> None:
    assume(not name.startswith("-"))  # an option to the program
    assert is_refname(name.encode()) == (git.try_run("check-ref-format", name).returncode == 0)


@settings(max_examples=100)
@given(st.integers(1, 255))
def test_every_single_byte_is_accepted_or_refused_as_by_git(git: Git, byte: int) -> None:
    name = b"refs/heads/a" + bytes([byte]) + b"b"
    accepted = git.try_run("check-ref-format", name.decode("utf-8", "surrogateescape")).returncode == 0
    # git takes bytes of any encoding; SQL keeps names as text.
    assert is_refname(name) == (accepted and byte < 0x80)


def test_a_name_has_a_bound() -> None:
    longest = b"refs/heads/" + b"a" * (limits.refname_max_bytes - 11)
    assert is_refname(longest)
    assert not is_refname(longest + b"a")


@pytest.mark.parametrize(
    ("refname", "short"),
    [
        (b"refs/heads/main", "main"),
        (b"refs/heads/refs/heads/x", "refs/heads/x"),
        (b"refs/tags/v1", "v1"),
        (b"refs/notes/commits", "refs/notes/commits"),
        ("refs/heads/größe".encode(), "größe"),
    ],
)
def test_a_short_name_leaves_out_the_folder_of_branches_or_tags_once(refname: bytes, short: str) -> None:
    assert short_name(RefName(refname)) == short
