"""SIGKILL at each step in the life of a stored pack and of its view folders: acknowledged commits are readable.

Every write stores a pack. After the restart and a sweep each row has its file, and each file its row.
"""

from pathlib import Path
from typing import Final

import pytest

from packhouse.config import Config
from packhouse.db.repos import Repo, RepoNotFound, find_repo_by_public_id
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.packs.clean_repo import CleanRepo, clean_repo
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.operations.repos.delete_repo import DeleteRepo, delete_repo
from packhouse.operations.repos.undelete_repo import UndeleteRepo, undelete_repo
from tests.support.builders.pack_works import open_steady_node
from tests.support.builders.packs import pack_dir
from tests.support.killed_shop import Shop, survive
from tests.support.killed_steps import Step, after, before, cases
from tests.support.servers.postgres import PostgresServer

STORE: Final = "packhouse.storage.disk.store"
DISK: Final = f"{STORE}:DiskPackStore"
VIEWS: Final = "packhouse.storage.disk.views"
WRITE: Final = "packhouse.repository.write:Write"
PACKS: Final = "packhouse.repository.stored_packs"
JOIN: Final = "packhouse.repository.upkeep.consolidate"
REFS: Final = "packhouse.repository.refs.writer"
CLEAN: Final = "packhouse.operations.packs.clean_repo"

