"""The meaning of the expressions in one function, as far as annotations and calls tell it."""

import ast
from dataclasses import dataclass

from bench.structure.source import Class, Function, FunctionNode, Imported, Package


@dataclass(frozen=True, slots=True)
class Typed:
    """The type of an expression: an annotation, and the module whose names it uses."""

    module: str
    annotation: ast.expr


Known = Function | Class | Imported | Typed
"""The known meaning of an expression: a function, class or module, or its type."""


class Types:
    """The types of the attributes of a package's classes. Each is looked up once."""

    def __init__(self, package: Package) -> None:
        self.package = package
        self._fields: dict[tuple[str, str, str], Known | None] = {}

    def attribute(self, owner: Known | None, name: str) -> Known | None:
        """Return the meaning of `owner.name`. A property means its value."""
        if isinstance(owner, Imported):
            inner = f"{owner.module}.{name}"
            return Imported(inner) if self._is_module(inner) else self.package.meaning(owner.module, name)
        found = self.class_of(owner)
        if found is None:
            return None
        method = self.package.method(found, name)
        if method is None:
            return self._field(found, name)
        if method.is_property:
            return Typed(method.module, method.node.returns) if method.node.returns else None
        return method

    def class_of(self, known: Known | None) -> Class | None:
        """Return the class itself, or the class of an object; None if it is not known."""
        if isinstance(known, Class):
            return known
        return self._class_named(known.module, known.annotation) if isinstance(known, Typed) else None

    def _is_module(self, name: str) -> bool:
        return any(module == name or module.startswith(f"{name}.") for module in self.package.modules)

    def _field(self, owner: Class, name: str) -> Known | None:
        key = (owner.module, owner.node.name, name)
        if key not in self._fields:
            self._fields[key] = None  # during the look-up: two attributes may be set from each other
            self._fields[key] = self._own_field(owner, name) or self._inherited_field(owner, name)
        return self._fields[key]

    def _own_field(self, owner: Class, name: str) -> Known | None:
        for member in owner.node.body:
            if isinstance(member, ast.AnnAssign) and ast.unparse(member.target) == name:
                return Typed(owner.module, member.annotation)
            if isinstance(member, ast.Assign) and name in map(ast.unparse, member.targets):
                return self._named(owner.module, member.value)
        made = owner.own_method("__init__")
        if made is None:
            return None
        for node in ast.walk(made.node):
            if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == f"self.{name}":
                return Typed(owner.module, node.annotation)
            if isinstance(node, ast.Assign) and f"self.{name}" in map(ast.unparse, node.targets):
                return Scope(self, made).known(node.value)
        return None

    def _named(self, module: str, value: ast.expr) -> Known | None:
        """Return the meaning of a name of a module, dots included; None for any other expression."""
        match value:
            case ast.Name(name):
                return self.package.meaning(module, name)
            case ast.Attribute(outer, name):
                return self.attribute(self._named(module, outer), name)
        return None

    def _inherited_field(self, owner: Class, name: str) -> Known | None:
        found = (self._field(base, name) for base in self.package.bases(owner))
        return next((known for known in found if known is not None), None)

    def _class_named(self, module: str, annotation: ast.expr) -> Class | None:
        match annotation:
            case ast.Constant(str(text)):
                return self._class_named(module, ast.parse(text, mode="eval").body)
            case ast.Name(name):
                found = self.package.meaning(module, name)
                return found if isinstance(found, Class) else None
            case ast.Attribute(ast.Name(outer), name):
                imported = self.package.meaning(module, outer)
                if isinstance(imported, Imported):
                    return self._class_named(imported.module, ast.Name(name))
            case ast.BinOp(left, ast.BitOr(), right):
                return self._class_named(module, left) or self._class_named(module, right)
            case ast.Subscript(outer, ast.Tuple(parts)) if parts:
                return self._class_named(module, outer) or self._class_named(module, parts[-1])
            case ast.Subscript(outer, inner):
                return self._class_named(module, outer) or self._class_named(module, inner)
        return None


class Scope:
    """The names in one function."""

    def __init__(self, types: Types, function: Function) -> None:
        self._types = types
        self._module = function.module
        self._local: dict[str, Known | None] = {}
        owner = types.package.owner(function)
        nodes = list(ast.walk(function.node))
        for node in nodes:
            if isinstance(node, FunctionNode | ast.Lambda):
                self._note_arguments(node.args, owner)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                self._local[node.id] = None
        for node in sorted(nodes, key=_line):
            self._note(node)

    def known(self, node: ast.expr) -> Known | None:
        """Return the known meaning of an expression; None if there is none."""
        match node:
            case ast.Name(name):
                if name in self._local:
                    return self._local[name]
                return self._types.package.meaning(self._module, name)
            case ast.Attribute(value, name):
                return self._types.attribute(self.known(value), name)
            case ast.Call(function):
                return _result(self.known(function))
            case ast.Await(value) | ast.Subscript(value) | ast.NamedExpr(_, value) | ast.Starred(value):
                return self.known(value)
            case ast.IfExp(_, one, other):
                return self.known(one) or self.known(other)
            case ast.BoolOp(_, values):
                return next((known for value in values if (known := self.known(value)) is not None), None)
        return None

    def called(self, node: ast.Name | ast.Attribute, *, is_called: bool) -> Function | None:
        """Return the function that a name calls or passes on; None for another name."""
        package = self._types.package
        known = self.known(node)
        if isinstance(known, Class):
            made = package.method(known, "__init__") or package.method(known, "__post_init__")
            return made if is_called else None
        if isinstance(known, Function):
            return known
        owner = self._types.class_of(self.known(node.value)) if isinstance(node, ast.Attribute) else None
        if isinstance(node, ast.Attribute) and owner is not None:
            found = package.method(owner, node.attr)
            return found if found is not None and found.is_property else None
        return None

    def _note_arguments(self, arguments: ast.arguments, owner: Class | None) -> None:
        for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
            if argument.annotation is not None:
                self._local[argument.arg] = Typed(self._module, argument.annotation)
            else:
                self._local[argument.arg] = owner if argument.arg in {"self", "cls"} else None

    def _note(self, node: ast.AST) -> None:
        """Remember the names that a statement binds."""
        match node:
            case ast.Assign([target], value) | ast.NamedExpr(target, value):
                self._bind(target, self.known(value))
            case ast.AnnAssign(ast.Name(name), annotation):
                self._local[name] = Typed(self._module, annotation)
            case ast.With(items) | ast.AsyncWith(items):
                for item in items:
                    if item.optional_vars is not None:
                        self._bind(item.optional_vars, self.known(item.context_expr))
            case (
                ast.For(target, iterable)
                | ast.AsyncFor(target, iterable)
                | ast.comprehension(target, iterable)
            ):
                self._bind(target, self.known(iterable))

    def _bind(self, target: ast.expr, known: Known | None) -> None:
        match target, known:
            case ast.Name(name), _ if known is not None:
                self._local[name] = known
            case ast.Tuple(targets), Typed(module, ast.Subscript(ast.Name("tuple"), ast.Tuple(parts))):
                for one, part in zip(targets, parts, strict=False):
                    self._bind(one, Typed(module, part))


def _result(called: Known | None) -> Known | None:
    match called:
        case Class(module, node):
            return Typed(module, ast.Name(node.name))
        case Function(module, _, node):
            return Typed(module, node.returns) if node.returns else None
        case Typed():  # a callable counts as its result
            return called
    return None


def _line(node: ast.AST) -> int:
    placed = node.target if isinstance(node, ast.comprehension) else node
    return getattr(placed, "lineno", 0)
