"""Facts about a caller's regular expression that are known before git sees it."""

import pytest

from packhouse import limits
from packhouse.formats.regex_cost import has_back_reference, regex_cpu_s, repeats_too_often

pytestmark = pytest.mark.quick

MAX = limits.regex_repetitions_max


@pytest.mark.parametrize("expression", [r"(a)\1", r"\(a*\)\1b", r"(x)\\\1", r"[]\]x(a)\9", r"[^]](a)\2"])
def test_back_references_are_found(expression: str) -> None:
    assert has_back_reference(expression)


@pytest.mark.parametrize("expression", ["a", r"\\1", r"[\1]", r"[]\1]", r"[^]\1]", r"a\.1", "1", r"\0"])
def test_text_that_only_looks_like_a_back_reference_is_ignored(expression: str) -> None:
    assert not has_back_reference(expression)


@pytest.mark.parametrize(
    "expression",
    [
        f"a{{{MAX + 1}}}",
        f"a{{1,{MAX + 1}}}",
        rf"a\{{{MAX + 1}\}}",
        f"((a{{{MAX}}}){{2}}){{1}}",
        f"a{{{MAX}}}b{{2}}",
        "a{999999999,}",
    ],
)
def test_counts_whose_product_is_too_large_are_found(expression: str) -> None:
    assert repeats_too_often(expression)


@pytest.mark.parametrize(
    "expression",
    [f"a{{{MAX}}}", "a{0}b{0}", "a*+?", "{", "a{x}", "a{,5}", "a{1}" * 1000],
)
def test_small_counts_are_accepted(expression: str) -> None:
    assert not repeats_too_often(expression)


def test_an_expression_that_may_take_for_ever_gets_less_time() -> None:
    assert (
        regex_cpu_s(r"(a)\1") == limits.back_reference_cpu_max_s < regex_cpu_s("aa") == limits.regex_cpu_max_s
    )
