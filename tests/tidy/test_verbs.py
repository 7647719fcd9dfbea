"""Operations are called in one style: `verb(node, caller, Command) -> Result`, each in a module of its own name."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.tidy.sources import ROOT, parse, place, python_files

pytestmark = pytest.mark.quick

OPERATIONS = "packhouse.operations"
CALLERS = ("web", "cli", "jobs")


def imported_names(path: Path) -> Iterator[tuple[str, str, int]]:
    """Yield (module, name, line) of each thing that a file imports from the operations."""
    for node in parse(path).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(OPERATIONS):
            yield from ((node.module or "", alias.name, node.lineno) for alias in node.names)


def module_path(module: str) -> Path:
    """Return the file of a module, or that of a package."""
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def find_function(tree: ast.Module, name: str) -> ast.FunctionDef | None:
    """Return the function of that name at the top of a module."""
    return next((node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name), None)


def command_name(verb: str) -> str:
    """Return the name of a verb's command: `create_branch` takes a `CreateBranch`."""
    return "".join(word.capitalize() for word in verb.split("_"))


def is_frozen_dataclass(node: ast.ClassDef) -> bool:
    """Tell whether the class is decorated with `@dataclass(frozen=True, …)`."""
    return any(
        isinstance(decorator, ast.Call)
        and ast.unparse(decorator.func) == "dataclass"
        and any(word.arg == "frozen" and ast.unparse(word.value) == "True" for word in decorator.keywords)
        for decorator in node.decorator_list
    )


def find_faults(tree: ast.Module, verb: str) -> list[str]:
    """Return what keeps the function `verb` of a module from being called as every operation is."""
    function = find_function(tree, verb)
    if function is None:
        return ["has no function of its own name"]
    faults = []
    given = function.args
    asked = [
        f"{argument.arg}: {ast.unparse(argument.annotation) if argument.annotation else '?'}"
        for argument in (*given.posonlyargs, *given.args)
    ]
    command = f"command: {command_name(verb)}"
    if asked not in (["node: Node", "caller: Principal", command], ["node: Node", command]):
        faults.append(f"takes ({', '.join(asked)})")
    if given.vararg or given.kwarg or given.defaults:
        faults.append("takes more than its command")
    if [argument.arg for argument in given.kwonlyargs] not in ([], ["receipt"]):
        faults.append("has a keyword that is no receipt")
    if function.returns is None or ast.unparse(function.returns) in ("Any", "object"):
        faults.append("has no typed result")
    commands = [
        node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == command_name(verb)
    ]
    if not any(is_frozen_dataclass(node) for node in commands):
        faults.append(f"has no frozen dataclass {command_name(verb)}")
    return faults


@cache
def called_modules() -> dict[str, list[tuple[str, str]]]:
    """Return for each module of the operations which of its functions are imported, and where."""
    called: dict[str, list[tuple[str, str]]] = {}
    for path in python_files("packhouse"):
        if path.relative_to(ROOT).parts[1] in CALLERS:
            for module, name, line in imported_names(path):
                source = module_path(module)
                if source.name == "__init__.py" or find_function(parse(source), name) is not None:
                    called.setdefault(module, []).append((name, place(path, line)))
    return called


def test_callers_import_no_function_of_an_operation_but_its_verb() -> None:
    found = [
        f"{where}: {module}.{name}"
        for module, names in called_modules().items()
        for name, where in names
        if name != module.rpartition(".")[2]
    ]
    assert not found, found


def test_every_called_operation_takes_node_caller_and_one_command() -> None:
    found = {
        module: faults
        for module in called_modules()
        if (faults := find_faults(parse(module_path(module)), module.rpartition(".")[2]))
    }
    assert not found, found


def test_the_callers_call_operations_of_most_resources() -> None:
    """The two tests above look at something."""
    resources = {module.split(".")[2] for module in called_modules()}
    assert resources >= {"commits", "demo", "jobs", "notes", "reading", "refs", "repos", "transport"}
    assert "catalog" not in resources


@pytest.mark.parametrize(
    ("source", "faults"),
    [
        ("def read_it(node: Node, caller: Principal, command: ReadIt) -> It: ...", []),
        ("def read_it(node: Node, command: ReadIt) -> None: ...", []),
        ("def read_it(node: Node, command: ReadIt, *, receipt: R | None = None) -> It: ...", []),
        ("def other(node: Node, command: ReadIt) -> It: ...", ["has no function of its own name"]),
        ("def read_it(node: Node, command: It) -> It: ...", ["takes (node: Node, command: It)"]),
        ("def read_it(node: Node, name: str) -> It: ...", ["takes (node: Node, name: str)"]),
        ("def read_it(node: Node, command: ReadIt, **more: int) -> It: ...", ["takes more than its command"]),
        (
            "def read_it(node: Node, command: ReadIt, *, ref: str) -> It: ...",
            ["has a keyword that is no receipt"],
        ),
        ("def read_it(node: Node, command: ReadIt) -> Any: ...", ["has no typed result"]),
    ],
)
def test_a_function_of_another_form_is_found(source: str, faults: list[str]) -> None:
    command = "@dataclass(frozen=True, slots=True)\nclass ReadIt:\n    pass\n"
    assert find_faults(ast.parse(command + source), "read_it") == faults


def test_a_command_that_can_be_changed_is_found() -> None:
    source = "@dataclass\nclass ReadIt:\n    pass\ndef read_it(node: Node, command: ReadIt) -> It: ...\n"
    assert find_faults(ast.parse(source), "read_it") == ["has no frozen dataclass ReadIt"]
