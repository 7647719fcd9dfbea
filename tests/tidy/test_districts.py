"""The page on the architecture tells which districts of operations each district uses."""

import re
from collections.abc import Mapping

import pytest

from bench.structure.figures import folder_graph
from bench.structure.source import Package
from tests.tidy.sources import ROOT

pytestmark = pytest.mark.quick


def told() -> Mapping[str, set[str]]:
    """Return the districts of the table, each with the districts of its right column."""
    text = (ROOT / "docs/architecture.md").read_text("utf-8")
    table = text.partition("| District | Holds | Uses |")[2].partition("\n\n")[0]
    rows = [row.strip("| ").split("|") for row in table.splitlines() if row.startswith("| `")]
    return {row[0].strip("` "): set(re.findall(r"`(\w+)`", row[2]) if len(row) > 2 else ()) for row in rows}


def test_the_table_of_districts_agrees_with_the_imports() -> None:
    graph = folder_graph(Package(ROOT / "packhouse").imports(), "packhouse.operations")
    assert told() == graph
