"""Looks at a data folder before anything is made or changed in it."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_REPOS: Final = "repos"
_UNSETTLED_NAME: Final = "unsettled"  # a mark of earlier releases: the folder was filled before it had a row


def is_data_folder(data: Path) -> bool:
    """Tell whether a command has made this data folder. Such a command also makes `repos`."""
    return (data / _REPOS).is_dir()


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
