"""No session of the database stays open while a client is slow: SQLite's log grows as long as a reader stays."""

import ast
from collections.abc import Iterator

import pytest

from tests.tidy.sources import parse, place, python_files

pytestmark = pytest.mark.quick

OPENERS = {"read", "snapshot", "write"}
PAUSES = (ast.Yield, ast.YieldFrom, ast.Await, ast.AsyncFor, ast.AsyncWith)


def opens_session(item: ast.withitem) -> bool:
    """Tell whether it is `….database.read()` or the like, or `database.read()`."""
    call = item.context_expr
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
        return False
    owner = call.func.value
    name = owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
    return call.func.attr in OPENERS and name.lstrip("_") == "database"


def find_pauses(tree: ast.Module) -> Iterator[int]:
    """Yield the line of each point at which a block with a session gives up the thread."""
    for node in ast.walk(tree):
        if isinstance(node, ast.With) and any(map(opens_session, node.items)):
            yield from (inner.lineno for inner in ast.walk(node) if isinstance(inner, PAUSES))


def test_no_block_with_a_session_pauses() -> None:
    found = [place(path, line) for path in python_files("packhouse") for line in find_pauses(parse(path))]
    assert not found, found


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("with node.database.read() as session:\n    yield session.all('x')", [2]),
        ("with self._database.snapshot() as session, other():\n    for r in rows:\n        yield r", [3]),
        ("async def f():\n    with database.write() as session:\n        await send()", [3]),
        ("with node.database.read() as session:\n    rows = session.all('x')\nyield rows", []),
        ("with node.store.read() as session:\n    yield session", []),
    ],
)
def test_a_pause_is_found(source: str, lines: list[int]) -> None:
    assert list(find_pauses(ast.parse(source))) == lines
