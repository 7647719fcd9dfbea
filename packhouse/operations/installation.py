"""Looking at a data folder and its database before they are opened: nothing is made or changed here.

A data folder is one that a command which may make it has made: it has a folder `repos`. With SQLite its database file
is in there; with PostgreSQL the database has the tables of a release.
"""

from packhouse.auth.sealing import SecretKeyMissing, SecretKeys
from packhouse.config import Config
from packhouse.db.database import Database
from packhouse.db.installation import has_stored_secrets
from packhouse.errors import NotFound
from packhouse.storage.data_folder import is_data_folder


class NoData(NotFound):
    """There is no installation at `place`, which the setting named `setting` says."""

    def __init__(self, place: str, *, setting: str) -> None:
        super().__init__("no Packhouse data", place=place, setting=setting)
        self.place = place
        self.setting = setting


def check_installation(config: Config, database: Database, *, may_create: bool) -> None:
    """Return when the folder and the database may be opened, or made if `may_create`.

    Raises NoData when they would have to be made and must not; SecretKeyMissing when stored secrets could not be
    opened with the key that would be made.
    """
    if not may_create and config.database and not is_data_folder(config.data):
        raise NoData(str(config.data), setting="data")
    if not database.has_schema():
        if may_create:
            return
        if config.database:
            raise NoData(database.place, setting="database")
        raise NoData(str(config.data), setting="data")
    if may_create:
        _require_secret_keys(config, database)


def _require_secret_keys(config: Config, database: Database) -> None:
    """Raise SecretKeyMissing unless the key file is there or nothing is stored that needs it."""
    if not SecretKeys(config.secret_keys_path).is_missing():
        return
    with database.read() as session:
        if has_stored_secrets(session):
            raise SecretKeyMissing(config.secret_keys_path)
