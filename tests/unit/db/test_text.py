"""Texts on their way into SQL."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.db.text import after_prefix, fold_case, is_storable, substring_pattern

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(("text", "storable"), [("", True), ("é\n", True), ("\0", False), ("a\udfff", False)])
def test_nul_and_lone_surrogates_cannot_be_stored(text: str, storable: bool) -> None:
    assert is_storable(text) == storable


def test_every_wildcard_of_like_is_escaped() -> None:
    assert substring_pattern("a%b_c\\d") == "%a\\%b\\_c\\\\d%"


def test_folding_does_more_than_lower_case() -> None:
    assert fold_case("Straße") == fold_case("STRASSE")


CHARACTERS = st.characters(exclude_categories=["Cs"]) | st.sampled_from("\ud7ff\ue000\U0010ffff")


@given(
    st.text(CHARACTERS, min_size=1, max_size=4),
    st.text(CHARACTERS, max_size=8),
    st.text(CHARACTERS, max_size=8),
)
def test_exactly_the_names_with_a_prefix_are_between_it_and_the_text_after_it(
    prefix: str, rest: str, other: str
) -> None:
    start, end = prefix.encode("utf-8"), after_prefix(prefix).encode("utf-8")
    for name in (prefix + rest, other):
        assert (start <= name.encode("utf-8") < end) == name.startswith(prefix)


def test_the_longest_name_of_the_last_character_is_before_the_end() -> None:
    last = "\U0010ffff"
    assert (last * 63).encode("utf-8") < after_prefix(last).encode("utf-8")
