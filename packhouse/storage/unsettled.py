"""A mark on repository folders that are filled before their row is inserted.

A new repository that starts with objects has its packs in place first. Until its row is there a crash leaves a
folder that belongs to nobody; the mark tells such a folder from one whose row went missing in another way
(an old backup of the database), which is never removed.
"""

import time
from pathlib import Path
from typing import Final

from packhouse.storage.files import make_folders, write_file

UNSETTLED_NAME: Final = "unsettled"


def mark_unsettled(repo_path: Path) -> None:
    """Say, durably, that the folder has no row yet, before it is filled: a crash leaves no folder without one."""
    make_folders(repo_path, stop=repo_path.parents[2])
    write_file(repo_path / UNSETTLED_NAME, b"the row of this repository is not inserted yet\n")


def settle(repo_path: Path) -> None:
    """Take the mark off. Harmless without one."""
    (repo_path / UNSETTLED_NAME).unlink(missing_ok=True)


def unsettled_age_s(repo_path: Path) -> float | None:
    """Return for how long the folder has been marked, None when it is not."""
    try:
        return time.time() - (repo_path / UNSETTLED_NAME).stat().st_mtime
    except FileNotFoundError:
        return None
