"""Commands on repositories and their refs."""

import re

import pytest

from packhouse.auth.principal import Principal, operator_principal
from packhouse.config import Config
from packhouse.errors import Conflict, Invalid, NotFound
from packhouse.git.oid import ZERO_OID
from packhouse.node.node import open_node
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.operations.tenants.orgs import read_org
from tests.support.builders.node_writes import commit_files
from tests.unit.cli.conftest import Program

pytestmark = pytest.mark.quick


class Shop:
    """The organisation acme with the repository apps/shop, whose main has two commits."""

    def __init__(self, program: Program) -> None:
        self.program = program
        program.run("org", "create", "acme")
        node = open_node(Config(data=program.data))
        try:
            with node.database.read() as session:
                org = read_org(session, "acme")
            caller: Principal = operator_principal(org.id, org.name)
            for name in ("apps/shop", "tools/cli"):
                create_repo(node, caller, CreateRepo(name))
            self.first = commit_files(node, caller, "apps/shop", "main", {"a": b"1"}).commit
            self.second = commit_files(node, caller, "apps/shop", "main", {"a": b"2"}).commit
        finally:
            node.close()

    def log(self, *args: str) -> list[tuple[str, str, str]]:
        """Return (ref, old, new) of each entry."""
        moves = self.program.json("ref", "log", "acme", "apps/shop", *args)
        return [(move["ref"], move["old_sha"], move["new_sha"]) for move in moves]


@pytest.fixture
def shop(program: Program) -> Shop:
    return Shop(program)


MAIN = "refs/heads/main"


def test_repositories_are_listed_oldest_first_and_by_a_part_of_their_name(shop: Shop) -> None:
    listed = shop.program.json("repo", "list", "acme")
    assert [repo["name"] for repo in listed] == ["apps/shop", "tools/cli"]
    found = shop.program.json("repo", "list", "acme", "--search", "cli")
    assert [repo["name"] for repo in found] == ["tools/cli"]
    lines = shop.program.run("repo", "list", "acme").splitlines()
    assert lines[0].split() == ["NAME", "DEFAULT", "BRANCH", "CREATED", "AT", "EXPIRES", "AT", "REPO", "ID"]
    assert lines[1].startswith("apps/shop  main ")


def test_a_repository_is_shown_by_its_exact_name(shop: Shop) -> None:
    shown = shop.program.json("repo", "show", "acme", "apps/shop")
    assert re.fullmatch(r"repo_[0-9a-z]+", shown["repo_id"])
    assert shown["default_branch"] == "main"
    assert f"repo id         {shown['repo_id']}" in shop.program.run("repo", "show", "acme", "apps/shop")
    assert isinstance(shop.program.failure("repo", "show", "acme", "Apps/shop"), NotFound)


def test_a_deleted_repository_is_gone_until_it_is_brought_back(shop: Shop) -> None:
    program = shop.program
    repo_id = program.json("repo", "show", "acme", "apps/shop")["repo_id"]
    assert program.run("repo", "delete", "acme", "apps/shop") == f"deleted apps/shop ({repo_id})"
    assert [repo["name"] for repo in program.json("repo", "list", "acme")] == ["tools/cli"]
    assert isinstance(program.failure("repo", "show", "acme", "apps/shop"), NotFound)
    assert isinstance(program.failure("repo", "delete", "acme", "apps/shop"), Conflict)
    assert program.run("repo", "undelete", "acme", "apps/shop") == f"brought back apps/shop ({repo_id})"
    assert shop.log()[0] == (MAIN, shop.first, shop.second)


def test_the_ref_log_is_shown_newest_first(shop: Shop) -> None:
    assert shop.log() == [(MAIN, shop.first, shop.second), (MAIN, ZERO_OID, shop.first)]
    assert shop.log("main", "--limit", "1") == [(MAIN, shop.first, shop.second)]
    assert shop.log(MAIN) == shop.log("main") == shop.log()
    assert shop.log("other") == []
    assert shop.log("main", "--ephemeral") == []
    line = shop.program.run("ref", "log", "acme", "apps/shop").splitlines()[1]
    assert line.split()[-2:] == ["test", "operator"]


def test_a_ref_is_restored_to_its_value_before_an_entry(shop: Shop) -> None:
    entry = shop.program.json("ref", "log", "acme", "apps/shop")[0]["id"]
    said = shop.program.run("ref", "restore", "acme", "apps/shop", "main", "--entry", str(entry))
    assert said == f"{MAIN} was at {shop.second}, is at {shop.first}"
    assert shop.log()[0] == (MAIN, shop.second, shop.first)


def test_a_ref_is_restored_to_its_value_at_a_time(shop: Shop) -> None:
    restored = shop.program.json(
        "ref", "restore", "acme", "apps/shop", "main", "--at", "2999-01-01T00:00:00Z"
    )
    assert restored == {"ref": MAIN, "old_sha": shop.second, "new_sha": shop.second}
    failure = shop.program.failure("ref", "restore", "acme", "apps/shop", "main", "--at", "1999-01-01")
    assert isinstance(failure, NotFound | Invalid)


@pytest.mark.parametrize(
    "args", [[], ["--at", "2026-01-01", "--entry", "1"], ["--entry", "one"], ["--limit", "0"]]
)
def test_a_restore_needs_either_a_time_or_an_entry(shop: Shop, args: list[str]) -> None:
    assert "Usage" in shop.program.usage("ref", "restore", "acme", "apps/shop", "main", *args)


def test_text_that_is_not_a_date_is_refused(shop: Shop) -> None:
    failure = shop.program.failure("ref", "restore", "acme", "apps/shop", "main", "--at", "yesterday")
    assert isinstance(failure, Invalid)


def test_a_repository_without_unlisted_packs_has_nothing_to_adopt(shop: Shop) -> None:
    assert shop.program.run("repo", "adopt", "acme", "apps/shop") == "no unlisted packs"
    assert shop.program.run("repo", "adopt", "acme", "--json") == ""


# Deleting by prefix


def names(program: Program) -> list[str]:
    return [repo["name"] for repo in program.json("repo", "list", "acme")]


def test_repositories_are_deleted_by_the_start_of_their_names(shop: Shop) -> None:
    program = shop.program
    said = program.run("repo", "delete", "acme", "--prefix", "apps/", "--yes")
    assert said == "deleted 1 repositories"
    assert names(program) == ["tools/cli"]
    assert program.json("repo", "delete", "acme", "--prefix", "tools", "--yes") == {"deleted": 1}
    assert names(program) == []


def test_a_prefix_that_no_name_has_is_done_without_a_question(shop: Shop) -> None:
    assert shop.program.run("repo", "delete", "acme", "--prefix", "Apps/") == "deleted 0 repositories"
    assert len(names(shop.program)) == 2


def test_without_a_terminal_nothing_is_deleted_unasked(shop: Shop) -> None:
    said = shop.program.usage("repo", "delete", "acme", "--prefix", "apps/")
    assert "1 repositories of acme have names that start with 'apps/'" in said
    assert "--yes" in said
    assert len(names(shop.program)) == 2


def test_a_deletion_needs_either_a_name_or_a_prefix(shop: Shop) -> None:
    for args in ([], ["apps/shop", "--prefix", "apps/"], ["--yes"]):
        assert "either NAME or --prefix" in shop.program.usage("repo", "delete", "acme", *args)
    assert isinstance(shop.program.failure("repo", "delete", "acme", "--prefix", "", "--yes"), Invalid)
    assert len(names(shop.program)) == 2
