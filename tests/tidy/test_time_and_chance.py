"""Operations, repositories and jobs ask the node for time and chance, so that a simulation can steer both."""

import ast
from collections.abc import Iterator

import pytest

from tests.tidy.sources import ROOT, parse, place, python_files

pytestmark = pytest.mark.quick

STEERED = ("operations", "repository", "jobs")
SOURCES = {"time", "random", "secrets", "uuid"}
READINGS = {"urandom", "now", "utcnow", "today"}
"""Names of functions of `os` and `datetime` that read a clock or a source of chance."""


def find_readings(tree: ast.Module) -> Iterator[int]:
    """Yield the line of each use of time or chance that goes round the node."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            if any(alias.name in SOURCES for alias in node.names):
                yield node.lineno
        elif isinstance(node, ast.ImportFrom):
            if node.module in SOURCES or (node.module == "os" and READINGS & {a.name for a in node.names}):
                yield node.lineno
        elif isinstance(node, ast.Attribute) and node.attr in READINGS:
            yield node.lineno


def test_only_the_node_gives_time_and_chance() -> None:
    found = [
        place(path, line)
        for path in python_files("packhouse")
        if path.relative_to(ROOT).parts[1] in STEERED
        for line in find_readings(parse(path))
    ]
    assert not found, found


@pytest.mark.parametrize(
    "source",
    ["import time", "from random import shuffle", "import secrets", "x = os.urandom(8)", "datetime.now(UTC)"],
)
def test_a_way_round_the_node_is_found(source: str) -> None:
    assert list(find_readings(ast.parse(source))) == [1]


def test_use_of_the_nodes_clock_and_chance_is_not_reported() -> None:
    source = (
        "node.monotonic()\nnode.clock()\nnode.random_bytes(8)\nnode.jitter()\nfrom datetime import datetime"
    )
    assert list(find_readings(ast.parse(source))) == []
