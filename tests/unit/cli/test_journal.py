"""`packhouse journal flush`: of one repository, of full journals, and of all."""

import sqlite3

import pytest

from packhouse.config import Config
from packhouse.node.node import open_node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.tenants.act_as_operator import ActAsOperator, act_as_operator
from packhouse.repository.upkeep.lease import hold_lease
from tests.unit.cli.conftest import Program
from tests.unit.cli.test_repositories import Shop

pytestmark = pytest.mark.quick


@pytest.fixture
def shop(program: Program) -> Shop:
    return Shop(program)


def stored_packs(shop: Shop) -> int:
    return len(list(shop.program.data.glob("repos/*/*/*/objects/pack/*.pack")))


def test_one_repository_is_flushed_by_its_name(shop: Shop) -> None:
    assert stored_packs(shop) == 0
    flushed = shop.program.json("journal", "flush", "acme/apps/shop")
    assert (flushed["repositories"], flushed["rows"], flushed["busy"]) == (1, 2, [])
    assert flushed["bytes"] > 0
    assert stored_packs(shop) == 1
    assert (
        shop.program.run("journal", "flush", "acme/tools/cli") == "stored 0 rows (0 bytes) of 0 repositories"
    )


def test_short_journals_are_flushed_only_with_all(shop: Shop) -> None:
    assert shop.program.json("journal", "flush")["rows"] == 0
    assert stored_packs(shop) == 0
    assert shop.program.json("journal", "flush", "--all")["rows"] == 2
    assert stored_packs(shop) == 1


def test_wrong_arguments_change_nothing(shop: Shop) -> None:
    assert "not ORG/NAME" in shop.program.usage("journal", "flush", "acme")
    assert "not both" in shop.program.usage("journal", "flush", "acme/apps/shop", "--all")
    assert shop.program.failure("journal", "flush", "acme/nothing").code.value == "repository not found"
    assert stored_packs(shop) == 0


def test_a_repository_under_maintenance_is_told(shop: Shop) -> None:
    node = open_node(Config(data=shop.program.data))
    try:
        repo = lookup_repo(node, act_as_operator(node, ActAsOperator("acme")), "apps/shop")
        with hold_lease(node, repo):
            result = shop.program.try_run("journal", "flush", "--all")
            assert result.exit_code == 1
            assert "skipped 1 repositories" in result.stderr
            failure = shop.program.failure("journal", "flush", "acme/apps/shop")
            assert "maintains" in failure.code.value
    finally:
        node.close()
    assert stored_packs(shop) == 0


def test_after_a_flush_of_all_the_release_before_may_open_the_database(shop: Shop) -> None:
    assert lowest_release(shop) == "3"
    assert "release 2 may open the database" in shop.program.run("journal", "flush", "--all")
    assert lowest_release(shop) == "2"
    shop.program.run("repo", "list", "acme")
    assert lowest_release(shop) == "3", "a command of this release takes the database back"
    assert shop.program.json("journal", "flush", "acme/apps/shop")["older_release"] is None
    assert shop.program.json("journal", "flush", "--all")["older_release"] == 2


def lowest_release(shop: Shop) -> str:
    with sqlite3.connect(shop.program.data / "packhouse.db") as connection:
        (value,) = connection.execute("SELECT value FROM settings WHERE name = 'lowest_release'").fetchone()
    connection.close()
    return str(value)
