"""Examines a data folder and its database before they are opened. Makes and changes nothing.

Only some commands may make a data folder. It is recognised by its folder `repos`. With SQLite it also contains the
database file. With PostgreSQL the database has the tables of a release.
"""

import itertools
import logging
from collections.abc import Iterable, Iterator
from dataclasses import field
from pathlib import Path

from packhouse.auth import SecretKeyMissing, SecretKeys
from packhouse.config import Config
from packhouse.db import (
    KNOWN_BATCH,
    count_known_repos,
    ensure_database_id,
    get_accepted_folder,
    get_database_id,
    has_repos,
    has_stored_secrets,
    set_accepted_folder,
)
from packhouse.db.engines.database import Database
from packhouse.db.engines.schema import check_release
from packhouse.errors import Code, Corrupt, NotFound
from packhouse.log import log_event
from packhouse.storage import (
    UNWRITABLE,
    forget_owner,
    is_data_folder,
    iter_settled_repo_ids,
    read_owner,
    write_owner,
)


class NoData(NotFound, kw_only=True):
    """There is no installation at `place`, the value of the setting `setting`."""

    code = Code.NO_DATA
    place: str
    setting: str


class LostDatabase(Corrupt, kw_only=True):
    """The data folder has repositories, or the log of a database, and the database knows none of them."""

    code = Code.LOST_DATABASE
    reason: str = field(init=False)
    data: str
    database: str

    def __post_init__(self) -> None:
        self.reason = "restore the database, or start with --accept-empty-database to do without what it knew"


class LostDatabaseWithLog(LostDatabase, kw_only=True):
    """The last transactions of the database may be in the log, and the database itself is gone."""

    code = Code.LOST_DATABASE_WITH_LOG
    log: str


def check_installation(config: Config, database: Database, *, may_create: bool) -> bool:
    """Check that the folder and the database may be opened, or made if `may_create`.

    Returns whether an operator accepts a database that seems to be lost; a command that may create must remember that.
    Raises LostDatabase if no operator accepts it. Raises NoData if something is missing that must not be made. Raises
    SecretKeyMissing if a new key file could not open the stored secrets. Raises DatabaseTooNew as well.
    """
    if not may_create and config.database and not is_data_folder(config.data):
        raise NoData(place=str(config.data), setting="data")
    # Look at the folders before the database: a folder that is made meanwhile has a row by then.
    batches = _in_batches(iter_settled_repo_ids(config.data))
    first = next(batches, ())
    owner = read_owner(config.data)
    log = database.find_orphaned_log()
    has_schema = database.has_schema()
    if has_schema:
        with database.read() as session:
            check_release(session)  # first, since another release may have another schema
    is_claimed = bool(first) or owner is not None
    is_lost = log is not None or (is_claimed and not has_schema)
    if is_claimed and has_schema:
        is_lost = not _belongs(database, owner, itertools.chain([first], batches), config.data)
    may_accept = may_create or has_schema  # without a schema the command cannot go on
    if is_lost and not (may_accept and config.accept_empty_database):
        if log is None:
            raise LostDatabase(data=str(config.data), database=database.place)
        raise LostDatabaseWithLog(data=str(config.data), database=database.place, log=str(log))
    if not has_schema and not may_create:
        if config.database:
            raise NoData(place=database.place, setting="database")
        raise NoData(place=str(config.data), setting="data")
    if has_schema and may_create:
        _require_secret_keys(config, database)
    return is_lost


def keep_orphaned_log(database: Database, *, now: int) -> None:
    """Rename the log of a lost database, which a new database would delete. Log its new path."""
    aside = database.set_log_aside(now=now)
    if aside is not None:
        log_event("write-ahead log of a lost database set aside", level=logging.WARNING, file=str(aside))


def claim_folder(config: Config, database: Database, *, new_id: str, now: int) -> bool:
    """Note in the data folder which database has its repositories, before the database alone holds objects.

    Returns whether the folder is claimed. It is not while the disk takes no writes.
    """
    if not is_data_folder(config.data):
        return False
    if read_owner(config.data):
        return True
    with database.write() as session:
        database_id = ensure_database_id(session, new_id, now=now)
    try:
        write_owner(config.data, database_id)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        return False
    return True


def remember_acceptance(config: Config, database: Database, *, now: int) -> None:
    """Note in the database that an operator accepts it with this data folder, although it knows no repository in it.

    The folder has no owner from then on, until the database claims it.
    """
    with database.write() as session:
        set_accepted_folder(session, str(config.data), now=now)
    forget_owner(config.data)
    log_event(
        "database accepted that knows none of the repositories in the data folder",
        level=logging.WARNING,
        data=str(config.data),
        database=database.place,
    )


def report_unknown_folders(config: Config, database: Database) -> int:
    """Log one line about folders that the database does not know. Return their number.

    A backup of the database may be older than the folders. They are never removed.
    """
    unknown = 0
    for batch in _in_batches(iter_settled_repo_ids(config.data)):
        with database.read() as session:
            unknown += len(batch) - count_known_repos(session, batch)
    if unknown:
        log_event(
            "data folder has repositories that the database does not know",
            level=logging.WARNING,
            repositories=unknown,
            data=str(config.data),
        )
    return unknown


def _in_batches(public_ids: Iterable[str]) -> Iterator[tuple[str, ...]]:
    iterator = iter(public_ids)
    while batch := tuple(itertools.islice(iterator, KNOWN_BATCH)):
        yield batch


def _belongs(database: Database, owner: str | None, batches: Iterable[tuple[str, ...]], data: Path) -> bool:
    """Tell whether a database belongs to the folder, or an operator accepted it with the folder.

    `owner` is the database that has claimed the folder. A database without an id is from before there were ids. Then
    it must know one of the repositories with a folder, if there is any.
    """
    with database.read() as session:
        if get_accepted_folder(session) == str(data):
            return True
        database_id = get_database_id(session)
        if owner and database_id is not None:
            return database_id == owner
        if not has_repos(session):
            return False
    batches = iter(batches)
    first = next(batches, ())
    if not first:
        return True
    batches = itertools.chain([first], batches)
    for batch in batches:
        with database.read() as session:
            if count_known_repos(session, batch):
                return True
    return False


def _require_secret_keys(config: Config, database: Database) -> None:
    """Raise SecretKeyMissing if the key file is missing and stored secrets need it."""
    if not SecretKeys(config.secret_keys_path).is_missing():
        return
    with database.read() as session:
        if has_stored_secrets(session):
            raise SecretKeyMissing(str(config.secret_keys_path.absolute()))
