"""The file of a public key, as the command line reads it."""

from pathlib import Path

import pytest

from packhouse.cli.key_file import read_key_file
from packhouse.limits import key_file_max_bytes

pytestmark = pytest.mark.quick


def test_a_key_file_is_read_as_text(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes("ssh-ed25519 AAAA Ä\n".encode())
    assert read_key_file(file) == "ssh-ed25519 AAAA Ä\n"


def test_bytes_that_are_not_utf8_are_left_to_the_check_of_the_key(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(b"\xff\x00key")
    assert read_key_file(file) == "\ufffd\x00key"


@pytest.mark.parametrize("more", [-1, 0, 1, 2, 100_000])
def test_reading_stops_one_byte_beyond_the_largest_key(tmp_path: Path, more: int) -> None:
    file = tmp_path / "key"
    file.write_bytes(b"a" * (key_file_max_bytes + more))
    assert len(read_key_file(file)) == key_file_max_bytes + min(more, 1)
