"""A demo organisation with a key, a first repository to clone, and the repository of the documentation's examples."""

from dataclasses import dataclass
from typing import Final

from packhouse.auth import Principal, PrivateKey, public_pem_of
from packhouse.db import OrgExists, Repo, RepoExists, RepoNotFound, find_repo, has_branches
from packhouse.git import PERSISTENT, branch_refname
from packhouse.git.objects import MODE_FILE, Person, TreePath
from packhouse.node import Node, read_or_make_key
from packhouse.operations.commits.add_commit import CommitFacts
from packhouse.operations.commits.commit_target import CommitTarget
from packhouse.operations.commits.start_commit import FileChange, StartCommit, start_commit
from packhouse.operations.demo.prepare_shop import PrepareShop, prepare_shop
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.operations.tenants.act_as_operator import ActAsOperator, act_as_operator
from packhouse.operations.tenants.add_key import AddKey, KeyExists, add_key
from packhouse.operations.tenants.create_org import CreateOrg, create_org

KEY_FILE: Final = "demo-key.pem"

_README: Final = b"""\
# Hello

`packhouse demo` made this repository. Clone it, commit to it over HTTP, push to it.
"""


@dataclass(frozen=True, slots=True)
class Demo:
    """The parts of the demo. `key_path` is the file with the organisation's private key."""

    org: str
    repo: str
    shop: str
    branch: str
    key: PrivateKey
    key_path: str


@dataclass(frozen=True, slots=True)
class PrepareDemo:
    """The names of the organisation, its first repository, and the repository of the documentation's examples."""

    org: str = "demo"
    repo: str = "hello"
    shop: str = "apps/shop"


def prepare_demo(node: Node, command: PrepareDemo) -> Demo:
    """Make the missing parts of the demo, and return it. Existing parts are not changed.

    It may be interrupted at any point and run again. Raises KeyRejected when the key file is damaged.
    """
    _tolerate_existing_org(node, command.org)
    key_path = node.config.data.absolute() / KEY_FILE
    key = read_or_make_key(key_path)
    _tolerate_existing_key(node, command.org, key)
    caller = act_as_operator(node, ActAsOperator(command.org))
    _tolerate_existing_repo(node, caller, command.repo)
    with node.database.read() as session:
        repo = find_repo(session, caller.org_id, command.repo)
        if repo is None:
            raise RepoNotFound(command.repo)
        is_empty = not has_branches(session, repo.id, PERSISTENT)
    if is_empty:
        _make_first_commit(node, caller, repo)
    prepare_shop(node, caller, PrepareShop(command.shop))
    return Demo(
        org=command.org,
        repo=repo.name,
        shop=command.shop,
        branch=repo.default_branch,
        key=key,
        key_path=str(key_path),
    )


def _tolerate_existing_org(node: Node, name: str) -> None:
    try:
        create_org(node, CreateOrg(name))
    except OrgExists:
        return


def _tolerate_existing_key(node: Node, org: str, key: PrivateKey) -> None:
    try:
        add_key(node, AddKey(org, public_pem=public_pem_of(key), label="made by packhouse demo"))
    except KeyExists:
        return


def _tolerate_existing_repo(node: Node, caller: Principal, name: str) -> None:
    try:
        create_repo(node, caller, CreateRepo(name))
    except RepoExists:
        return


def _make_first_commit(node: Node, caller: Principal, repo: Repo) -> None:
    person = Person("Packhouse", "demo@packhouse.example", node.clock(), "+0000")
    facts = CommitFacts(b"Say hello\n", author=person, committer=person)
    target = CommitTarget(PERSISTENT, branch_refname(repo.default_branch))
    files = [FileChange(TreePath(b"README.md"), "readme", MODE_FILE)]
    with start_commit(node, caller, StartCommit(repo.name, target, facts, files)) as commit:
        commit.add_chunk("readme", _README, eof=True)
        commit.commit()
