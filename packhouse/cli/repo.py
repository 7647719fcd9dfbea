"""`packhouse repo`: look at repositories, delete them and bring them back."""

import sys
from collections.abc import Iterator

import click

from packhouse.auth import Principal
from packhouse.cli.command import PackhouseGroup
from packhouse.cli.node import opened_node
from packhouse.cli.output import Record, json_option, print_outcome, print_record, print_table, time_text
from packhouse.clock import format_timestamp
from packhouse.limits import page_max
from packhouse.node import Node
from packhouse.operations.packs.adopt_packs import AdoptPacks, adopt_packs
from packhouse.operations.removal.count_repos import CountRepos, count_repos
from packhouse.operations.removal.delete_repos import DeleteRepos, delete_repos
from packhouse.operations.repos.delete_repo import DeleteRepo, delete_repo
from packhouse.operations.repos.get_repo import GetRepo, get_repo
from packhouse.operations.repos.list_repos import ListRepos, list_repos
from packhouse.operations.repos.repo_info import RepoInfo
from packhouse.operations.repos.undelete_repo import UndeleteRepo, undelete_repo
from packhouse.operations.tenants.act_as_operator import ActAsOperator, act_as_operator


@click.group("repo", cls=PackhouseGroup)
def command() -> None:
    """Repositories of an organisation."""


@command.command("list")
@click.argument("org")
@click.option("--search", default="", metavar="TEXT", help="Only repositories with TEXT in their name.")
@json_option
def list_(*, org: str, search: str, as_json: bool) -> None:
    """List the repositories of ORG, oldest first."""
    with opened_node() as node:
        records = [
            _record(repo) for repo in _iter_repos(node, act_as_operator(node, ActAsOperator(org)), search)
        ]
    print_table(records, ["name", "default_branch", "created_at", "expires_at", "repo_id"], as_json=as_json)


@command.command("show")
@click.argument("org")
@click.argument("name")
@json_option
def show(*, org: str, name: str, as_json: bool) -> None:
    """Show the repository NAME of ORG."""
    with opened_node() as node:
        repo = get_repo(node, act_as_operator(node, ActAsOperator(org)), GetRepo(name))
    print_record(_record(repo), as_json=as_json)


@command.command("delete")
@click.argument("org")
@click.argument("name", required=False)
@click.option("--prefix", metavar="TEXT", help="Delete all repositories whose names start with TEXT.")
@click.option("--yes", is_flag=True, help="Do not ask before deleting by --prefix.")
@json_option
def delete(*, org: str, name: str | None, prefix: str | None, yes: bool, as_json: bool) -> None:
    """Delete the repository NAME of ORG, or with --prefix many.

    Nobody can reach them from then on; their files go some time later. TEXT is taken literally, and case matters.
    """
    if (name is None) == (prefix is None):
        raise click.UsageError("give either NAME or --prefix")
    with opened_node() as node:
        operator = act_as_operator(node, ActAsOperator(org))
        if prefix is not None:
            _delete_prefixed(node, operator, prefix, yes=yes, as_json=as_json)
            return
        assert name is not None, "one of the two was given"
        deleted = delete_repo(node, operator, DeleteRepo(name))
    print_outcome(
        {"repo_id": deleted.public_id, "name": deleted.name},
        f"deleted {deleted.name} ({deleted.public_id})",
        as_json=as_json,
    )


def _delete_prefixed(node: Node, operator: Principal, prefix: str, *, yes: bool, as_json: bool) -> None:
    """Say how many repositories have the prefix, ask, and delete them."""
    count = count_repos(node, operator, CountRepos(prefix))
    if count and not yes:
        _ask(f"{count} repositories of {operator.org_name} have names that start with {prefix!r}")
    deleted = 0
    has_more = count > 0
    while has_more:
        page = delete_repos(node, operator, DeleteRepos(prefix))
        deleted += len(page.repos)
        has_more = page.has_more
    print_outcome({"deleted": deleted}, f"deleted {deleted} repositories", as_json=as_json)


def _ask(facts: str) -> None:
    """Ask on the terminal whether to delete. Raise UsageError without one, and ClickException for another answer."""
    if not sys.stdin.isatty():
        raise click.UsageError(f"{facts}: nothing deleted without --yes")
    if not click.confirm(f"{facts}. Delete them?", err=True):
        raise click.ClickException("nothing deleted")


@command.command("undelete")
@click.argument("org")
@click.argument("name")
@json_option
def undelete(*, org: str, name: str, as_json: bool) -> None:
    """Bring back the repository NAME of ORG, until its files are removed."""
    with opened_node() as node:
        undeleted = undelete_repo(node, act_as_operator(node, ActAsOperator(org)), UndeleteRepo(name))
    print_outcome(
        {"repo_id": undeleted.public_id, "name": undeleted.name},
        f"brought back {undeleted.name} ({undeleted.public_id})",
        as_json=as_json,
    )


@command.command("adopt")
@click.argument("org")
@click.argument("name", required=False)
@json_option
def adopt(*, org: str, name: str | None, as_json: bool) -> None:
    """List packs in the folder of NAME that the database does not know; without NAME, of all repositories of ORG.

    For a database that was restored from a backup which is older than the packs.
    """
    with opened_node() as node:
        operator = act_as_operator(node, ActAsOperator(org))
        names = [name] if name is not None else [repo.name for repo in _iter_repos(node, operator, "")]
        adopted = {
            each: packs for each in names if (packs := adopt_packs(node, operator, AdoptPacks(each)).names)
        }
    for each, packs in adopted.items():
        print_outcome({"name": each, "packs": packs}, f"listed {len(packs)} packs of {each}", as_json=as_json)
    if not adopted and not as_json:
        click.echo("no unlisted packs")


def _iter_repos(node: Node, operator: Principal, search: str) -> Iterator[RepoInfo]:
    cursor: str | None = None
    while True:
        page = list_repos(node, operator, ListRepos(search, cursor, page_max))
        yield from page.repos
        if page.cursor is None:
            return
        cursor = page.cursor


def _record(repo: RepoInfo) -> Record:
    return {
        "repo_id": repo.public_id,
        "repository_id": repo.id,
        "name": repo.name,
        "default_branch": repo.default_branch,
        "created_at": format_timestamp(repo.created_at),
        "expires_at": time_text(repo.expires_at),
    }
