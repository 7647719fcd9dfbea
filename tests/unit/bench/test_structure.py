"""The figures of the structure, on packages made up for them."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from bench.structure.figures import (
    commits_with_a_body,
    describe,
    folder_graph,
    lines_a_function,
    measure,
    modules_a_folder,
    percentile,
    ratio_of_test_lines,
)
from bench.structure.source import Package, circles
from bench.structure.walk import Way, count_stays, find_handler, follow
from tests.tidy.sources import ROOT

pytestmark = pytest.mark.quick


def write_package(folder: Path, modules: Mapping[str, str] | None = None, **named: str) -> Package:
    """Write modules, by their paths without `.py`, and return their package."""
    for name, text in {**(modules or {}), **named}.items():
        path = folder / "packhouse" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), "utf-8")
    return Package(folder / "packhouse")


def way(package: Package) -> Way:
    """Return the way from the handler of the route `push` to `goal`."""
    handler = find_handler(package, "push")
    assert handler is not None
    return follow(package, handler, "goal")


def entered(package: Package) -> list[str]:
    """Return the functions that the way enters, without the name of the package."""
    return [function.id.removeprefix("packhouse.") for function in way(package).entered]


ROUTE = 'ROUTES = (Route("push", "POST", handle),)\n'


def test_imports_of_several_names_of_a_module_count_once(tmp_path: Path) -> None:
    package = write_package(
        tmp_path,
        a="from packhouse.b import one, two\nimport packhouse.b\nimport os\n",
        b="one = two = 1\n",
    )
    assert package.imports() == {"packhouse.a": {"packhouse.b"}, "packhouse.b": set()}


def test_an_import_of_a_module_from_its_folder_counts_the_module(tmp_path: Path) -> None:
    package = write_package(
        tmp_path, {"a": "from packhouse.f import b, NAME\n", "f/b": "", "f/__init__": "NAME = 1\n"}
    )
    assert package.imports()["packhouse.a"] == {"packhouse.f.b", "packhouse.f"}


def test_an_import_of_the_module_itself_does_not_count(tmp_path: Path) -> None:
    assert write_package(tmp_path, a="import packhouse.a\n").imports() == {"packhouse.a": set()}


def test_an_empty_init_file_does_not_count_as_a_module(tmp_path: Path) -> None:
    package = write_package(
        tmp_path, {"__init__": "", "f/__init__": "\n", "f/a": "", "g/__init__": '"""Doc."""\n'}
    )
    assert sorted(package.modules) == ["packhouse.f.a", "packhouse.g"]


def test_a_cycle_is_a_group_in_which_every_module_reaches_every_other() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set(), "e": {"e"}, "f": {"a"}}
    assert circles(graph) == [["b", "c"], ["e"]]


def test_two_cycles_that_share_a_module_are_one() -> None:
    assert circles({"a": {"b"}, "b": {"a", "c"}, "c": {"b"}}) == [["a", "b", "c"]]


def test_folders_of_operations_are_compared_only_with_each_other() -> None:
    graph = {
        "p.operations.refs.a": {"p.operations.catalog.b", "p.db", "p.operations.refs.c"},
        "p.operations.catalog.b": {"p.operations.refs.c"},
        "p.operations.refs.c": set(),
        "p.operations.old": {"p.operations.refs.a"},
        "p.operations_of_others": {"p.operations.old"},
    }
    assert folder_graph(graph, "p.operations") == {
        "refs": {"catalog"},
        "catalog": {"refs"},
        "p.operations": {"refs"},
    }


def test_the_fullest_folder_of_operations_is_counted_separately(tmp_path: Path) -> None:
    package = write_package(
        tmp_path,
        dict.fromkeys(
            ("operations/refs/a", "operations/refs/b", "web/a", "web/b", "web/c", "web/__init__"), "1"
        ),
    )
    assert modules_a_folder(package) == {
        "operations_max": ("packhouse/operations/refs", 2),
        "others_max": ("packhouse/web", 3),
        "average": 2.5,
    }


def test_modules_directly_in_operations_count_for_a_folder_of_operations(tmp_path: Path) -> None:
    found = modules_a_folder(write_package(tmp_path, {"operations/a": "", "operations/b": "", "web/a": ""}))
    assert found["operations_max"] == ("packhouse/operations", 2)


def test_the_lines_of_a_function_go_from_its_def_to_its_last_line(tmp_path: Path) -> None:
    package = write_package(
        tmp_path,
        a="""
        @mark
        def one(): return 1

        class C:
            def three(self):
                def inner():
                    return 2
        """,
    )
    assert lines_a_function(package) == {"p50": 2, "p90": 3, "max": 3}


@pytest.mark.parametrize(("percent", "value"), [(10, 1), (11, 2), (50, 5), (90, 9), (91, 10), (100, 10)])
def test_a_percentile_is_the_smallest_value_that_covers_the_share(percent: int, value: int) -> None:
    assert percentile(range(1, 11), percent) == value


def test_the_ratio_of_tests_counts_python_files_at_any_depth(tmp_path: Path) -> None:
    write_package(tmp_path, {"a": "1\n" * 8, "f/b": "1\n" * 2})
    for name, lines in {
        "tests/a.py": 6,
        "tests/f/b.py": 3,
        "tests/c.js": 99,
        "tests/node_modules/d.py": 99,
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1\n" * lines, "utf-8")
    assert ratio_of_test_lines(tmp_path) == 0.9


def commit(folder: Path, message: str) -> None:
    """Make an empty commit."""
    person = ["-c", "user.name=T", "-c", "user.email=t@example.org"]
    command = ["git", *person, "commit", "-q", "--allow-empty", "-m", message]
    subprocess.run(command, cwd=folder, check=True)


def test_the_share_of_commits_with_a_body_is_taken_from_the_last_fifty(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    for number in range(5):
        commit(tmp_path, f"too long ago {number}\n\nWith a body.")
    for number in range(48):
        commit(tmp_path, f"a subject {number}")
    commit(tmp_path, "two\n\nA body.\n\nWith two paragraphs.")
    commit(tmp_path, "one\n\nA body.")
    assert commits_with_a_body(tmp_path) == 0.04


def test_outside_a_checkout_the_commits_are_left_out(tmp_path: Path) -> None:
    assert commits_with_a_body(tmp_path) is None


def test_a_walk_enters_functions_in_the_order_of_the_text_and_each_once(tmp_path: Path) -> None:
    package = write_package(
        tmp_path,
        web="""
        from packhouse import low
        from packhouse.middle import first, goal

        async def handle():
            low.note()
            first(low.note())
            goal()

        def never(): pass

        """
        + ROUTE,
        middle="""
        from packhouse.low import note

        def first():
            note()
            second()

        def second(): pass

        def goal(): note()
        """,
        low="def note(): pass\n",
    )
    assert entered(package) == ["web:handle", "low:note", "middle:first", "middle:second", "middle:goal"]
    assert count_stays(way(package).entered) == 3


def test_a_call_back_into_a_module_is_another_stay(tmp_path: Path) -> None:
    package = write_package(
        tmp_path,
        web="from packhouse.low import goal, note\n\nasync def handle():\n    note()\n    own()\n    goal()\n\n"
        "def own(): pass\n" + ROUTE,
        low="def note(): pass\n\ndef goal(): pass\n",
    )
    assert entered(package) == ["web:handle", "low:note", "web:own", "low:goal"]
    assert count_stays(way(package).entered) == 4


def test_the_walk_ends_at_its_goal(tmp_path: Path) -> None:
    package = write_package(
        tmp_path,
        web="async def handle():\n    goal()\n    after()\n\ndef goal(): pass\n\ndef after(): pass\n" + ROUTE,
    )
    assert entered(package) == ["web:handle", "web:goal"]


def test_a_function_passed_as_an_argument_counts_as_called(tmp_path: Path) -> None:
    package = write_package(
        tmp_path,
        web="from functools import partial\nfrom packhouse.low import run, goal\n\n"
        "async def handle():\n    await run(partial(goal, 1))\n\n" + ROUTE,
        low="def run(what): what()\n\ndef goal(number): pass\n",
    )
    assert entered(package) == ["web:handle", "low:run", "low:goal"]


METHODS = """
class Base:
    def inherited(self): pass

