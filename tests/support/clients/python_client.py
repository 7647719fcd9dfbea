"""The released Python client, as an application makes and calls it."""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

from pierre_storage import GitStorage
from pierre_storage.types import CommitSignature, GitStorageOptions

from tests.support.clients.repo import Org
from tests.support.servers.server import Server

T = TypeVar("T")

AUTHOR: CommitSignature = {"name": "Grace", "email": "grace@example.test"}


def make_client(org: Org) -> GitStorage:
    """Return a client with the organisation's name and private key and the server's two addresses."""
    options: GitStorageOptions = {
        "name": org.name,
        "key": org.pair.private_pem,
        "api_base_url": org.server.recorded_url,
        "storage_base_url": org.server.host_port,
    }
    return GitStorage(options)


def run(call: Coroutine[Any, Any, T]) -> T:
    """Run one call of the client."""
    return asyncio.run(call)


def reachable(remote: str, server: Server) -> str:
    """Return a client's remote for this server: clients always write https."""
    assert remote.startswith("https://t:")
    return remote if server.ca else remote.replace("https://", "http://", 1)


def commit(repo: Any, message: str, files: Mapping[str, bytes], **options: Any) -> Any:
    """Make a commit with the client's builder and return its answer. The default branch is main."""
    branch = options.pop("target_branch", "main")
    builder = repo.create_commit(target_branch=branch, commit_message=message, author=AUTHOR, **options)
    for path, content in files.items():
        builder = builder.add_file(path, content)
    return run(builder.send())


def read(repo: Any, **options: Any) -> tuple[int, bytes]:
    """Read a file with the client. Return status and bytes."""

    async def call() -> tuple[int, bytes]:
        async with await repo.get_file_stream(**options) as stream:
            return stream.status_code, await stream.aread()

    return run(call())


def read_archive(repo: Any, **options: Any) -> bytes:
    """Download an archive with the client."""

    async def call() -> bytes:
        async with await repo.get_archive_stream(**options) as stream:
            content: bytes = await stream.aread()
            return content

    return run(call())
