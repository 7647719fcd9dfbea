"""The files that make a folder a bare repository for git, besides its objects. All of them can be made again."""

import os
from pathlib import Path
from typing import Final

from packhouse.whole_files import replace_file

BARE_CONFIG: Final = b"""\
[core]
\trepositoryformatversion = 1
\tbare = true
[extensions]
\tpreciousObjects = true
[gc]
\tauto = 0
"""

HEAD: Final = b"ref: refs/heads/main\n"


def make_bare(path: Path) -> None:
    """Make the folder a bare repository, unless it is one. Nothing is synced to the disk.

    A config that is not ours is written anew; a power cut may leave one. Without `preciousObjects`, an operator's
    `git gc` would delete every object, since the folder has no ref.
    """
    try:
        if (path / "config").read_bytes() == BARE_CONFIG and _has_content(path):
            return
    except FileNotFoundError:  # every new folder is without one
        for folder in ("info", "pack"):
            (path / "objects" / folder).mkdir(parents=True, exist_ok=True)
    (path / "refs" / "heads").mkdir(parents=True, exist_ok=True)
    if not _has_content(path):
        replace_file(path / "HEAD", HEAD)
    replace_file(path / "config", BARE_CONFIG)


def _has_content(path: Path) -> bool:
    """Tell whether there are refs and a HEAD with content. A power cut may leave an empty HEAD."""
    try:
        return os.path.exists(f"{path}/refs") and os.stat(f"{path}/HEAD").st_size > 0
    except FileNotFoundError:
        return False
