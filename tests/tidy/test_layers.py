"""Rules that the import linter cannot check:

names that stop at a layer, the one writer of refs, and no import cycle.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tidy.sources import ROOT, parse, place, python_files

pytestmark = pytest.mark.quick

STOPPED = {
    "Path",
    "run_git",
    "spawn_git",
    "iter_git_output",
    "repo_path",
    "pass_fds",
    "hold",
    "has_repo",
    "env",
}
"""Names by which the layer below operations finds a repository. Layers above open one instead."""

KNOW_PATHS = ("storage/", "repository/", "git/", "node/", "db/", "cli/", "outbound/", "auth/sealing.py")
"""`storage/` and `repository/` find stored data. The others know other files: programs, keys, sockets."""

REF_STATEMENTS = ("insert_ref", "update_ref", "delete_ref", "insert_ref_log", "begin_ref_transaction")


def names_in(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield every name in the code with its line: variables, attributes, arguments and imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute):
            yield node.attr, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg, node.value.lineno
        elif isinstance(node, ast.ImportFrom):
            yield from ((alias.name, node.lineno) for alias in node.names)


def test_operations_locate_no_repository() -> None:
    found = [
        f"{place(path, line)}: {name}"
        for path in python_files("packhouse")
        if path.is_relative_to(ROOT / "packhouse" / "operations")
        for name, line in names_in(parse(path))
        if name in STOPPED
    ]
    assert not found, found


def test_only_lower_layers_know_paths() -> None:
    found = []
    for path in python_files("packhouse"):
        inside = path.relative_to(ROOT / "packhouse").as_posix()
        if inside.startswith(KNOW_PATHS) or "/" not in inside:
            continue
        found += [
            place(path, node.lineno)
            for node in ast.walk(parse(path))
            if isinstance(node, ast.ImportFrom) and node.module == "pathlib"
        ]
    assert not found, found


def test_only_the_ref_writer_calls_the_ref_transaction() -> None:
    callers = {
        path.relative_to(ROOT).as_posix()
        for path in python_files("packhouse")
        if path.name != "__init__.py"
        for name, _line in names_in(parse(path))
        if name == "apply_ref_updates"
    }
    assert callers == {"packhouse/repository/refs/writer.py"}


def test_only_the_ref_transaction_runs_statements_that_change_refs() -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for path in python_files("packhouse")
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Constant) and node.value in REF_STATEMENTS
    }
    assert found == {"packhouse/db/ref_transaction.py"}


def imports_of(path: Path, modules: set[str]) -> set[str]:
    """Return our modules that a module imports, anywhere in it, also for type checkers only."""
    found: set[str] = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            within = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= within & modules or {node.module}
    return found & modules


def find_cycle(graph: dict[str, set[str]]) -> list[str]:
    """Return modules that import each other in a circle; an empty list without a circle."""
    done: set[str] = set()
    for start in sorted(graph):
        path: list[str] = []
        waiting = [(start, iter(sorted(graph[start])))] if start not in done else []
        path = [start] if waiting else []
        while waiting:
            module, rest = waiting[-1]
            following = next(rest, None)
            if following is None:
                done.add(module)
                waiting.pop()
                path.pop()
            elif following in path:
                return [*path[path.index(following) :], following]
            elif following not in done:
                waiting.append((following, iter(sorted(graph[following]))))
                path.append(following)
    return []


def test_a_cycle_is_found() -> None:
    assert find_cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert find_cycle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    paths = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in python_files("packhouse", "tests", "bench")
    }
    graph = {module: imports_of(path, set(paths)) - {module} for module, path in paths.items()}
    assert find_cycle(graph) == []


def test_no_import_is_for_type_checkers_alone() -> None:
    # Such an import hides that two modules need each other: the lower one shall hold the type that both use.
    found = [
        f"{place(path, line)}: {name}"
        for path in python_files("packhouse", "tests", "bench")
        for name, line in names_in(parse(path))
        if name == "TYPE_CHECKING"
    ]
    assert not found, found
