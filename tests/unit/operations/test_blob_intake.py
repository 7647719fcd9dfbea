"""Contents of a commit stream wait in memory or in files, never in too much of either."""

import random
from pathlib import Path

import pytest

from packhouse import limits
from packhouse.git.oid import hash_object
from packhouse.operations.blob_intake import BlobIntake, ContentUse
from packhouse.storage.pack_draft import PackDraft

pytestmark = pytest.mark.quick


def uses_of(count: int) -> dict[str, frozenset[ContentUse]]:
    """Return that many ids of blobs."""
    return {f"c{number}": frozenset({ContentUse.BLOB}) for number in range(count)}


def waiting_files(folder: Path) -> list[Path]:
    """Return the temporary files of contents."""
    return list(folder.glob("content-*"))


def test_contents_over_the_bound_go_to_files_many_at_once(tmp_path: Path) -> None:
    size = 16 * limits.KIB
    count = 2 * limits.blob_in_memory_max_bytes // size
    with (
        PackDraft(tmp_path) as draft,
        BlobIntake(draft, tmp_path, uses_of(count), blob_max_bytes=limits.GIB) as intake,
    ):
        files = []
        for number in range(count):
            intake.add_chunk(f"c{number}", bytes(size), eof=False)
            files.append(len(waiting_files(tmp_path)))
    assert files[-1] > count // 4
    assert len(set(files)) <= 5


def test_pieces_of_a_byte_count_for_what_they_take(tmp_path: Path) -> None:
    with (
        PackDraft(tmp_path) as draft,
        BlobIntake(draft, tmp_path, uses_of(1), blob_max_bytes=limits.GIB) as intake,
    ):
        for _ in range(limits.blob_in_memory_max_bytes // 60):
            intake.add_chunk("c0", b"x", eof=False)
        assert len(waiting_files(tmp_path)) == 1


def test_contents_in_turns_come_out_whole_and_leave_no_file(tmp_path: Path) -> None:
    rng = random.Random(5)
    contents = {f"c{number}": rng.randbytes([0, 10, 300_000][number % 3]) for number in range(90)}
    with (
        PackDraft(tmp_path) as draft,
        BlobIntake(draft, tmp_path, uses_of(len(contents)), blob_max_bytes=limits.GIB) as intake,
    ):
        for start in range(0, 300_000, 50_000):
            for content_id, content in contents.items():
                intake.add_chunk(content_id, content[start : start + 50_000], eof=False)
        assert waiting_files(tmp_path)
        for content_id, content in contents.items():
            intake.add_chunk(content_id, b"", eof=True)
            assert intake.blobs[content_id] == hash_object("blob", content)
        intake.require_complete()
        assert not waiting_files(tmp_path)
