"""Data folders and databases with which a node opens, and those with which it does not."""

import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from packhouse.auth.principal import operator_principal
from packhouse.config import Config
from packhouse.db.engines.database import Session, open_database
from packhouse.db.engines.sqlite import SqliteDatabase
from packhouse.db.installation import KNOWN_BATCH
from packhouse.node.installation import LostDatabase, NoData, check_installation, report_unknown_folders
from packhouse.node.node import Node, open_existing_node, open_node
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.operations.repos.delete_repo import DeleteRepo, delete_repo
from packhouse.operations.repos.fill_repo import insert_unborn
from packhouse.operations.tenants.create_org import CreateOrg, create_org
from tests.support.builders.packs import make_repo_dir
from tests.support.servers.postgres import PostgresServer

NewConfig = Callable[[str], Config]


@pytest.fixture(params=["sqlite", "postgres"])
def new_config(request: pytest.FixtureRequest, tmp_path: Path) -> NewConfig:
    """Settings of a new folder, and of a new database where that is not in the folder."""

    def make(name: str) -> Config:
        if request.param == "sqlite":
            return Config(data=tmp_path / name)
        server: PostgresServer = request.getfixturevalue("postgres_server")
        return Config(data=tmp_path / name, database=server.new_database())

    return make


def add_repo(node: Node, name: str) -> str:
    """Make a repository that has a folder; return its public id."""
    org = create_org(node, CreateOrg(name))
    repo = create_repo(node, operator_principal(org.id, org.name), CreateRepo(name))
    make_repo_dir(node, repo.public_id)
    return repo.public_id


def fill(config: Config, *names: str) -> list[str]:
    """Make an installation with repositories."""
    node = open_node(config)
    ids = [add_repo(node, name) for name in names]
    node.close()
    return ids


def lose(config: Config, new_config: NewConfig) -> Config:
    """Return the settings after the database was lost, with a new, empty one in its place."""
    if config.database:
        return replace(config, database=new_config("unused").database)
    (config.data / "packhouse.db").unlink()
    return config


def opens(config: Config) -> bool:
    """Tell whether both ways to open the node work."""
    for opening in (open_node, open_existing_node):
        opening(config).close()
    return True


