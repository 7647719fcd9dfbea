"""Migrations: `db/migrations/NNNN_name.sql`, one text for both engines, with braces where their words differ.

A file `NNNN_name.postgresql.sql` beside it has the statements that only PostgreSQL runs, after the common ones.

A released migration never changes. The code of the release before must still run on the new schema, so a column is
removed in two releases: first it is unused, then it is dropped. The release before ignores a newer schema; a still
older release refuses to open it. A release that changes the schema notes the lowest release that may still run.
`_LOWEST_BESIDE` has the exceptions.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packhouse import RELEASE
from packhouse.db.session import Session
from packhouse.errors import Code, Conflict

_MIGRATIONS_DIR: Final = Path(__file__).parent.parent / "migrations"
_FILE_NAME: Final = re.compile(r"(\d{4})_(\w+)\.sql")
_COMMENT_LINE: Final = re.compile(r"^\s*--.*\n?", re.MULTILINE)

_LOWEST_BESIDE: Final = {
    # To release 1 the folder of a repository is the truth: it shows packs that are not listed, and lists them.
    2: 2,
    # Release 2 does not read the journal, and would miss what is in it.
    3: 3,
}
"""The lowest release that may run beside the release of this number, if it is not the one before."""

SQLITE_WORDS: Final = {
    "engine": "sqlite",
    # AUTOINCREMENT: the id of a deleted row is never given out again.
    "serial": "integer PRIMARY KEY AUTOINCREMENT",
    "big_serial": "integer PRIMARY KEY AUTOINCREMENT",
    "row_number": "integer PRIMARY KEY",
    "bigint": "integer",
    "text": "text",
    "blob": "blob",
    "strict": "STRICT",
    "strict_by_key": "STRICT, WITHOUT ROWID",
}
POSTGRESQL_WORDS: Final = {
    "engine": "postgresql",
    "serial": "integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY",
    "big_serial": "bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY",
    "row_number": "bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY",
    "bigint": "bigint",
    "text": 'text COLLATE "C"',
    "blob": "bytea",
    "strict": "",
    "strict_by_key": "",
}


class DatabaseTooNew(Conflict):
    """A release later than the next one has changed the database. Install a later release."""

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
    """Return the migrations in order, with the `words` of one engine."""
    migrations = []
    for path in sorted(_MIGRATIONS_DIR.glob("*.sql")):
        match = _FILE_NAME.fullmatch(path.name)
        if match is None:
            assert path.suffixes == [".postgresql", ".sql"], f"{path.name} is not named NNNN_name.sql"
            continue
        own = path.with_name(f"{path.stem}.{words['engine']}.sql")
        files = [path, own] if own.exists() else [path]
        statements = [statement for file in files for statement in _read_statements(file, words)]
        migrations.append(Migration(int(match[1]), match[2], tuple(statements)))
    return migrations


def _read_statements(path: Path, words: Mapping[str, str]) -> list[str]:
    text = _COMMENT_LINE.sub("", path.read_text("utf-8"))
    # Migrations have no triggers and no semicolons in texts, so a semicolon ends a statement.
    statements = (part.strip().format_map(words) for part in text.split(";"))
    return [statement for statement in statements if statement]


def lowest_release_beside(release: int) -> int:
    """Return the lowest release that may run on a schema that `release` has changed."""
    return _LOWEST_BESIDE.get(release, release - 1)


def check_release(session: Session) -> None:
    """Check that this release may use the database, which has a schema. Raises DatabaseTooNew."""
    lowest = _read_lowest_release(session)
    if lowest > RELEASE:
        raise DatabaseTooNew(lowest)


def is_up_to_date(session: Session, words: Mapping[str, str]) -> bool:
    """Tell whether the database, which has a schema, needs no change before this release may use it."""
    done = {row[0] for row in session.all("list_schema_migrations")}
    has_all = all(migration.version in done for migration in load_migrations(words))
    return has_all and _read_lowest_release(session) >= lowest_release_beside(RELEASE)


def _read_lowest_release(session: Session) -> int:
    row = session.one("find_lowest_release")
    return int(row[0]) if row is not None else 0


def apply_migrations(session: Session, words: Mapping[str, str], *, now: int) -> None:
    """Run the migrations that this database has not had yet, in the transaction of `session`.

    Raises DatabaseTooNew, also if another process has changed the database meanwhile.
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
    if due or _read_lowest_release(session) < lowest_release_beside(RELEASE):
        # Nodes of the release before may go on running, and may restart, while this release replaces them one by one.
        # An operator who flushed the journal for an older release may have come back to this one.
        session.run("raise_lowest_release", lowest=str(lowest_release_beside(RELEASE)), now=now)
