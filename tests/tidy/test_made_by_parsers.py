"""What only its parser, or one place that others rely on, may make."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tidy.sources import ROOT, parse, place, python_files

pytestmark = pytest.mark.quick


def _calls(*names: str) -> Iterator[tuple[str, str, str]]:
    """Yield (module, name, `path:line`) wherever the package names one of these functions."""
    for path in python_files("packhouse"):
        for node in ast.walk(parse(path)):
            name = (
                node.id
                if isinstance(node, ast.Name)
                else node.attr
                if isinstance(node, ast.Attribute)
                else ""
            )
            if name in names:
                yield str(path.relative_to(ROOT / "packhouse")), name, place(path, getattr(node, "lineno", 0))


def test_trees_are_built_only_by_the_editors_that_check_what_goes_in() -> None:
    editors = {"git/objects.py", "git/tree_edit.py", "git/notes_tree.py"}
    found = [
        where for module, _, where in _calls("encode_tree", "encode_tree_entry") if module not in editors
    ]
    assert not found, found


def test_no_path_is_called_a_tree_path_without_being_parsed() -> None:
    """`cast` and `bytes.__new__` would go round the parser."""
    found = [
        place(path, node.lineno)
        for path in python_files("packhouse")
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name | ast.Attribute)
        and ast.unparse(node.func).rpartition(".")[2] in {"cast", "__new__"}
        and node.args
        and "TreePath" in ast.unparse(node.args[0])
    ]
    assert not found, found


def test_these_rules_find_what_they_look_for() -> None:
    modules = {module for module, _, _ in _calls("encode_tree")}
    assert Path("git/tree_edit.py").as_posix() in modules
