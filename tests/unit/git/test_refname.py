"""Names of refs as callers write them, and which of them can be new."""

import pickle

import pytest

from packhouse.errors import Invalid
from packhouse.git.refname import (
    HEAD,
    NewNameRefused,
    RefName,
    branch_refname,
    check_new_name,
    exact_branch_refname,
    find_refname,
    new_name_fault,
    parse_refname,
    tag_refname,
    trusted_refname,
)

pytestmark = pytest.mark.quick

TAKEN = [
    "HEAD",
    "-",
    "-x",
    "--force",
    "-x/y",
    "0" * 40,
    "F" * 40,
    "aB" * 20,
    "0" * 64,
    "eF" * 32,
    "refs/heads/x",
    "refs/x",
]
FREE = [
    "head",
    "HEAD/x",
    "x/HEAD",
    "HEAD~",
    "x-",
    "x/-",
    "0" * 39,
    "0" * 41,
    "0" * 63,
    "0" * 65,
    "g" * 40,
    "00",
]


@pytest.mark.parametrize("folder", ["heads", "tags"])
def test_names_that_mean_something_else_are_refused_for_new_branches_and_tags(folder: str) -> None:
    for name in TAKEN:
        refname = RefName(f"refs/{folder}/{name}".encode())
        assert new_name_fault(refname) is not None
        with pytest.raises(NewNameRefused):
            check_new_name(refname)
    for name in FREE:
        assert new_name_fault(f"refs/{folder}/{name}".encode()) is None
    for name in FREE:
        if name != "HEAD~":  # no refname at all
            assert check_new_name(RefName(f"refs/{folder}/{name}".encode()))


HOSTILE = [
    *(b"", b"main", b"HEAD", b"@", b"refs/heads/../x", b"refs/heads/.x", b"refs/heads/x.lock", b"refs//x"),
    *(
        b"refs/heads/x\n0000 refs/heads/y",
        b"refs/heads/x y",
        b"refs/heads/x\0",
        b"refs/heads/\xff",
        b"refs/heads/",
    ),
    *(
        b"refs/heads/x~1",
        b"refs/heads/x^",
        b"refs/heads/x:y",
        b"refs/heads/x@{1}",
        b"refs/heads/" + b"x" * 5000,
    ),
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_refname_cannot_be_made_from_a_name_that_git_refuses(name: bytes) -> None:
    with pytest.raises(Invalid):
        RefName(name)
    assert find_refname(name) is None


def test_a_refname_is_the_bytes_it_was_parsed_from() -> None:
    for name in (b"refs/heads/main", "refs/tags/größe".encode(), b"refs/heads/refs/x"):
        parsed = RefName(name)
        assert parsed == trusted_refname(name) == name
        assert hash(parsed) == hash(name)
        assert RefName(parsed) is parsed
        assert type(pickle.loads(pickle.dumps(parsed))) is RefName
    assert type(find_refname(b"refs/heads/main")) is RefName


def test_notes_refs_may_have_any_name() -> None:
    assert all(new_name_fault(RefName(f"refs/notes/{name}".encode())) is None for name in TAKEN)


def test_a_name_that_no_new_ref_can_have_is_still_parsed() -> None:
    plain = [name for name in TAKEN if not name.startswith("refs/")]
    for name in plain[1:]:
        assert branch_refname(name) == branch_refname(f"refs/heads/{name}") == f"refs/heads/{name}".encode()
        assert parse_refname(name) == branch_refname(name)
    for name in plain:
        assert exact_branch_refname(name) == f"refs/heads/{name}".encode()
        assert tag_refname(name) == f"refs/tags/{name}".encode()


def test_plain_head_is_not_a_branch_where_full_names_are_accepted() -> None:
    with pytest.raises(Invalid):
        branch_refname("HEAD")
    assert branch_refname("refs/heads/HEAD") == b"refs/heads/HEAD"
    assert parse_refname("HEAD") == HEAD
    assert parse_refname("refs/heads/HEAD") == b"refs/heads/HEAD"


@pytest.mark.parametrize("name", ["refs/heads/main", "refs/tags/v1", "refs/", "a..b", "", "\ud800"])
def test_an_exact_name_has_no_prefix(name: str) -> None:
    with pytest.raises(Invalid):
        exact_branch_refname(name)
    with pytest.raises(Invalid):
        tag_refname(name)
