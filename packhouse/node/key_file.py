"""A private key in a file that only its owner may read."""

from pathlib import Path

from packhouse import limits
from packhouse.auth import PrivateKey, encode_private_key, make_private_key, parse_private_key
from packhouse.whole_files import write_private_file


def read_or_make_key(path: Path) -> PrivateKey:
    """Return the key in the file. Make the file if it is missing. Raises KeyRejected if the key is spoiled."""
    try:
        with path.open("rb") as file:
            return parse_private_key(file.read(limits.key_file_max_bytes))
    except FileNotFoundError:
        key = make_private_key()
        write_private_file(path, encode_private_key(key).encode("ascii")).rename(path)
        return key
