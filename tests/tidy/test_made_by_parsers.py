"""Values that only a parser, or a few places that may skip it, may make."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tidy.sources import ROOT, parse, place, python_files

pytestmark = pytest.mark.quick


MAY_TRUST = {
    # Rows of SQL. A name that a caller gives is looked up there.
    "RepoKey": ("db/",),
    "RepoId": ("ids.py", "db/"),
    # Hashes made here, digits of stored objects, rows of SQL and git's output.
    "Oid": ("git/", "db/", "node/", "repository/"),
    # Rows of SQL, and the folders of such a name.
    "trusted_refname": ("git/refname.py", "db/refs.py", "db/ref_transaction.py"),
}
"""The modules, or the folders of modules, that may make a value without its parser."""

PARSED = ("TreePath", "RefName", "Oid", "RepoKey", "RepoId")


def _modules() -> Iterator[tuple[str, Path, ast.Module]]:
    for path in python_files("packhouse"):
        yield path.relative_to(ROOT / "packhouse").as_posix(), path, parse(path)


def _name(node: ast.AST) -> str:
    """Return the last part of a plain or dotted name."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _calls(*names: str) -> Iterator[tuple[str, str, str]]:
    """Yield (module, name, `path:line`) of each place that calls one of these names, or passes it on."""
    for module, path, tree in _modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                for called in (node.func, *node.args, *(keyword.value for keyword in node.keywords)):
                    if _name(called) in names:
                        yield module, _name(called), place(path, node.lineno)


def test_trees_are_built_only_by_editors_that_check_their_entries() -> None:
    editors = {"git/objects/codec.py", "git/objects/tree_edit.py", "git/objects/notes_tree.py"}
    found = [
        where for module, _, where in _calls("encode_tree", "encode_tree_entry") if module not in editors
    ]
    assert not found, found


def test_only_the_tree_maker_makes_editors_of_trees() -> None:
    users = {module for module, _, _ in _calls("TreeEditor")}
    assert users == {"repository/tree_maker.py"}


def test_ids_and_refnames_are_made_without_their_parser_only_where_they_were_parsed_before() -> None:
    found = [where for module, name, where in _calls(*MAY_TRUST) if not module.startswith(MAY_TRUST[name])]
    assert not found, found


def test_every_module_that_may_skip_a_parser_exists_and_does_so() -> None:
    used = {(module, name) for module, name, _ in _calls(*MAY_TRUST)}
    for name, places in MAY_TRUST.items():
        for allowed in places:
            assert any(module.startswith(allowed) and used_name == name for module, used_name in used), (
                allowed
            )


def test_no_code_goes_round_the_parsers() -> None:
    """`cast`, `__new__` and an alias would make values that nothing has parsed."""
    own = {"git/refname.py": "bytes.__new__(RefName"}
    found = [
        place(path, node.lineno)
        for module, path, tree in _modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and _name(node.func) in {"cast", "__new__"}
        and node.args
        and any(name in ast.unparse(node.args[0]) for name in PARSED)
        and not ast.unparse(node).startswith(own.get(module, "-"))
    ]
    aliases = [
        place(path, node.lineno)
        for _, path, tree in _modules()
        for node in ast.walk(tree)
        if (
            isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr)
            and _name(node.value or node) in PARSED
        )
        or (
            isinstance(node, ast.ImportFrom)
            and any(alias.asname and alias.name in PARSED for alias in node.names)
        )
    ]
    assert not found + aliases, found + aliases
