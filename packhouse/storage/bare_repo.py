"""What makes a folder a bare repository in git's eyes, besides `HEAD` and `refs/`."""

from typing import Final

BARE_CONFIG: Final = b"""\
[core]
\trepositoryformatversion = 1
\tbare = true
[extensions]
\tpreciousObjects = true
[gc]
\tauto = 0
"""
