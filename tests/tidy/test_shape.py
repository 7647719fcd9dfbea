"""Size and shape of modules and functions (docs: CONTRIBUTING.md, "How the code reads")."""

import ast
from collections import Counter
from pathlib import Path

import pytest

from tests.tidy.sources import ROOT, functions, parse, place, python_files

pytestmark = pytest.mark.quick

MODULE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70
FOLDER_MODULES_MAX = 24
DISTRICT_MODULES_MAX = 15

OPERATIONS = ROOT / "packhouse" / "operations"

CODE = ("packhouse", "tests", "bench")


def test_no_module_reaches_500_lines() -> None:
    long = [
        f"{path.relative_to(ROOT)}: {lines}"
        for path in python_files(*CODE)
        if (lines := len(path.read_text("utf-8").splitlines())) >= MODULE_LINES_MAX
    ]
    assert not long, long


def test_no_folder_has_more_modules_than_a_reader_can_survey() -> None:
    counts = Counter(path.parent for path in python_files(*CODE) if path.name != "__init__.py")
    crowded = [
        f"{folder.relative_to(ROOT)}: {count}"
        for folder, count in counts.items()
        if count > (DISTRICT_MODULES_MAX if folder.is_relative_to(OPERATIONS) else FOLDER_MODULES_MAX)
    ]
    assert not crowded, crowded


def test_every_operation_stands_in_the_folder_of_its_resource() -> None:
    assert [path.name for path in OPERATIONS.glob("*.py")] == ["__init__.py"]


def test_no_function_is_longer_than_a_screen() -> None:
    long = [
        f"{place(path, function.lineno)} {function.name}: {lines}"
        for path in python_files(*CODE)
        for function in functions(parse(path))
        if (lines := (function.end_lineno or 0) - function.lineno + 1) > FUNCTION_LINES_MAX
    ]
    assert not long, long


def test_imports_stand_at_the_top_of_their_module() -> None:
    inside = [
        place(path, node.lineno)
        for path in python_files("packhouse")
        for function in functions(parse(path))
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert not inside, inside


def test_every_module_class_and_public_function_has_a_docstring() -> None:
    bare = [
        place(path, line)
        for path in python_files("packhouse")
        if path.name != "__init__.py" or path.read_text("utf-8").strip()
        for line in _undocumented(path)
    ]
    assert not bare, bare


def _undocumented(path: Path) -> list[int]:
    tree = parse(path)
    lines = [] if ast.get_docstring(tree) else [1]
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            lines += _undocumented_definition(node)
    return lines


def _undocumented_definition(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> list[int]:
    if node.name.startswith("_"):
        return []
    obvious = isinstance(node, ast.FunctionDef) and len(node.body) == 1
    lines = [] if obvious or ast.get_docstring(node) else [node.lineno]
    if isinstance(node, ast.ClassDef):
        for member in node.body:
            if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef):
                lines += _undocumented_definition(member)
    return lines


def test_no_handler_swallows_an_exception_with_a_bare_pass() -> None:
    swallowed = [
        place(path, node.lineno)
        for path in python_files("packhouse")
        for node in ast.walk(parse(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (len(node.body) == 1 and isinstance(node.body[0], ast.Pass)))
    ]
    assert not swallowed, swallowed


def test_only_the_process_module_imports_subprocess() -> None:
    found = [
        place(path, node.lineno)
        for path in python_files("packhouse")
        if path.relative_to(ROOT) != Path("packhouse/git/commands/process.py")
        for node in ast.walk(parse(path))
        if (isinstance(node, ast.Import) and any(alias.name == "subprocess" for alias in node.names))
        or (isinstance(node, ast.ImportFrom) and node.module == "subprocess")
    ]
    assert not found, found


def test_only_the_settings_module_reads_the_environment() -> None:
    allowed = {Path(f"packhouse/{name}.py") for name in ("config", "cli/main", "git/commands/environment")}
    found = [
        place(path, node.lineno)
        for path in python_files("packhouse")
        if path.relative_to(ROOT) not in allowed
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv", "environb"}
    ]
    assert not found, found


def test_every_cache_in_memory_is_the_bounded_one() -> None:
    allowed = Path("packhouse/bounded_cache.py")
    found = [
        str(path.relative_to(ROOT))
        for path in python_files("packhouse")
        if path.relative_to(ROOT) != allowed
        for node in ast.walk(parse(path))
        if (isinstance(node, ast.ImportFrom) and any(alias.name == "OrderedDict" for alias in node.names))
        or (isinstance(node, ast.Attribute) and node.attr == "OrderedDict")
    ]
    assert not found, found


def test_no_test_patches_a_bound_for_all_nodes() -> None:
    found = [
        place(path, node.lineno)
        for path in python_files("tests", "bench")
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args
        if node.func.attr in {"setattr", "setitem", "object"} and _is_limits_module(node.args[0])
    ]
    assert not found, f"open the node, or make the object, with other Limits: {found}"


def _is_limits_module(target: ast.expr) -> bool:
    if isinstance(target, ast.Constant):
        return isinstance(target.value, str) and "packhouse.limits" in target.value
    return "limits" in (getattr(target, "id", ""), getattr(target, "attr", ""))
