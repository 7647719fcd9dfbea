"""Bytes that do not fit in memory, in a temporary file."""

from pathlib import Path

import pytest

from packhouse import limits
from packhouse.storage.spill_file import SpillFile

pytestmark = pytest.mark.quick


def test_pieces_are_read_back_in_order(tmp_path: Path) -> None:
    spill = SpillFile(tmp_path)
    assert list(spill.iter_pieces()) == []
    spill.append([b"one ", b"", b"two "])
    spill.append([b"three"])
    assert b"".join(spill.iter_pieces()) == b"one two three"
    assert b"".join(spill.iter_pieces()) == b"one two three", "from the start again"


def test_a_large_file_comes_in_pieces_of_at_most_a_mebibyte(tmp_path: Path) -> None:
    spill = SpillFile(tmp_path)
    spill.append([b"x" * (2 * limits.MIB + 5)])
    assert [len(piece) for piece in spill.iter_pieces()] == [limits.MIB, limits.MIB, 5]


def test_the_file_can_be_written_anywhere_while_it_is_open(tmp_path: Path) -> None:
    spill = SpillFile(tmp_path)
    spill.append([b"abcdef"])
    with spill.open() as file:
        file.seek(2)
        file.write(b"XY")
    assert b"".join(spill.iter_pieces()) == b"abXYef"


def test_each_spill_file_has_its_own_file_and_removes_it(tmp_path: Path) -> None:
    first, second = SpillFile(tmp_path), SpillFile(tmp_path)
    first.append([b"1"])
    second.append([b"2"])
    first.discard()
    first.discard()
    assert list(tmp_path.iterdir()) == [second.path]
    assert b"".join(second.iter_pieces()) == b"2"


def test_no_descriptor_is_held_between_uses(tmp_path: Path) -> None:
    """A commit of a hundred thousand files that come in turns must not need as many descriptors."""
    spills = [SpillFile(tmp_path) for _ in range(3000)]
    for spill in spills:
        spill.append([b"x"])
    assert len(list(tmp_path.iterdir())) == 3000
