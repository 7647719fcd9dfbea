"""The argument of a command that names a file with a public key."""

from pathlib import Path
from typing import Final

import click

from packhouse.limits import key_file_max_bytes

KEY_FILE: Final = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
"""The type of the argument. `-` is standard input."""


def read_key_file(path: Path) -> str:
    """Return the text of the file, at most one byte more than a key may have.

    Bytes that are not UTF-8 become U+FFFD. The check of the key refuses both, with a reason.
    """
    with click.open_file(str(path), "rb") as file:
        content: bytes = file.read(key_file_max_bytes + 1)
    return content.decode("utf-8", "replace")
