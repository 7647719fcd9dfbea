"""A private key in a file that only its owner may read."""

import os
from pathlib import Path

from packhouse import limits
from packhouse.auth.minting import PrivateKey, encode_private_key, make_private_key, parse_private_key


def read_or_make_key(path: Path) -> PrivateKey:
    """Return the key in the file. Make the file if it is missing. Raises KeyRejected if the key is spoiled."""
    try:
        with path.open("rb") as file:
            return parse_private_key(file.read(limits.key_file_max_bytes))
    except FileNotFoundError:
        key = make_private_key()
        _write_private_file(path, encode_private_key(key).encode("ascii"))
        return key


def _write_private_file(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read. It is written completely or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
