"""Contents of a commit stream wait in memory or in files. Both are bounded."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from packhouse import limits
from packhouse.auth.principal import operator_principal
from packhouse.config import Config
from packhouse.git.oid import hash_object
from packhouse.node.node import open_node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.commits.blob_intake import BlobIntake, ContentUse
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.operations.tenants.create_org import CreateOrg, create_org
from packhouse.repository.view import RepoView
from packhouse.repository.write import Write

pytestmark = pytest.mark.quick


def uses_of(count: int) -> dict[str, frozenset[ContentUse]]:
    """Return that many ids of blobs."""
    return {f"c{number}": frozenset({ContentUse.BLOB}) for number in range(count)}


@pytest.fixture
def write(tmp_path: Path) -> Iterator[Write]:
    """A write to an empty repository."""
    node = open_node(Config(data=tmp_path / "data"))
    org = create_org(node, CreateOrg("acme"))
    caller = operator_principal(org.id, org.name)
    create_repo(node, caller, CreateRepo("r"))
    with RepoView(node, lookup_repo(node, caller, "r")) as view, Write(view) as write:
        yield write
    node.close()


def waiting_files(write: Write) -> list[Path]:
    """Return the temporary files of contents."""
    return list(write.node.store.scratch_dir().glob("spill-*"))


def test_contents_over_the_bound_go_to_files_many_at_once(write: Write) -> None:
    size = 16 * limits.KIB
    count = 2 * limits.blob_in_memory_max_bytes // size
    with BlobIntake(write, uses_of(count), blob_max_bytes=limits.GIB) as intake:
        files = []
        for number in range(count):
            intake.add_chunk(f"c{number}", bytes(size), eof=False)
            files.append(len(waiting_files(write)))
    assert files[-1] > count // 4
    assert len(set(files)) <= 5


def test_pieces_of_a_byte_count_for_what_they_take(write: Write) -> None:
    with BlobIntake(write, uses_of(1), blob_max_bytes=limits.GIB) as intake:
        for _ in range(limits.blob_in_memory_max_bytes // 60):
            intake.add_chunk("c0", b"x", eof=False)
        assert len(waiting_files(write)) == 1


def test_contents_in_turns_come_out_whole_and_leave_no_file(write: Write) -> None:
    rng = random.Random(5)
    contents = {f"c{number}": rng.randbytes([0, 10, 300_000][number % 3]) for number in range(90)}
    with BlobIntake(write, uses_of(len(contents)), blob_max_bytes=limits.GIB) as intake:
        for start in range(0, 300_000, 50_000):
            for content_id, content in contents.items():
                intake.add_chunk(content_id, content[start : start + 50_000], eof=False)
        assert waiting_files(write)
        for content_id, content in contents.items():
            intake.add_chunk(content_id, b"", eof=True)
            assert intake.blobs[content_id] == hash_object("blob", content)
        intake.require_complete()
        assert not waiting_files(write)
