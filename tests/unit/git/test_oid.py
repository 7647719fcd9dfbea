"""Object ids: what is one, how it stands on the wire, and that it is the id that git gives."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packhouse.errors import Invalid
from packhouse.git.oid import (
    EMPTY_TREE_OID,
    ZERO_OID,
    NotAnObjectId,
    Oid,
    hash_object,
    is_oid,
    oid_from_wire,
    oid_to_wire,
    parse_oid,
)
from tests.support.clients.git import Git

pytestmark = pytest.mark.quick

OIDS = st.text("0123456789abcdef", min_size=40, max_size=40)


@given(OIDS)
def test_an_id_may_be_written_in_either_case_and_is_kept_in_lower_case(text: str) -> None:
    assert parse_oid(text.upper()) == parse_oid(text) == text
    assert is_oid(text)


@given(st.text(max_size=50))
def test_only_forty_digits_are_an_id(text: str) -> None:
    is_right = len(text) == 40 and set(text) <= set("0123456789abcdef")
    assert is_oid(text) == is_right


@pytest.mark.parametrize(
    "text", ["", "a" * 39, "a" * 41, "g" * 40, "a" * 40 + "\n", " " + "a" * 39, "٠" * 40]
)
def test_other_text_is_refused_and_quoted_only_in_part(text: str) -> None:
    with pytest.raises(NotAnObjectId) as caught:
        parse_oid(text * 10)
    assert len(str(caught.value.value)) <= 80
    with pytest.raises(Invalid):
        parse_oid(text)


def test_text_whose_lower_case_is_longer_is_refused() -> None:
    with pytest.raises(Invalid):
        parse_oid("\u0130" + "a" * 39)


def test_zeros_mean_that_a_ref_does_not_exist() -> None:
    assert oid_from_wire("0" * 40) is None
    assert oid_to_wire(None) == ZERO_OID == "0" * 40


@given(OIDS)
def test_the_form_on_the_wire_round_trips(text: str) -> None:
    assert oid_to_wire(oid_from_wire(text)) == text


@settings(max_examples=15)
@given(st.binary(max_size=300))
def test_an_object_has_the_id_that_git_gives_it(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    git = Git(tmp_path_factory.getbasetemp() / "oid-home")
    assert hash_object("blob", content) == git.run("hash-object", "--stdin", stdin=content)


def test_objects_of_two_kinds_with_one_content_have_different_ids() -> None:
    assert hash_object("tree", b"") == EMPTY_TREE_OID
    assert len({hash_object(kind, b"") for kind in ("blob", "tree", "commit", "tag")}) == 4
    assert hash_object("blob", b"") == Oid("e69de29bb2d1d6434b8b29ae775ad8c2e48c5391")
