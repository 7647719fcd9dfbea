"""A data folder with one repository. Processes are killed while they work on it, then its state is checked."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from packhouse.auth.principal import Principal, operator_principal
from packhouse.config import Config
from packhouse.db.packs import list_known_packs
from packhouse.db.refs import list_refs
from packhouse.db.repos import Repo, RepoNotFound, find_repo_by_public_id
from packhouse.git.oid import Oid, hash_object
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.operations.tenants.create_org import CreateOrg, create_org
from packhouse.repository.upkeep.sweep import sweep
from packhouse.repository.view import RepoView
from tests.support.builders import pack_works
from tests.support.builders.node_writes import commit_files
from tests.support.builders.pack_works import (
    START,
    age_views,
    fork_all,
    open_steady_node,
    push_file,
    tip_of,
    work_and_die,
)
from tests.support.builders.packs import pack_dir
from tests.support.clients.git import Git
from tests.support.killed_steps import Step, run_and_be_killed


class Shop:
    """A data folder with the repository `shop`, and the commits that clients were told are in it."""

    def __init__(self, config: Config, folder: Path) -> None:
        self.config = config
        self._folder = folder
        self._told = folder / "told"
        self._commits: list[Oid] = []
        self._clones = 0
        self.git = Git(folder / "home")
        node = open_steady_node(config)
        org = create_org(node, CreateOrg("acme"))
        self.caller: Principal = operator_principal(org.id, org.name)
        create_repo(node, self.caller, CreateRepo("shop"))
        node.close()

    def change(self, work: Callable[[Node], Oid | None]) -> None:
        """Do some work in a process that ends normally. A commit that it returns counts as acknowledged."""
        node = open_steady_node(self.config)
        commit = work(node)
        if commit is not None:
            self._commits.append(commit)
        node.close()

    def fill(self) -> None:
        """Give it packs of commits and of a push."""
        node = open_steady_node(self.config)
        for number in range(3):
            moved = commit_files(node, self.caller, "shop", "main", {"f": b"file %d" % number})
            self._commits.append(moved.commit)
        self._commits.append(push_file(node, self.caller, b"pushed first"))
        node.close()

    def die(self, work: str, step: Step) -> None:
        """Let another process do that work, and be killed at the step."""
        run_and_be_killed(pack_works.__name__, work_and_die, self.config, self.caller, work, step, self._told)

    @property
    def acknowledged(self) -> list[Oid]:
        """The acknowledged commits, those of killed processes last."""
        told = self._told.read_text().split() if self._told.exists() else []
        return [*self._commits, *map(Oid, told)]

    def check_readable(self, node: Node, *, is_done: bool = False) -> None:
        """Read everything, in this process and by a clone from git. Check that main has the right value."""
        tip = tip_of(node, self.caller)
        history = self.clone(node, "shop")
        acknowledged = self.acknowledged
        assert set(acknowledged) <= set(history), "acknowledged commits are lost"
        assert tip == (history[0] if history else None)
        assert len(history) == len(acknowledged) + is_done
        with RepoView(node, lookup_repo(node, self.caller, "shop")) as view:
            for commit in history:
                assert view.read(commit)[0] == "commit"
            in_flight = hash_object("blob", pack_works.IN_FLIGHT)
            if is_done:
                assert view.read(in_flight) == ("blob", pack_works.IN_FLIGHT)

    def clone(self, node: Node, name: str) -> list[Oid]:
        """Clone a repository as git sees it, and check it for faults. Return the commits, newest first."""
        repo = lookup_repo(node, self.caller, name)
        with node.database.read() as session:
            refs = list_refs(session, repo.id)
        if not refs:
            return []
        self._clones += 1
        shown, clone = self._folder / f"shown{self._clones}", self._folder / f"clone{self._clones}"
        with RepoView(node, repo) as view:
            self.git.run("init", "--quiet", "--bare", shown)
            place = view.place()
            folders = [folder for folder in (place.object_dir, *place.beneath) if folder is not None]
            alternates = "".join(f"{folder}\n" for folder in folders)
            (shown / "objects" / "info" / "alternates").write_text(alternates)
            lines = [f"{ref.oid} {ref.refname.decode()}\n" for ref in refs]
            (shown / "packed-refs").write_text("# pack-refs with: sorted \n" + "".join(lines))
            self.git.run("clone", "--quiet", "--mirror", "--no-local", shown, clone)
            self.git.run("fsck", "--strict", "--full", "--no-dangling", cwd=shown)
        self.git.run("fsck", "--strict", "--full", cwd=clone)
        return [Oid(line) for line in self.git.run("rev-list", "main", cwd=clone).split()]

    def check_swept(self) -> None:
        """Sweep as if some time had passed. Check that rows and files agree, and that nothing else is left."""
        age_views(self.config.data)
        node = open_steady_node(self.config)
        node.clock = lambda: START + 2 * node.limits.incoming_grace_s
        sweep(node)
        assert not list((self.config.data / "views").iterdir()), "folders are left that nobody holds"
        for folder in self.config.data.glob("repos/*/*/*"):
            with node.database.read() as session:
                repo = find_repo_by_public_id(session, folder.name)
            assert repo is not None
            self.check_rows(node, repo, state="live")
        node.close()
        assert not list((self.config.data / "quarantine").iterdir())

    def check_rows(self, node: Node, repo: Repo, *, state: str) -> None:
        """Check that the files of the repository are those of its rows, all in that state."""
        with node.database.read() as session:
            known = list_known_packs(session, repo.id)
        assert {one.value for one in known.values()} <= {state}
        folder = pack_dir(node, repo)
        files = set(os.listdir(folder)) if folder.exists() else set()
        packs = {f"pack-{name}{suffix}" for name in known for suffix in (".pack", ".idx")}
        assert {name for name in files if not name.endswith(".rev")} == packs
        assert {f"{name[:-4]}.pack" for name in files if name.endswith(".rev")} <= packs


def survive(shop: Shop, work: str, step: Step) -> None:
    """Die at the step. Check that everything is there, that writes work, and that nothing is left behind."""
    shop.die(work, step)
    check_after(shop, work, step)


def check_after(shop: Shop, work: str, step: Step) -> None:
    """After that death, check that everything is there, that writes work, and that nothing is left behind."""
    node = open_steady_node(shop.config)
    is_fork = work == "fork"
    shop.check_readable(node, is_done=step.is_done and not is_fork)
    moved = tip_of(node, shop.caller) if step.is_done and not is_fork else None
    if is_fork and not step.is_done:
        with pytest.raises(RepoNotFound):
            lookup_repo(node, shop.caller, "fork")
        fork_all(node, shop.caller)  # the name is free again
    if is_fork:
        assert shop.clone(node, "fork") == shop.acknowledged[::-1]
    node.close()
    if moved is not None:
        shop.change(lambda _: moved)  # the client asks, and learns of it
    shop.change(lambda node: commit_files(node, shop.caller, "shop", "main", {"after": b"after"}).commit)
    shop.check_swept()
    node = open_steady_node(shop.config)
    shop.check_readable(node)
    if is_fork:
        assert set(shop.clone(node, "fork")) < set(shop.acknowledged)
    node.close()
