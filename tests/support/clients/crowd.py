"""Thousands of connections to one server, held by a process of its own, which has its own limit of open files.

`Crowd` starts this module as a program. It reads commands as lines of JSON, and answers each with a line.
"""

import asyncio
import json
import resource
import subprocess
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self, cast

AT_ONCE = 200
"""Connections that are opened at the same time."""

TIMEOUT_S = 120


class Crowd:
    """Context manager: the connections of one client process to a server on this machine."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(self._port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.communicate()
        self._process = None

    def _ask(self, **command: Any) -> Any:
        assert self._process is not None and self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the client process ended"
        return json.loads(line)

    def open_idle(self, count: int, request: str) -> dict[str, int]:
        """Open connections, send a request on each and keep them. Return the statuses with their numbers."""
        return cast(dict[str, int], self._ask(do="idle", count=count, request=request))

    def open_streams(self, requests: Sequence[str]) -> dict[str, int]:
        """Open a stream of events for each request, and return the statuses with their numbers."""
        return cast(dict[str, int], self._ask(do="streams", requests=list(requests)))

    def use_again(self, request: str) -> dict[str, int]:
        """Send a request on each idle connection. Return the statuses with their numbers; `lost` for a closed one."""
        return cast(dict[str, int], self._ask(do="again", request=request))

    def heard(self) -> list[list[str]]:
        """Return for each stream the data of its events so far, in the order of `open_streams`."""
        return cast(list[list[str]], self._ask(do="heard"))


class _Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, request: str) -> None:
        self.answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.heard: list[str] = []
        self._request = request
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request.encode())

    def send(self, request: str) -> None:
        if not self._transport.is_closing():
            self.answered = asyncio.get_running_loop().create_future()
            self._transport.write(request.encode())

    def data_received(self, data: bytes) -> None:
        if not self.answered.done():
            self.answered.set_result(data[9:12].decode())
        *lines, self._rest = (self._rest + data).split(b"\n")
        self.heard += [line[6:].decode() for line in lines if line.startswith(b"data: ")]

    def connection_lost(self, error: Exception | None) -> None:
        if self.answered.done():
            self.answered = asyncio.get_running_loop().create_future()
        self.answered.set_result("lost")


class _House:
    """All connections of the process."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[_Client] = []
        self._streams: list[_Client] = []

    async def run(self, command: dict[str, Any]) -> Any:
        if command["do"] == "idle":
            return await self._open(self._idle, [command["request"]] * command["count"])
        if command["do"] == "streams":
            return await self._open(self._streams, command["requests"])
        if command["do"] == "again":
            for client in self._idle:
                client.send(command["request"])
            return _count([await client.answered for client in self._idle])
        return [client.heard for client in self._streams]

    async def _open(self, clients: list[_Client], requests: Sequence[str]) -> dict[str, int]:
        gate = asyncio.Semaphore(AT_ONCE)
        loop = asyncio.get_running_loop()

        async def open_one(client: _Client) -> str:
            async with gate:
                await loop.create_connection(lambda: client, "127.0.0.1", self._port)
                return await client.answered

        new = [_Client(request) for request in requests]
        clients += new
        return _count(await asyncio.gather(*map(open_one, new)))


def _count(statuses: Sequence[str]) -> dict[str, int]:
    return {status: statuses.count(status) for status in set(statuses)}


async def _main(port: int) -> None:
    house = _House(port)
    while line := await asyncio.to_thread(sys.stdin.readline):
        async with asyncio.timeout(TIMEOUT_S):
            answer = await house.run(json.loads(line))
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(_main(int(sys.argv[1])))
