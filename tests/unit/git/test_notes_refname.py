"""Names of notes refs as callers write them."""

import pytest

from packhouse.errors import Invalid
from packhouse.git.notes_refname import notes_prefix, notes_refname

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("text", ["reviews", "notes/reviews", "refs/notes/reviews"])
def test_a_ref_may_be_named_in_three_ways(text: str) -> None:
    assert notes_refname(text) == b"refs/notes/reviews"
    assert notes_prefix(text) == b"refs/notes/reviews"


def test_an_absent_name_and_an_absent_prefix_have_their_defaults() -> None:
    assert notes_refname(None) == b"refs/notes/commits"
    for text in (None, "refs/notes", "refs/notes/", "notes/"):
        assert notes_prefix(text) == b"refs/notes/"


@pytest.mark.parametrize("text", ["refs/heads/main", "a b", "a..b", "refs/notes", "\ud800", "x.lock"])
def test_a_name_that_no_notes_ref_can_have_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        notes_refname(text)


@pytest.mark.parametrize("text", ["refs/heads/", "a b", "a..b", "\ud800"])
def test_a_prefix_that_no_notes_ref_can_have_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        notes_prefix(text)


def test_a_prefix_may_end_inside_a_name() -> None:
    assert notes_prefix("rev") == b"refs/notes/rev"
    assert notes_prefix("notes/team/") == b"refs/notes/team/"
