"""Migrations: `db/migrations/NNNN_name.sql`, one text for both engines, braces where their words differ.

A migration is never changed once released. The last release's code must still run on the new schema, so a
column goes in two releases: first unused, then dropped. A release that is one older leaves a newer schema alone; an
older one refuses to open it. For that a release that changes the schema notes the lowest one that may still run.
The exceptions are in `_LOWEST_BESIDE`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packhouse import RELEASE
from packhouse.db.session import Session
from packhouse.error_codes import Code
from packhouse.errors import Conflict

_MIGRATIONS_DIR: Final = Path(__file__).parent.parent / "migrations"
_FILE_NAME: Final = re.compile(r"(\d{4})_(\w+)\.sql")
_COMMENT_LINE: Final = re.compile(r"^\s*--.*\n?", re.MULTILINE)

_LOWEST_BESIDE: Final = {
    # Release 1 takes the folder of a repository for the truth: it shows packs that are not listed, and lists them.
    2: 2,
}
"""The lowest release that may run beside one of this number, where it is not the one before."""

SQLITE_WORDS: Final = {
    # AUTOINCREMENT: the id of a deleted row is never given out again.
    "serial": "integer PRIMARY KEY AUTOINCREMENT",
    "big_serial": "integer PRIMARY KEY AUTOINCREMENT",
    "bigint": "integer",
    "text": "text",
    "blob": "blob",
    "strict": "STRICT",
    "strict_by_key": "STRICT, WITHOUT ROWID",
}
POSTGRESQL_WORDS: Final = {
    "serial": "integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY",
    "big_serial": "bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY",
    "bigint": "bigint",
    "text": 'text COLLATE "C"',
    "blob": "bytea",
    "strict": "",
    "strict_by_key": "",
}


class DatabaseTooNew(Conflict):
    """A release later than the next one has changed the database. Install a later one."""

    code = Code.DATABASE_TOO_NEW
    reason: str

    def __init__(self, lowest_release: int) -> None:
        self.reason = (
            f"it takes release {lowest_release} or later and this is release {RELEASE}: install a later one"
        )


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema."""

    version: int
    name: str
    statements: tuple[str, ...]


def load_migrations(words: Mapping[str, str]) -> list[Migration]:
    """Return the migrations in their order, spelled for the engine whose `words` are given."""
    migrations = []
    for path in sorted(_MIGRATIONS_DIR.glob("*.sql")):
        match = _FILE_NAME.fullmatch(path.name)
        assert match, f"{path.name} is not named NNNN_name.sql"
        text = _COMMENT_LINE.sub("", path.read_text("utf-8"))
        # Migrations hold no triggers and no semicolons in texts, so this is where statements end.
        statements = (part.strip().format_map(words) for part in text.split(";"))
        migrations.append(Migration(int(match[1]), match[2], tuple(s for s in statements if s)))
    return migrations


def lowest_release_beside(release: int) -> int:
    """Return the lowest release that may run on a schema which `release` has changed."""
    return _LOWEST_BESIDE.get(release, release - 1)


def check_release(session: Session) -> None:
    """Return if this release may use the database, which has a schema; raise DatabaseTooNew otherwise."""
    row = session.one("find_lowest_release")
    lowest = int(row[0]) if row is not None else 0
    if lowest > RELEASE:
        raise DatabaseTooNew(lowest)


def has_all_migrations(session: Session, words: Mapping[str, str]) -> bool:
    """Tell whether the database, which has a schema, has seen every migration of this release."""
    done = {row[0] for row in session.all("list_schema_migrations")}
    return all(migration.version in done for migration in load_migrations(words))


def apply_migrations(session: Session, words: Mapping[str, str], *, now: int) -> None:
    """Run, in the transaction of `session`, the migrations that this database has not seen yet.

    Raises DatabaseTooNew, also when another process has changed the database since it was looked at.
    """
    session.run("create_schema_migrations")
    done = {row[0] for row in session.all("list_schema_migrations")}
    if done:
        check_release(session)
    due = [migration for migration in load_migrations(words) if migration.version not in done]
    for migration in due:
        for statement in migration.statements:
            session.define(statement)
        session.run("insert_schema_migration", version=migration.version, name=migration.name, now=now)
    if due:
        # Nodes of the release before may run while those of this one replace them one by one, and be started again.
        session.run("raise_lowest_release", lowest=str(lowest_release_beside(RELEASE)), now=now)
