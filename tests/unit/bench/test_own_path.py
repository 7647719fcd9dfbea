"""The own path of a request, on packages made up for it."""

from pathlib import Path

import pytest

from bench.structure.figures import way_figures
from bench.structure.own_path import find_common, follow_own_path
from bench.structure.source import Package
from bench.structure.walk import find_handler
from tests.unit.bench.test_structure import write_package

pytestmark = pytest.mark.quick

ROUTES = 'ROUTES = (Route("push", "POST", push), Route("get", "GET", get))\n'


def own_path(package: Package) -> list[str]:
    """Return the functions of the own path of the route `push`, without the name of the package."""
    handler = find_handler(package, "push")
    assert handler is not None
    path = follow_own_path(package, handler, "goal", find_common(package, "goal"))
    return [function.id.removeprefix("packhouse.") for function in path]


def test_a_path_leaves_out_what_a_request_enters_that_never_reaches_the_goal(tmp_path: Path) -> None:
    package = write_package(
        tmp_path,
        {
            "web/a": "from packhouse.operations.b import check, log, move\n\n"
            "async def push():\n    log()\n    check()\n    move()\n\nasync def get():\n    log()\n\n"
            + ROUTES,
            "operations/b": "from packhouse.db.c import goal, read, row\n\n"
            "def log(): read()\n\ndef check(): row()\n\ndef move(): goal()\n",
            "db/c": "def read(): pass\n\ndef row(): pass\n\ndef goal(): pass\n",
        },
    )
    assert find_common(package, "goal") == {
        "packhouse.web.a:get",
        "packhouse.operations.b:log",
        "packhouse.db.c:read",
    }
    assert own_path(package) == ["web.a:push", "operations.b:check", "operations.b:move", "db.c:goal"]


def test_a_common_function_is_passed_by_with_all_that_only_it_calls(tmp_path: Path) -> None:
    package = write_package(
        tmp_path,
        {
            "web/a": "from packhouse.operations.b import begin, move\n\n"
            "async def push():\n    begin()\n    move()\n\nasync def get():\n    begin()\n\n" + ROUTES,
            "operations/b": "from packhouse.db.c import goal, row\n\ndef begin(): row()\n\ndef move(): goal()\n",
            "db/c": "def row(): pass\n\ndef goal(): pass\n",
        },
    )
    assert own_path(package) == ["web.a:push", "operations.b:move", "db.c:goal"]


def test_a_function_that_stays_in_its_module_is_not_on_the_path(tmp_path: Path) -> None:
    package = write_package(
        tmp_path,
        {
            "web/a": "from packhouse.operations.b import inner, outer, text\n\n"
            "async def push():\n    text()\n    inner()\n    outer()\n\nasync def get(): pass\n\n" + ROUTES,
            "operations/b": "from packhouse.db.c import goal\n\ndef text(): _join()\n\ndef _join(): text()\n\n"
            "def inner(): _call()\n\ndef _call(): goal()\n\ndef outer(): text()\n",
            "db/c": "def goal(): pass\n",
        },
    )
    assert own_path(package) == ["web.a:push", "operations.b:inner", "operations.b:_call", "db.c:goal"]


def test_a_call_of_a_common_function_alone_does_not_lead_out_of_a_module(tmp_path: Path) -> None:
    package = write_package(
        tmp_path,
        {
            "web/a": "from packhouse.db.c import goal, read\nfrom packhouse.operations.b import ask\n\n"
            "async def push():\n    ask()\n    goal()\n\nasync def get(): read()\n\n" + ROUTES,
            "operations/b": "from packhouse.db.c import read\n\ndef ask(): read()\n",
            "db/c": "def read(): pass\n\ndef goal(): pass\n",
        },
    )
    assert own_path(package) == ["web.a:push", "db.c:goal"]


def test_the_packages_below_are_not_on_the_path_though_a_call_of_them_leads_out(tmp_path: Path) -> None:
    package = write_package(
        tmp_path,
        {
            "web/a": "from packhouse.repository.b import store\n\n"
            "async def push(): store()\n\nasync def get(): pass\n\n" + ROUTES,
            "repository/b": "from packhouse.db.d import goal\nfrom packhouse.storage.c import put\n\n"
            "def store():\n    put()\n    _row()\n    goal()\n\ndef _row(): pass\n",
            "storage/c": "from packhouse.db.d import note\n\ndef put(): note()\n",
            "db/d": "def note(): pass\n\ndef goal(): pass\n",
            "website": "def outside(): pass\n",
        },
    )
    assert own_path(package) == ["web.a:push", "repository.b:store", "db.d:goal"]


def test_each_run_of_a_module_on_the_path_is_a_stay(tmp_path: Path) -> None:
    package = write_package(
        tmp_path,
        {
            "web/a": "from packhouse.operations.b import check, move\n\n"
            "async def push():\n    check()\n    _then()\n\ndef _then(): move()\n\nasync def get(): pass\n\n"
            + ROUTES,
            "operations/b": "from packhouse.db.c import goal, row\n\ndef check(): row()\n\ndef move(): goal()\n",
            "db/c": "def row(): pass\n\ndef goal(): pass\n",
        },
    )
    figures = way_figures(package, "push", find_common(package, "goal"), goal="goal")
    assert figures is not None
    assert (figures["own_stays"], figures["own_modules"]) == (5, 3)
    assert figures["own_path"][2:4] == ["packhouse.web.a:_then", "packhouse.operations.b:move"]


def test_a_method_that_a_class_takes_from_a_module_is_a_call_of_it(tmp_path: Path) -> None:
    package = write_package(
        tmp_path,
        {
            "web/a": "from packhouse.repository.b import Git\n\n"
            "async def push(git: Git): git.move(1)\n\nasync def get(): pass\n\n" + ROUTES,
            "repository/b": "from packhouse.commands import c\n\nclass Git:\n    move = c.goal\n",
            "commands/c": "def goal(runner, number): pass\n",
        },
    )
    assert own_path(package) == ["web.a:push", "commands.c:goal"]
