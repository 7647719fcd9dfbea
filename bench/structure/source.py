"""The modules of a package as syntax trees, and the meaning of their names. Nothing is imported or run."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Function:
    """A function or method: its module, its name there (`Class.method`), its tree."""

    module: str
    name: str
    node: FunctionNode

    @property
    def id(self) -> str:
        """Return `module:name`, which is unique in a package."""
        return f"{self.module}:{self.name}"

    @property
    def is_property(self) -> bool:
        """Tell whether reading the attribute calls the function."""
        return any(_last_name(mark) in {"property", "cached_property"} for mark in self.node.decorator_list)


@dataclass(frozen=True, slots=True)
class Class:
    """A class of a package."""

    module: str
    node: ast.ClassDef

    @property
    def is_protocol(self) -> bool:
        """Tell whether the class is a protocol: it declares methods and implements none."""
        return any(_last_name(base) == "Protocol" for base in self.node.bases)

    @property
    def method_names(self) -> list[str]:
        """Return the names of the methods that the class itself defines."""
        return [member.name for member in self.node.body if isinstance(member, FunctionNode)]

    def own_method(self, name: str) -> Function | None:
        """Return the method that the class itself defines."""
        for member in self.node.body:
            if isinstance(member, FunctionNode) and member.name == name:
                return Function(self.module, f"{self.node.name}.{name}", member)
        return None


@dataclass(frozen=True, slots=True)
class Imported:
    """The meaning of an imported name: a module, or a name in one."""

    module: str
    name: str = ""


Meaning = Function | Class | Imported


@dataclass
class Module:
    """One file. `name` is dotted; an `__init__.py` has the name of its folder."""

    name: str
    path: Path
    text: str
    tree: ast.Module = field(init=False)

    def __post_init__(self) -> None:
        self.tree = ast.parse(self.text, filename=str(self.path))

    @property
    def lines(self) -> int:
        """Return the number of lines of the file."""
        return len(self.text.splitlines())

    @cached_property
    def names(self) -> dict[str, Meaning]:
        """Map each name that the module defines or imports (imports at any depth) to its meaning."""
        found: dict[str, Meaning] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    found[alias.asname or alias.name.partition(".")[0]] = Imported(
                        alias.name if alias.asname else alias.name.partition(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    found[alias.asname or alias.name] = Imported(node.module, alias.name)
        for node in self.tree.body:
            if isinstance(node, FunctionNode):
                found[node.name] = Function(self.name, node.name, node)
            elif isinstance(node, ast.ClassDef):
                found[node.name] = Class(self.name, node)
        return found

    def functions(self) -> Iterator[FunctionNode]:
        """Yield every function and method, nested ones too."""
        return (node for node in ast.walk(self.tree) if isinstance(node, FunctionNode))


class Package:
    """All modules of one package. An `__init__.py` without a line does not count."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.modules: dict[str, Module] = {}
        for path in sorted(folder.rglob("*.py")):
            text = path.read_text("utf-8")
            if text.strip() or path.name != "__init__.py":
                parts = path.relative_to(folder.parent).with_suffix("").parts
                name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
                self.modules[name] = Module(name, path, text)

    def imports(self) -> dict[str, set[str]]:
        """Map each module to the modules of the package that it imports.

        `from a import b` imports the module `a.b` when there is one, else `a`.
        """
        return {name: self._imports_of(module) - {name} for name, module in self.modules.items()}

    def _imports_of(self, module: Module) -> set[str]:
        found = set()
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    found.add(inner if inner in self.modules else node.module)
        return found & self.modules.keys()

    def meaning(self, module: str, name: str) -> Meaning | None:
        """Return the meaning of a name in a module, with imports followed; None for a name from elsewhere."""
        seen = set()
        while (module, name) not in seen and module in self.modules:
            seen.add((module, name))
            found = self.modules[module].names.get(name)
            if not isinstance(found, Imported) or not found.name:
                return found
            inner = f"{found.module}.{found.name}"
            if inner in self.modules:
                return Imported(inner)
            module, name = found.module, found.name
        return None

    def owner(self, function: Function) -> Class | None:
        """Return the class of a method; None for a function."""
        found = self.modules[function.module].names.get(function.name.partition(".")[0])
        return found if isinstance(found, Class) else None

    def method(self, owner: Class, name: str) -> Function | None:
        """Return the method of an object of the class: its own, or that of a base."""
        own = owner.own_method(name)
        if own is not None:
            return own
        found = (self.method(base, name) for base in self.bases(owner))
        return next((method for method in found if method is not None), None)

    def bases(self, owner: Class) -> list[Class]:
        """Return the classes of the package that a class names as its bases."""
        named = (self.meaning(owner.module, _last_name(base)) for base in owner.node.bases)
        return [base for base in named if isinstance(base, Class) and base != owner]


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Subscript):  # Base[T]
        return _last_name(node.value)
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the groups of nodes that lead to each other, and the nodes that lead to themselves."""
    reached = {node: _reachable(graph, node) for node in graph}
    found = {
        tuple(sorted(other for other in reached[node] if node in reached.get(other, ())))
        for node in graph
        if node in reached[node]
    }
    return [list(group) for group in sorted(found)]


def _reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += graph.get(node, ())
    return found