def files_of(folder: Path) -> dict[str, bytes]:
    """Return all files of a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
    }


def test_a_lost_database_is_not_taken_for_a_new_server_and_nothing_is_written(new_config: NewConfig) -> None:
    config = new_config("data")
    fill(config, "shop")
    config = lose(config, new_config)
    (config.data / "secret-key").unlink()
    before = files_of(config.data)
    for opening in (open_node, open_existing_node):
        with pytest.raises(LostDatabase, match="accept-empty-database") as lost:
            opening(config)
        assert lost.value.data == str(config.data)
        assert str(lost.value.database).endswith(config.database.rpartition("/")[2] or "packhouse.db")
    assert files_of(config.data) == before
    database = open_database(config.database_url)
    assert not database.has_schema()
    database.close()


def test_the_database_of_another_installation_is_refused(new_config: NewConfig) -> None:
    ours, theirs = new_config("ours"), new_config("theirs")
    fill(ours, "shop")
    fill(theirs, "books", "games")
    if ours.database:
        mixed = replace(ours, database=theirs.database)
    else:
        shutil.copy(theirs.data / "packhouse.db", ours.data / "packhouse.db")
        mixed = ours
    for opening in (open_node, open_existing_node):
        with pytest.raises(LostDatabase):
            opening(mixed)


def test_an_accepted_database_stays_accepted_with_its_folder_and_no_other(
    new_config: NewConfig, tmp_path: Path
) -> None:
    config = new_config("data")
    fill(config, "shop")
    config = lose(config, new_config)
    with pytest.raises((NoData, LostDatabase)):  # the flag is for commands that create
        open_existing_node(replace(config, accept_empty_database=True))
    open_node(replace(config, accept_empty_database=True)).close()
    assert opens(config)
    moved = replace(config, data=config.data.rename(tmp_path / "moved"))
    with pytest.raises(LostDatabase):
        open_node(moved)
    open_existing_node(replace(moved, accept_empty_database=True)).close()


def test_folders_that_an_earlier_release_had_not_finished_do_not_count(new_config: NewConfig) -> None:
    config = new_config("data")
    node = open_node(config)
    (make_repo_dir(node, "repo_abcdefgh") / "unsettled").touch()
    node.close()
    assert opens(config)


def test_a_repository_that_is_still_being_filled_is_known(new_config: NewConfig) -> None:
    config = new_config("data")
    node = open_node(config)
    org = create_org(node, CreateOrg("acme"))
    caller = operator_principal(org.id, org.name)
    make_repo_dir(node, insert_unborn(node, caller, "shop").public_id)
    assert report_unknown_folders(config, node.database) == 0
    node.close()
    assert opens(config)


def test_a_deleted_repository_is_known(new_config: NewConfig) -> None:
    config = new_config("data")
    node = open_node(config)
    org = create_org(node, CreateOrg("acme"))
    caller = operator_principal(org.id, org.name)
    make_repo_dir(node, create_repo(node, caller, CreateRepo("shop")).public_id)
    delete_repo(node, caller, DeleteRepo("shop"))
    node.close()
    assert opens(config)


def test_unknown_folders_beside_a_known_one_are_logged_in_one_line(
    new_config: NewConfig, caplog: pytest.LogCaptureFixture
) -> None:
    config = new_config("data")
    fill(config, "shop")
    node = open_node(config)
    assert report_unknown_folders(config, node.database) == 0
    for number in range(KNOWN_BATCH + 8):
        make_repo_dir(node, f"repo_unknown{number:04}")
    node.close()
    assert opens(config)
    node = open_node(config)
    caplog.clear()
    assert report_unknown_folders(config, node.database) == KNOWN_BATCH + 8
    told = [record for record in caplog.records if record.name == "packhouse"]
    assert [(record.levelno, record.fields["repositories"]) for record in told] == [  # type: ignore[attr-defined]  # log_event adds them
        (logging.WARNING, KNOWN_BATCH + 8)
    ]
    node.close()


class CountingDatabase(SqliteDatabase):
    """Counts the sessions that were read in."""

    reads = 0

    @contextmanager
    def read(self) -> Iterator[Session]:
        self.reads += 1
        with super().read() as session:
            yield session


def look(config: Config) -> int:
    """Return how many sessions the check before the start takes."""
    database = CountingDatabase(config.data / "packhouse.db")
    try:
        check_installation(config, database, may_create=True)
    except LostDatabase:
        return database.reads
    finally:
        database.close()
    return database.reads


def test_the_look_ends_at_the_first_known_folder_and_an_empty_database_is_not_asked_for_each(
    tmp_path: Path,
) -> None:
    config = Config(data=tmp_path / "data")
    node = open_node(config)
    ids = [f"repo_{number:04}abcd" for number in range(10 * KNOWN_BATCH)]
    for public_id in ids:
        make_repo_dir(node, public_id)
    node.close()
    assert look(config) == 2, "whose release, and no repository at all"
    node = open_node(replace(config, accept_empty_database=True))
    with node.database.write() as session:
        session.define("DELETE FROM settings WHERE name = 'accepted_folder'")
    create_repo(node, operator_principal(create_org(node, CreateOrg("a")).id, "a"), CreateRepo("elsewhere"))
    assert look(config) == 2 + 10, "one repository, and all folders unknown"
    with node.database.write() as session:
        for number, public_id in enumerate(ids):
            session.define(
                "INSERT INTO repos (public_id, org_id, name, name_folded, default_branch, created_at)"
                f" VALUES ('{public_id}', 1, 'r{number}', 'r{number}', 'main', 1)"
            )
    assert look(config) <= 4, "all folders known"
    node.close()


def test_processes_that_start_at_once_on_a_new_folder_all_open_it(new_config: NewConfig) -> None:
    config = new_config("data")
    met = threading.Barrier(6)
    failures: list[BaseException] = []

    def start() -> None:
        met.wait(60)
        try:
            node = open_node(config)
            node.check()
            node.close()
        except BaseException as failure:  # noqa: BLE001  # told to the test
            failures.append(failure)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.fixture
def emptied(tmp_path: Path) -> Config:
    """A folder whose SQLite file is empty, with the log that its last process left."""
    config = Config(data=tmp_path / "data")
    fill(config, "shop")
    (config.data / "packhouse.db").write_bytes(b"")
    (config.data / "packhouse.db-wal").write_bytes(b"what may save the operator")
    return config


@pytest.mark.parametrize("has_repos", [True, False])
@pytest.mark.parametrize("is_there", [True, False])
def test_the_log_beside_an_empty_database_is_never_given_to_sqlite(
    emptied: Config, *, has_repos: bool, is_there: bool
) -> None:
    if not has_repos:
        shutil.rmtree(emptied.data / "repos")
    if not is_there:
        (emptied.data / "packhouse.db").unlink()
    before = files_of(emptied.data)
    for opening in (open_node, open_existing_node):
        with pytest.raises(LostDatabase, match="write-ahead log"):
            opening(emptied)
    assert files_of(emptied.data) == before
    open_node(replace(emptied, accept_empty_database=True)).close()
    kept = list(emptied.data.glob("packhouse.db-wal.lost-*"))
    assert [path.read_bytes() for path in kept] == [b"what may save the operator"]
    assert opens(emptied)
