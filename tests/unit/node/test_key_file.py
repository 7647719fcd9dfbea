"""The key of a demo is made once, and nobody but its owner can read it."""

import os
from pathlib import Path

import pytest

from packhouse.auth.minting import encode_private_key
from packhouse.auth.public_keys import KeyRejected
from packhouse.node.key_file import read_or_make_key
from packhouse.whole_files import write_private_file

pytestmark = pytest.mark.quick


def test_a_missing_key_is_made_once_and_then_read(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    made = encode_private_key(read_or_make_key(path))
    assert path.read_text() == made
    assert encode_private_key(read_or_make_key(path)) == made
    assert [file.name for file in tmp_path.iterdir()] == ["key.pem"]


def test_only_the_owner_may_read_the_file_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        read_or_make_key(tmp_path / "key.pem")
    finally:
        os.umask(before)
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600


def test_leftovers_of_a_killed_process_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    left = write_private_file(path, b"half a key")
    made = encode_private_key(read_or_make_key(path))
    assert path.read_text() == made
    assert {file.name for file in tmp_path.iterdir()} == {"key.pem", left.name}, "nothing else is left"


def test_a_spoiled_file_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text("not a key")
    with pytest.raises(KeyRejected):
        read_or_make_key(path)
    assert path.read_text() == "not a key"