class Thing(Base):
    left: "Other | None" = None

    def __init__(self): self._other = Other()

    @property
    def other(self) -> "Other": return self._other

    def make(self) -> list["Other"]: return []

class Other:
    def goal(self): pass

def open_thing() -> Thing: return Thing()

def pair() -> tuple[int, Other]: return 1, Other()
"""


@pytest.mark.parametrize(
    "body",
    [
        "Other().goal()",
        "thing.left.goal()",
        "thing._other.goal()",
        "thing.other.goal()",
        "for other in thing.make(): other.goal()",
        "[other.goal() for other in thing.make()]",
        "number, other = pair(); other.goal()",
        "with Other() as other: other.goal()",
        "(thing.left or Other()).goal()",
        "open_thing().other.goal()",
        "low.open_thing().other.goal()",
        "call = lambda: thing.left.goal()",
        "if (other := thing.left): other.goal()",
        "made: Other = something(); made.goal()",
    ],
)
def test_the_class_of_an_object_is_known_by_annotation_constructor_and_result(
    tmp_path: Path, body: str
) -> None:
    package = write_package(
        tmp_path,
        web="from packhouse import low\nfrom packhouse.low import Other, Thing, open_thing, pair\n\n"
        f"async def handle(thing: Thing):\n    {body}\n\n" + ROUTE,
        low=METHODS,
    )
    assert [function.name for function in way(package).chain][-1:] == ["Other.goal"]


def test_a_method_of_a_base_is_found(tmp_path: Path) -> None:
    package = write_package(
        tmp_path,
        web="from packhouse.low import Thing\n\nasync def handle(thing: Thing): thing.inherited()\n\n"
        + ROUTE,
        low=METHODS,
    )
    assert entered(package) == ["web:handle", "low:Base.inherited"]


@pytest.mark.parametrize(
    "body",
    [
        "goal = something(); goal()",  # a variable hides the function of that name
        "x: Other = None",  # an annotation calls nothing
        "isinstance(thing, Other)",  # nor does the name of a class
        "unknown.goal()",
    ],
)
def test_a_function_without_calls_into_the_package_leads_nowhere(tmp_path: Path, body: str) -> None:
    package = write_package(
        tmp_path,
        web="from packhouse.low import Other, goal\n\nasync def handle(thing):\n    " + body + "\n\n" + ROUTE,
        low="class Other:\n    def __init__(self): goal()\n\ndef goal(): pass\n",
    )
    assert way(package).chain == []


@pytest.fixture
def streams(tmp_path: Path) -> Package:
    """Return a package where a protocol has three implementations, one of which is used."""
    return write_package(
        tmp_path,
        web="""
        from packhouse.low import First, Second, Third, Writer

        async def handle():
            run(First())

        def run(writer: Writer):
            writer.write()

        """
        + ROUTE,
        low="""
        from typing import Protocol

        class Writer(Protocol):
            def write(self): ...
            def close(self): ...

        class First:
            def write(self): goal()
            def close(self): pass

        class Second:
            def write(self): goal()
            def close(self): pass

        class Third:
            def write(self): goal()

        def goal(): pass
        """,
    )


def test_a_call_of_a_protocol_enters_the_classes_constructed_before(streams: Package) -> None:
    assert entered(streams) == ["web:handle", "web:run", "low:Writer.write", "low:First.write", "low:goal"]


def test_the_shortest_line_of_calls_leaves_out_side_branches(tmp_path: Path) -> None:
    package = write_package(
        tmp_path,
        web="async def handle():\n    long()\n    short()\n\ndef long(): longer()\n\ndef longer(): goal()\n\n"
        "def short(): goal()\n\ndef goal(): pass\n" + ROUTE,
    )
    assert [function.name for function in way(package).chain] == ["handle", "short", "goal"]


def test_two_attributes_set_from_each_other_have_an_unknown_class(tmp_path: Path) -> None:
    package = write_package(
        tmp_path,
        web="class C:\n    def __init__(self):\n        self.a = self.b\n        self.b = self.a\n\n"
        "async def handle(thing: C): thing.a.goal()\n\n" + ROUTE,
    )
    assert entered(package) == ["web:handle"]


def test_the_handler_of_a_route_stands_anywhere_after_its_name(tmp_path: Path) -> None:
    text = 'def paths(): pass\n\nasync def handle(): pass\n\nROUTE = writing("push", paths, "POST", handle)\n'
    found = find_handler(write_package(tmp_path, web=text), "push")
    assert found is not None
    assert found.id == "packhouse.web:handle"


@pytest.mark.parametrize(
    "call",
    ['Route("push", "POST", handle)', 'Route("push", "POST")', 'Route("pull", "POST", other)', "Route()"],
)
def test_a_route_without_a_handler_of_the_package_is_not_found(tmp_path: Path, call: str) -> None:
    package = write_package(tmp_path, web=f"async def other(): pass\n\nROUTE = {call}\n")
    assert find_handler(package, "push") is None


def test_all_figures_are_printed_even_if_a_path_is_not_found(tmp_path: Path) -> None:
    write_package(tmp_path, a="def one(): pass\n")
    (tmp_path / "tests").mkdir()
    figures = measure(tmp_path)
    assert figures["push"] is None
    assert figures["commits_with_a_body"] is None
    lines = describe(figures)
    assert [line for line in lines if line.endswith(" unknown")] == lines[-5:]


def test_the_command_measures_this_checkout_and_finds_both_paths() -> None:
    command = [sys.executable, "-m", "bench.structure", "--json", str(ROOT)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=300)
    figures = json.loads(done.stdout)
    assert figures["cycles_of_modules"] == []
    assert figures["cycles_of_operations"] == []
    for name in ("push", "commit"):
        assert figures[name]["chain"][-1].endswith(":apply_ref_updates")
        assert figures[name]["own_path"][-1].endswith(":apply_ref_updates")
        assert figures[name]["own_modules"] <= figures[name]["own_stays"] == len(figures[name]["own_path"])
        assert figures[name]["own_stays"] < figures[name]["stays"]
        assert figures[name]["stays"] >= figures[name]["modules"] >= figures[name]["chain_stays"] > 2
    assert figures["push"]["own_stays"] < 20, "\n".join(
        ["a push is easy to follow", *figures["push"]["own_path"]]
    )


def test_the_command_refuses_a_folder_without_a_checkout(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.structure", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"no folder packhouse in {tmp_path}" in done.stderr
