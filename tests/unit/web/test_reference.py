"""The reference page lists exactly the served routes."""

import re
from pathlib import Path

import pytest

from packhouse.web.app import ROUTES
from packhouse.web.routing.dialects import REQUEST_ALIASES
from packhouse.web.sentences import SENTENCES
from tests.support.errors import code_of, error_classes

pytestmark = pytest.mark.quick

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/reference/http-api.md").read_text("utf-8")


def test_every_route_has_its_row_and_every_row_its_route() -> None:
    table = PAGE.partition("## Operations")[2].partition("## Errors")[0]
    described = set(re.findall(r"`(GET|POST|PUT|PATCH|DELETE) (/\S+)`", table))
    served = {(r.method, path) for r in ROUTES for path in (r.paths.released, r.paths.preferred) if path}
    assert described == served


def test_aliases_belong_to_routes() -> None:
    names = {route.name for route in ROUTES}
    planned = {"merge", "write_note", "delete_note"}
    assert set(REQUEST_ALIASES) - planned <= names


def test_no_alias_is_the_standard_name_of_the_same_operation() -> None:
    for aliases in REQUEST_ALIASES.values():
        for standard, old_names in aliases.items():
            assert standard not in old_names


def test_every_sentence_is_for_an_error_that_is_raised() -> None:
    text = "\n".join(path.read_text("utf-8") for path in (ROOT / "packhouse").rglob("*.py"))
    names = {code_of(kind): kind.__name__ for kind in error_classes()}
    # Besides its definition, the class is constructed somewhere, or passed to a function that constructs it.
    assert [code for code in SENTENCES if len(re.findall(rf"\b{names[code]}\(", text)) < 2] == []
