"""Packages with a face: what others use of them stands in their `__init__.py`, and nothing else does."""

import ast
from pathlib import Path
from typing import Final

import pytest

from tests.tidy.sources import ROOT, parse, place, python_files

pytestmark = pytest.mark.quick

DEEP: Final = frozenset({"packhouse.db.engines", "packhouse.git.commands", "packhouse.git.refs_files"})
"""Parts of a package that are imported by their own paths: they belong to a few users, or start programs."""


def dotted(path: Path) -> str:
    """Return the name under which a module is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def find_faces() -> dict[str, set[str]]:
    """Return the packages that have a face, each with the names in it."""
    faces = {}
    for path in python_files("packhouse"):
        if path.name == "__init__.py":
            names = {alias.name for _, node in imports(path) for alias in node.names}
            if names:
                faces[dotted(path)] = names
    return faces


def imports(path: Path) -> list[tuple[str, ast.ImportFrom]]:
    """Return the imports of names out of our modules, each with the module."""
    return [
        (node.module, node)
        for node in ast.walk(parse(path))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("packhouse.")
    ]


def house(module: str, houses: set[str]) -> str | None:
    """Return the innermost of the packages that holds the module."""
    return max((each for each in houses if f"{module}.".startswith(f"{each}.")), key=len, default=None)


def test_other_packages_import_from_the_face() -> None:
    faces = find_faces()
    houses = {*faces, *DEEP}
    modules = {dotted(path) for path in python_files("packhouse")}
    past = [
        f"{place(path, node.lineno)} imports from {module}"
        for path in python_files("packhouse")
        for module, node in imports(path)
        if (target := house(module, houses)) in faces
        and module != target
        and not f"{dotted(path)}.".startswith(f"{target}.")
        and not all(f"{module}.{alias.name}" in modules for alias in node.names)
    ]
    assert not past, past


def test_a_face_has_only_what_others_use() -> None:
    used: dict[str, set[str]] = {face: set() for face in find_faces()}
    for top in ("packhouse", "tests", "bench"):
        for path in python_files(top):
            for module, node in imports(path):
                if module in used and dotted(path) != module:
                    used[module].update(alias.name for alias in node.names)
    idle = {face: sorted(names - used[face]) for face, names in find_faces().items() if names - used[face]}
    assert not idle, idle


def test_a_module_of_a_package_does_not_import_its_face() -> None:
    faces = find_faces()
    houses = {*faces, *DEEP}
    around = [
        place(path, node.lineno)
        for path in python_files("packhouse")
        for module, node in imports(path)
        if module in faces and path.name != "__init__.py" and house(dotted(path), houses) == module
    ]
    assert not around, around
