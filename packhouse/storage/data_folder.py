"""A data folder as it is before anything is made or changed in it."""

from pathlib import Path
from typing import Final

_REPOS: Final = "repos"


def is_data_folder(data: Path) -> bool:
    """Tell whether a command that may do so has made the folder: `repos` comes with it."""
    return (data / _REPOS).is_dir()
