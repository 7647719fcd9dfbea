"""What of a caller's regular expression is known before git sees it."""

import pytest

from packhouse.git.commands.regex_cost import has_back_reference

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("expression", [r"(a)\1", r"\(a*\)\1b", r"(x)\\\1", r"[]\]x(a)\9", r"[^]](a)\2"])
def test_back_references_are_seen(expression: str) -> None:
    assert has_back_reference(expression)


@pytest.mark.parametrize("expression", ["a", r"\\1", r"[\1]", r"[]\1]", r"[^]\1]", r"a\.1", "1", r"\0"])
def test_what_only_looks_like_a_back_reference_is_none(expression: str) -> None:
    assert not has_back_reference(expression)
