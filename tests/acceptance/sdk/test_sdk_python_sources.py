"""Inputs of applications to the released Python client: every kind of source, many calls at once, half-read streams."""

import asyncio
import io
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from pierre_storage import GitStorage, RefUpdateError
from pierre_storage.types import GitFileMode

from tests.support.clients.python_client import AUTHOR, commit, make_client, read, run
from tests.support.clients.repo import Org, Repo
from tests.support.servers.tls import TlsFiles

MIB = 1024 * 1024


@pytest.fixture
def client(org: Org, tls_files: TlsFiles, monkeypatch: pytest.MonkeyPatch) -> GitStorage:
    """A client that loads one certificate authority for each call, where the default loads a hundred."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tls_files.ca))
    return make_client(org)


@pytest.fixture
def handle(client: GitStorage, repo: Repo) -> Any:
    """The client's handle for an empty repository."""
    return client.repo(id=repo.name)


def iter_mixed() -> Iterator[str | bytes | bytearray | memoryview]:
    yield from ("text ü ", b"bytes ", bytearray(b"array "), memoryview(b"view"))


async def iter_later(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 700_001):
        await asyncio.sleep(0)
        yield content[start : start + 700_001]


async def iter_failing() -> AsyncIterator[bytes]:
    yield b"half"
    raise RuntimeError("the application failed")


def test_files_come_from_every_source(handle: Any, tmp_path: Path) -> None:
    large = os.urandom(5 * MIB + 1)
    (tmp_path / "file").write_bytes(b"line\n" * 100)
    sources: dict[str, tuple[Any, bytes]] = {
        "text": ("Größe", "Größe".encode()),
        "mixed": (iter_mixed(), "text ü bytes array view".encode()),
        "later": (iter_later(large), large),
        "lines": (io.BytesIO(b"one\ntwo"), b"one\ntwo"),
        "one-chunk": (b"z" * 4 * MIB, b"z" * 4 * MIB),
        "two-chunks": (b"z" * 8 * MIB, b"z" * 8 * MIB),
        "none": (iter(()), b""),
        "blanks": (iter((b"", b"")), b""),
        "/slash/in front": (b"1", b"1"),
    }
    builder = handle.create_commit(target_branch="main", commit_message=" All \n", author=AUTHOR, ttl=60)
    for path, (source, _) in sources.items():
        builder.add_file(path, source)
    builder.add_file_from_string("latin", "é", encoding="latin-1")
    builder.add_file("module", b"1" * 40, mode=GitFileMode.SUBMODULE)
    builder.delete_path("not/there/")
    with (tmp_path / "file").open("rb") as file:
        made = run(builder.add_file("opened", file).send())
    assert made["blob_count"] == len(sources) + 3
    for path, (_, content) in sources.items():
        assert read(handle, path=path.lstrip("/")) == (200, content)
    assert read(handle, path="latin") == (200, b"\xe9")
    assert read(handle, path="opened") == (200, b"line\n" * 100)


def test_a_source_that_fails_commits_nothing(handle: Any) -> None:
    first = commit(handle, "Start", {"a": b"1"})
    builder = handle.create_commit(target_branch="main", commit_message="Never", author=AUTHOR)
    builder.add_file("b", b"2").add_file("c", iter_failing())
    with pytest.raises(RuntimeError, match="the application failed"):
        run(builder.send())
    branches = run(handle.list_branches())["branches"]
    assert [branch["head_sha"] for branch in branches] == [first["commit_sha"]]


def test_of_fifty_commits_at_once_all_succeed_and_of_ten_guarded_ones_one(handle: Any) -> None:
    commit(handle, "Start", {"a": b"1"})

    async def write(number: int, **options: Any) -> Any:
        builder = handle.create_commit(
            target_branch="many", base_branch="main", commit_message="m", author=AUTHOR, **options
        )
        return await builder.add_file(f"files/{number}", b"%d" % number).send()

    async def write_all(count: int, **options: Any) -> list[Any]:
        calls = (write(number, **options) for number in range(count))
        return await asyncio.gather(*calls, return_exceptions=True)

    made = run(write_all(50))
    assert len({each["ref_update"]["old_sha"] for each in made}) == 50
    assert len(run(handle.list_files(ref="many", path="files"))["paths"]) == 50
    tip = run(handle.get_commit(sha="many"))["commit"]["sha"]
    guarded = run(write_all(10, expected_head_sha=tip))
    refused = [each for each in guarded if isinstance(each, RefUpdateError)]
    assert len(refused) == 9
    assert {each.status for each in refused} == {"precondition_failed"}


def test_streams_may_be_closed_half_read(handle: Any) -> None:
    commit(handle, "Start", {"large": os.urandom(9 * MIB), "small": b"1"})

    async def take_one_piece(stream: Any) -> None:
        async with stream:
            assert await anext(stream.aiter_raw(1000))

    async def close_many() -> None:
        for _ in range(9):
            await take_one_piece(await handle.get_file_stream(path="large"))
            await take_one_piece(await handle.get_archive_stream())

    run(close_many())
    assert read(handle, path="small") == (200, b"1")
