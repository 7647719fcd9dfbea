"""Texts on their way into SQL."""

import pytest

from packhouse.db.text import fold_case, is_storable, substring_pattern

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(("text", "storable"), [("", True), ("é\n", True), ("\0", False), ("a\udfff", False)])
def test_nul_and_lone_surrogates_cannot_be_stored(text: str, storable: bool) -> None:
    assert is_storable(text) == storable


def test_every_wildcard_of_like_is_escaped() -> None:
    assert substring_pattern("a%b_c\\d") == "%a\\%b\\_c\\\\d%"


def test_folding_does_more_than_lower_case() -> None:
    assert fold_case("Straße") == fold_case("STRASSE")
