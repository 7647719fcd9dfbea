"""Follow a request through the code without running it, and count how often a reader changes the module.

The walk begins in the handler of a route. It takes the names in a function's body in the order of the text. A name of a
function of the package is a call. It is a call too if the function is passed on to be called elsewhere
(`in_thread(create_branch, …)`). The walk enters that function at once, goes through it, and returns. It enters each
function once. It ends when it enters the goal.

A name is looked up through imports. The class of an object comes from annotations, from calls of a class and from the
annotated result of a function. A container counts as its last element. A call of a protocol's method enters the
protocol. Then it enters each class with the protocol's methods of which an entered function makes an object. Reading a
property is a call of it.

A **stay** is an unbroken run of functions of one module, in the order in which the walk enters them. Returning to a
function is not a stay.
"""

import ast
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby

from bench.structure.scope import Scope, Types
from bench.structure.source import Class, Function, FunctionNode, Package


@dataclass(frozen=True, slots=True)
class Way:
    """The way of a request to its goal.

    `entered` has every function in the order in which the walk enters them. `chain` is the shortest line of calls from
    the handler to the goal. Only `chain` is empty if no call leads to the goal.
    """

    entered: list[Function]
    chain: list[Function]


def count_stays(functions: list[Function]) -> int:
    """Return the number of unbroken runs of functions of one module."""
    return sum(1 for _ in groupby(functions, key=lambda function: function.module))


def follow(package: Package, start: Function, goal: str) -> Way:
    """Return the way from a function to the function or method named `goal`, in any module."""
    calls = Calls(package)
    return Way(enter_in_order(calls, start, goal), _shortest(calls, start, goal))


def find_handler(package: Package, route: str) -> Function | None:
    """Return the handler of a route; see find_handlers()."""
    return find_handlers(package).get(route)


def find_handlers(package: Package) -> dict[str, Function]:
    """Map each route to its handler: the `async` function in a call whose first argument is the route's name."""
    handlers: dict[str, Function] = {}
    for module in package.modules.values():
        for node in ast.walk(module.tree):
            match node:
                case ast.Call(args=[ast.Constant(str(route)), *others]):
                    for argument in others:
                        found = package.meaning(module.name, ast.unparse(argument))
                        if isinstance(found, Function) and isinstance(found.node, ast.AsyncFunctionDef):
                            handlers.setdefault(route, found)
    return handlers


def enter_in_order(
    calls: "Calls", start: Function, goal: str, admits: Callable[[Function], bool] = lambda _: True
) -> list[Function]:
    """Return the functions that the walk enters, in order, `start` first. It passes by those not admitted."""
    entered = [start]
    seen = {start.id}
    waiting = [iter(calls.of(start))]
    while waiting:
        function = next(waiting[-1], None)
        if function is None:
            waiting.pop()
        elif function.id not in seen and admits(function):
            seen.add(function.id)
            entered.append(function)
            if function.node.name == goal:
                break
            waiting.append(iter(calls.of(function)))
    return entered


def _shortest(calls: "Calls", start: Function, goal: str) -> list[Function]:
    came_from: dict[str, Function | None] = {start.id: None}
    waiting = deque([start])
    while waiting:
        function = waiting.popleft()
        if function.node.name == goal:
            chain = [function]
            while (before := came_from[chain[-1].id]) is not None:
                chain.append(before)
            return chain[::-1]
        for called in calls.of(function):
            if called.id not in came_from:
                came_from[called.id] = function
                waiting.append(called)
    return []


class Calls:
    """The calls that each function of a package makes, in the order of the text."""

    def __init__(self, package: Package) -> None:
        self._package = package
        self._types = Types(package)
        self._found: dict[str, list[Function]] = {}
        self._made: dict[tuple[str, str], Class] = {}

    def of(self, function: Function) -> list[Function]:
        """Return the functions that one function calls or passes on, as often as it names them."""
        protocol = self._package.owner(function)
        if protocol is not None and protocol.is_protocol:
            return self._implementations(protocol, function)
        if function.id not in self._found:
            self._found[function.id] = self._calls_in(function)
        return self._found[function.id]

    def _calls_in(self, function: Function) -> list[Function]:
        scope = Scope(self._types, function)
        found = []
        for name, is_called in _names_in_order(function.node):
            known = scope.known(name)
            if is_called and isinstance(known, Class):
                self._made[known.module, known.node.name] = known
            called = scope.called(name, is_called=is_called)
            if called is not None:
                found.append(called)
        return found

    def _implementations(self, protocol: Class, function: Function) -> list[Function]:
        """Return the functions that a call of a protocol's method may enter: methods of classes made by then."""
        wanted = protocol.method_names
        found = [
            self._package.method(made, function.node.name)
            for made in self._made.values()
            if made != protocol and all(self._package.method(made, name) for name in wanted)
        ]
        return [method for method in found if method is not None]


def _names_in_order(function: FunctionNode) -> list[tuple[ast.Name | ast.Attribute, bool]]:
    """Return the names that the body reads, each with whether it is called."""
    code = [node for statement in function.body for node in _walk_code(statement)]
    called = {id(node.func) for node in code if isinstance(node, ast.Call)}
    names = [
        node for node in code if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load)
    ]
    names.sort(key=lambda node: (node.end_lineno or 0, node.end_col_offset or 0))
    return [(node, id(node) in called) for node in names]


def _walk_code(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and all nodes below it, without annotations."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _walk_code(child)
