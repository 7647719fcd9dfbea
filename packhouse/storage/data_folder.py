"""Looks at a data folder before anything is made or changed in it."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from packhouse.whole_files import fsync_path, write_private_file

_REPOS: Final = "repos"
_OWNER_NAME: Final = "owner"
_OWNER: Final = re.compile(r"[0-9a-f]{32}")
_UNSETTLED_NAME: Final = "unsettled"  # a mark of earlier releases: the folder was filled before it had a row


def is_data_folder(data: Path) -> bool:
    """Tell whether a command has made this data folder. Such a command also makes `repos`."""
    return (data / _REPOS).is_dir()


def read_owner(data: Path) -> str | None:
    """Return the id of the database that the folder belongs to; None if no database has claimed it."""
    try:
        text = (data / _REPOS / _OWNER_NAME).read_text("ascii", "replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return (
        text if _OWNER.fullmatch(text) else ""
    )  # a power cut may leave an empty file: it belongs to some database


def write_owner(data: Path, database_id: str) -> None:
    """Note durably which database the folder belongs to. Raises OSError if the disk takes no writes."""
    path = data / _REPOS / _OWNER_NAME
    write_private_file(path, f"{database_id}\n".encode("ascii")).rename(path)
    fsync_path(path.parent)


def forget_owner(data: Path) -> None:
    """Let another database claim the folder."""
    (data / _REPOS / _OWNER_NAME).unlink(missing_ok=True)


def iter_settled_repo_ids(data: Path) -> Iterator[str]:
    """Yield the ids of repositories with a folder that is not marked unsettled. Each of them had a row.

    A row is committed before its folder is made or settled. So a database that is read later has the row.
    """
    for outer in _iter_entries(data / _REPOS):
        for inner in _iter_entries(outer):
            for folder in _iter_entries(inner):
                # The mark is made before the config.
                if os.path.exists(f"{folder}/config") and not os.path.exists(f"{folder}/{_UNSETTLED_NAME}"):
                    yield folder.name


def _iter_entries(folder: Path) -> Iterator[Path]:
    with (
        contextlib.suppress(FileNotFoundError, NotADirectoryError),  # another process may remove it
        os.scandir(folder) as entries,
    ):
        for entry in entries:
            yield Path(entry.path)
