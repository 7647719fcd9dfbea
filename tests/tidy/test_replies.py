"""Handlers of the API answer with the structs that the OpenAPI document describes, and make no JSON themselves."""

import ast

import pytest

from tests.tidy.sources import ROOT, parse, place, python_files
from tests.tidy.test_layers import names_in

pytestmark = pytest.mark.quick

WEB = ROOT / "packhouse" / "web"
ENCODERS = {"json_response", "encode", "Encoder", "dumps"}
"""Functions that make JSON of any value. `encode_reply` and `iter_pieces` take structs only."""


def test_no_handler_makes_json_of_anything_but_its_reply() -> None:
    found = {
        path.name
        for path in python_files("packhouse")
        if path.is_relative_to(WEB / "api")
        for node in ast.walk(parse(path))
        if (isinstance(node, ast.Name) and node.id in ENCODERS)
        or (isinstance(node, ast.Attribute) and _is_json(node))
    }
    assert found == {"document.py"}, "a handler returns a struct, and the pipeline makes its JSON"


def _is_json(node: ast.Attribute) -> bool:
    """Tell whether this is `json.encode` or similar, with or without the package in front."""
    owner = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
    return node.attr in ENCODERS and owner == "json"


def test_only_failures_are_made_of_dicts() -> None:
    found = [
        place(path, line)
        for path in python_files("packhouse")
        if path not in (WEB / "errors.py", WEB / "edge" / "responses.py")
        for name, line in names_in(parse(path))
        if name == "json_response"
    ]
    assert not found, found