FIRST: Final = (
    before("incoming row committed", DISK, "put"),
    after("folder made, no repository yet", STORE, "make_folders"),
)
STORING: Final = (
    before("incoming row not committed", PACKS, "insert_incoming_pack"),
    before("incoming row committed", DISK, "put"),
    before("pack moved in without idx", "os", "rename", r"/repos/\S+\.idx$"),
    after("stored", DISK, "put"),
)
LISTING: Final = (
    before("refs moved, not committed", REFS, "record_pushes"),
    before("refs committed", WRITE, "keep_published", is_done=True),
)
REPLACING: Final = (
    before("replacement not begun", JOIN, "replace_packs"),
    after("replacement not committed", JOIN, "replace_packs"),
    before("replacement committed", WRITE, "keep_published"),
    before("joined packs retired", JOIN, "sweep_packs"),
)
DELETING: Final = (
    after("deleting not committed", PACKS, "start_deleting"),
    before("deleting committed", DISK, "delete"),
    before("idx gone, pack there", "os", "unlink", r"/repos/\S+\.pack$"),
    after("pack gone", "os", "unlink", r"/repos/\S+\.pack$"),
    before("files gone, rows there", PACKS, "delete_pack_rows"),
    after("rows gone, not committed", PACKS, "delete_pack_rows"),
    before("rows gone", PACKS, "_remove_unborn"),
)
SHOWING: Final = (
    after("folder of the repository made", "os", "mkdir", r"/views/repo_\w+( |$)"),
    after("folder of the view made", "os", "mkdir", r"/views/repo_\w+/[0-9a-f]+( |$)"),
    after("folder for its packs made", "os", "mkdir", r"/views/\S+/pack( |$)"),
    after("pack linked without idx", VIEWS, "link_or_copy", r"/views/\S+\.pack$"),
    after("first pack linked", VIEWS, "link_or_copy", r"/views/\S+\.idx$"),
)
FORKING: Final = (
    after("pack linked without idx", STORE, "link_or_copy", r"/repos/\S+\.pack$"),
    after("packs linked", PACKS, "_put"),
    before("refs committed", WRITE, "keep_published", is_done=True),
)
ADOPTING: Final = (
    after("old index gone", "os", "unlink", "multi-pack-index"),
    before("folder surveyed", "packhouse.repository.packs", "adopt_packs"),
    after("adopted, not committed", "packhouse.repository.packs", "adopt_packs"),
    after("adoption committed", "packhouse.repository.upkeep.sweep", "adopt"),
)
CLEANING: Final = (
    after("deleting not committed", CLEAN, "start_deleting_all"),
    before("deleting committed", DISK, "remove_repo"),
    after("first pack gone", "os", "unlink", r"\.pack$"),
    after("first folder gone", "os", "rmdir"),
    before("folder gone, rows there", CLEAN, "delete_rows_of_repos"),
    after("rows gone, not committed", CLEAN, "delete_rows_of_repos"),
    before("rows gone, not said", "packhouse.db.clean_repo", "mark_repos_cleaned"),
)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A shop without an object."""
    return Shop(Config(data=tmp_path / "data", journal_max_bytes=0), tmp_path)


@pytest.mark.parametrize(
    ("work", "step"),
    cases(
        commit=STORING + LISTING,
        commit_again=STORING[1:] + LISTING,
        push=STORING + LISTING,
        lose_a_race=DELETING,
        join=STORING + REPLACING + DELETING,
        join_by_git=STORING[2:] + REPLACING[:1],
        sweep=DELETING[:-1],
        sweep_views=(after("view renamed", "os", "rename", r"/views/\S+/\.gone-"),),
        read=SHOWING,
        fork=FORKING,
    ),
)
def test_a_process_killed_at_a_step_loses_nothing_and_leaves_nothing(
    shop: Shop, work: str, step: Step
) -> None:
    shop.fill()
    survive(shop, work, step)


@pytest.mark.parametrize(("work", "step"), cases(commit=FIRST + STORING[2:] + LISTING))
def test_a_process_killed_in_the_first_commit_leaves_an_empty_or_a_complete_repository(
    shop: Shop, work: str, step: Step
) -> None:
    survive(shop, work, step)


@pytest.mark.parametrize(
    ("work", "step"),
    cases(commit=LISTING, push=STORING[2:3], join=REPLACING[2:3] + DELETING[4:5], fork=FORKING[2:]),
)
def test_a_process_killed_at_a_step_loses_nothing_with_the_database_elsewhere(
    postgres_server: PostgresServer, tmp_path: Path, work: str, step: Step
) -> None:
    database = postgres_server.new_database()
    shop = Shop(Config(data=tmp_path / "data", database=database, journal_max_bytes=0), tmp_path)
    shop.fill()
    survive(shop, work, step)


@pytest.mark.parametrize(("work", "step"), cases(adopt=ADOPTING))
def test_a_process_killed_during_the_adoption_of_a_repository_loses_nothing(
    shop: Shop, work: str, step: Step
) -> None:
    shop.fill()
    shop.change(lambda node: as_of_an_earlier_release(node, lookup_repo(node, shop.caller, "shop")))
    survive(shop, work, step)


def as_of_an_earlier_release(node: Node, repo: Repo) -> None:
    """Leave the packs as an early release did: without rows, named by their hashes.

    The folder was its list of packs.
    """
    folder = pack_dir(node, repo)
    for pack in list(folder.glob("*.pack")):
        name = pack.read_bytes()[-20:].hex()
        for file in list(folder.glob(f"{pack.stem}.*")):
            file.rename(folder / f"pack-{name}{file.suffix}")
    (folder / "multi-pack-index").write_bytes(b"of packs that are gone")
    with node.database.write() as session:
        session.define("DELETE FROM stored_packs")
        session.define("UPDATE repos SET adopted_at = NULL")


@pytest.mark.parametrize("is_swept_first", [False, True])
@pytest.mark.parametrize(("work", "step"), cases(clean=CLEANING))
def test_a_process_killed_during_the_removal_of_a_repository_leaves_no_row_and_no_file(
    shop: Shop, work: str, step: Step, *, is_swept_first: bool
) -> None:
    shop.fill()
    node = open_steady_node(shop.config)
    public_id = lookup_repo(node, shop.caller, "shop").public_id
    delete_repo(node, shop.caller, DeleteRepo("shop"))
    node.close()
    shop.die(work, step)
    if is_swept_first:
        shop.check_swept()
    node = open_steady_node(shop.config)
    with pytest.raises(RepoNotFound):
        lookup_repo(node, shop.caller, "shop")
    assert clean_repo(node, CleanRepo(public_id))
    with pytest.raises(RepoNotFound):
        undelete_repo(node, shop.caller, UndeleteRepo("shop"))
    with node.database.read() as session:
        repo = find_repo_by_public_id(session, public_id)
    assert repo is not None
    shop.check_rows(node, repo, state="none is left")
    create_repo(node, shop.caller, CreateRepo("shop"))
    node.close()
    shop.check_swept()


def test_a_repository_can_be_undeleted_if_its_removal_was_killed_before_the_commit(
    shop: Shop,
) -> None:
    shop.fill()
    node = open_steady_node(shop.config)
    delete_repo(node, shop.caller, DeleteRepo("shop"))
    node.close()
    shop.die("clean", CLEANING[0])
    node = open_steady_node(shop.config)
    undelete_repo(node, shop.caller, UndeleteRepo("shop"))
    shop.check_readable(node)
    node.close()
    shop.check_swept()
