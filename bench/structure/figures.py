"""The figures of the structure: one function for each, and their printed form."""

import math
import subprocess
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from bench.structure.own_path import find_common, follow_own_path
from bench.structure.source import Package, circles
from bench.structure.walk import count_stays, find_handler, follow

GOAL = "apply_ref_updates"
"""The ref transaction, at which a push and a commit end."""

ROUTES = {"push": "receive_pack", "commit": "create_commit"}
"""The ways to follow, each with the name of its route."""

LAST_COMMITS = 50

Figures = dict[str, Any]


def measure(folder: Path) -> Figures:
    """Return the figures of the checkout in a folder. A figure that does not exist there is None."""
    package = Package(folder / "packhouse")
    graph = package.imports()
    edges = sum(map(len, graph.values()))
    common = find_common(package, GOAL)
    return {
        "modules": len(graph),
        "imports_a_module": round(edges / len(graph), 2),
        "modules_a_folder": modules_a_folder(package),
        "lines_a_function": lines_a_function(package),
        "cycles_of_modules": circles(graph),
        "cycles_of_operations": circles(folder_graph(graph, "packhouse.operations")),
        "test_lines_a_source_line": ratio_of_test_lines(folder),
        "commits_with_a_body": commits_with_a_body(folder),
        **{name: way_figures(package, route, common) for name, route in ROUTES.items()},
    }


def modules_a_folder(package: Package) -> dict[str, Any]:
    """Return the fullest folder of operations, the fullest other folder, and the average of all.

    An `__init__.py` is not counted.
    """
    files = [module.path for module in package.modules.values() if module.path.name != "__init__.py"]
    counts = Counter(path.parent.relative_to(package.folder.parent).as_posix() for path in files)
    operations = {
        name: count for name, count in counts.items() if f"{name}/".startswith("packhouse/operations/")
    }
    others = {name: count for name, count in counts.items() if name not in operations}
    return {
        "operations_max": _largest(operations),
        "others_max": _largest(others),
        "average": round(len(files) / len(counts), 1),
    }


def _largest(counts: dict[str, int]) -> tuple[str, int] | None:
    return max(counts.items(), key=lambda item: (item[1], item[0]), default=None)


def lines_a_function(package: Package) -> dict[str, int]:
    """Return median, 90th percentile and maximum of the lines from `def` to the last line. Nested functions count."""
    lines = sorted(
        (function.end_lineno or 0) - function.lineno + 1
        for module in package.modules.values()
        for function in module.functions()
    )
    return {"p50": percentile(lines, 50), "p90": percentile(lines, 90), "max": lines[-1]}


def percentile(ordered: Sequence[int], percent: int) -> int:
    """Return the smallest value that at least `percent` of all values do not exceed."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def folder_graph(graph: dict[str, set[str]], top: str) -> dict[str, set[str]]:
    """Return which folders below `top` import which others. Modules directly in it count as the folder itself."""
    found: dict[str, set[str]] = {}
    for module, imported in graph.items():
        if (folder := _folder(module, top)) is not None:
            others = {_folder(other, top) for other in imported} - {folder, None}
            found.setdefault(folder, set()).update(other for other in others if other is not None)
    return found


def _folder(module: str, top: str) -> str | None:
    if not f"{module}.".startswith(f"{top}."):
        return None
    inner = module[len(top) + 1 :].split(".")
    return inner[0] if len(inner) > 1 else top


def ratio_of_test_lines(folder: Path) -> float:
    """Return all lines of tests/**/*.py, divided by all lines of packhouse/**/*.py."""
    return round(_lines_below(folder / "tests") / _lines_below(folder / "packhouse"), 3)


def _lines_below(folder: Path) -> int:
    files = (path for path in folder.rglob("*.py") if "node_modules" not in path.parts)
    return sum(len(path.read_text("utf-8").splitlines()) for path in files)


def commits_with_a_body(folder: Path) -> float | None:
    """Return the share of the last 50 commits whose message has a body; None outside a Git checkout."""
    command = ["git", "-c", "safe.directory=*", "log", f"-{LAST_COMMITS}", "-z", "--format=%b"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    bodies = done.stdout.split(b"\0")[:-1]
    return round(sum(bool(body.strip()) for body in bodies) / len(bodies), 2) if bodies else None


def way_figures(package: Package, route: str, common: set[str], *, goal: str = GOAL) -> dict[str, Any] | None:
    """Return the figures of a request's way to `goal`, the ref transaction; None if no call leads there.

    `common` is what find_common() returns.
    """
    handler = find_handler(package, route)
    way = None if handler is None else follow(package, handler, goal)
    if handler is None or way is None or not way.chain:
        return None
    own = follow_own_path(package, handler, goal, common)
    return {
        "own_stays": count_stays(own),
        "own_modules": len({function.module for function in own}),
        "own_path": [
            f"{module}:{', '.join(function.name for function in run)}"
            for module, run in groupby(own, key=lambda function: function.module)
        ],
        "stays": count_stays(way.entered),
        "modules": len({function.module for function in way.entered}),
        "functions": len(way.entered),
        "chain_stays": count_stays(way.chain),
        "chain": [function.id for function in way.chain],
    }


def describe(figures: Figures) -> list[str]:
    """Return the figures as lines for people."""
    folders, functions = figures["modules_a_folder"], figures["lines_a_function"]
    body = figures["commits_with_a_body"]
    rows = [
        ("modules", figures["modules"]),
        ("imports a module", figures["imports_a_module"]),
        ("fullest folder of operations", _pair(folders["operations_max"])),
        ("fullest other folder", _pair(folders["others_max"])),
        ("modules a folder, average", folders["average"]),
        (
            "lines a function, p50 / p90 / max",
            " / ".join(str(functions[key]) for key in ("p50", "p90", "max")),
        ),
        ("cycles of modules", _cycles(figures["cycles_of_modules"])),
        ("cycles of folders of operations", _cycles(figures["cycles_of_operations"])),
        ("test lines a source line", figures["test_lines_a_source_line"]),
        (f"of the last {LAST_COMMITS} commits, with a body", "unknown" if body is None else f"{body:.0%}"),
    ]
    for name in ROUTES:
        way = figures[name]
        own = None if way is None else f"{way['own_stays']} in {way['own_modules']} modules"
        rows += [
            (f"stays of a {name}, in the modules of its own path", own or "unknown"),
            (f"stays of a {name}, in all modules", "unknown" if way is None else _way(way)),
        ]
    lines = [f"{label:52} {value}" for label, value in rows]
    for name in ROUTES:
        if figures[name] is not None:
            lines += ["", f"own path of a {name}, one line a stay:"]
            lines += [f"  {stay}" for stay in figures[name]["own_path"]]
            lines += ["", f"shortest line of calls of a {name}:"]
            lines += [f"  {call}" for call in figures[name]["chain"]]
    return lines


def _pair(largest: tuple[str, int] | None) -> str:
    return "none" if largest is None else f"{largest[1]}  ({largest[0]})"


def _cycles(found: list[list[str]]) -> str:
    return "; ".join([str(len(found)), *(" and ".join(group) for group in found)])


def _way(way: dict[str, Any]) -> str:
    return f"{way['stays']} in {way['modules']} modules, over {way['functions']} functions"
