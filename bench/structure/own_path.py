"""The own path of a request: where a reader goes who follows it from its handler to its goal.

The walk of walk.py enters every function, down to clocks and rows. A reader knows what every request does, and takes a
helper by its name. So this walk enters a function only if three rules hold:

1. Its package is one of `LAYERS`. The packages below know nothing of requests.
2. It is not common. A common function is also entered by a request that never reaches the goal. Authorising,
   admission, opening a repository and reading objects are common when the goal is the ref transaction.
3. It leads out of its module: it calls a function of another module that is not common, or calls a function of its own
   module that leads out. The name of any other function tells enough: values, predicates and texts are such.

The goal itself is entered. The order of the calls and the meaning of a stay are those of walk.py.
"""

from typing import Final

from bench.structure.source import Function, Package
from bench.structure.walk import Calls, enter_in_order, find_handlers

LAYERS: Final = ("web", "operations", "repository")


def find_common(package: Package, goal: str) -> set[str]:
    """Return the ids of the functions that are entered by a route's request that never reaches the goal."""
    common: set[str] = set()
    for handler in find_handlers(package).values():
        entered = enter_in_order(_calls_with_classes(package, handler, goal), handler, goal)
        if entered[-1].node.name != goal:
            common.update(function.id for function in entered)
    return common


def follow_own_path(package: Package, start: Function, goal: str, common: set[str]) -> list[Function]:
    """Return the functions of the own path in the order in which the walk enters them. `common` has their ids."""
    calls = _calls_with_classes(package, start, goal)
    path = _OwnPath(calls, package.folder.name, goal, common)
    return enter_in_order(calls, start, goal, path.has)


def _calls_with_classes(package: Package, start: Function, goal: str) -> Calls:
    """Return calls that know, from the first step on, each class of which the request makes an object."""
    calls = Calls(package)
    enter_in_order(calls, start, goal)
    return calls


class _OwnPath:
    def __init__(self, calls: Calls, package: str, goal: str, common: set[str]) -> None:
        self._calls = calls
        self._layers = tuple(f"{package}.{layer}." for layer in LAYERS)
        self._goal = goal
        self._common = common

    def has(self, function: Function) -> bool:
        if function.node.name == self._goal:
            return True
        is_in_layers = f"{function.module}.".startswith(self._layers)
        return is_in_layers and function.id not in self._common and self._leads_out(function)

    def _leads_out(self, function: Function) -> bool:
        seen = {function.id}
        waiting = [function]
        while waiting:
            for called in self._calls.of(waiting.pop()):
                if called.id in self._common or called.id in seen:
                    continue
                if called.module != function.module:
                    return True
                seen.add(called.id)
                waiting.append(called)
        return False
