"""An HTTP client that is cheap enough to load the server from the same machine.

It sends prepared bytes over keep-alive connections, and reads only the necessary part of each answer. It runs in its
own process: `run_load` starts `python -m bench.load`, which reads a Job and prints an Outcome.
"""

import asyncio
import functools
import subprocess
import sys
import time
from typing import cast

import msgspec
import uvloop

from bench.report import percentiles

COUNTER_MARK = b"@@COUNTER-00000@"
"""A mark in a request that must differ each time. As many digits replace it."""


LOAD_TIMEOUT_S = 300


class Job(msgspec.Struct):
    """The requests of each connection. It sends them in order, and repeats them for `duration_s`.

    Without a duration each request is sent once.
    """

    host: str
    port: int
    connections: list[list[bytes]]
    duration_s: float = 0.0
    warm_up_s: float = 0.0


class Outcome(msgspec.Struct):
    """The outcome after the warm-up: answers by status, their latencies, and the time it took.

    `sent` includes the warm-up. So does `server_cpu_s`; a caller that knows the server fills it in.
    """

    statuses: dict[int, int]
    latencies_s: list[float]
    elapsed_s: float
    first_failure: str = ""
    sent: int = 0
    server_cpu_s: float = 0.0

    @property
    def answers(self) -> int:
        """The number of answers."""
        return sum(self.statuses.values())

    def note(self) -> str:
        """Return latencies and the server's cost of a request. A busy machine changes the cost less."""
        cpu_ms = self.server_cpu_s / max(1, self.sent) * 1000
        return f"{percentiles(self.latencies_s)}, server CPU {cpu_ms:.2f} ms"

    def rate(self, *expected: int) -> float:
        """Return answers a second. Raises if an answer had an unexpected status."""
        unexpected = {status: n for status, n in self.statuses.items() if status not in expected}
        if unexpected or not self.answers:
            raise RuntimeError(f"unexpected answers {unexpected or 'none at all'}: {self.first_failure}")
        return self.answers / self.elapsed_s


def run_load(job: Job) -> Outcome:
    """Run the job in its own process and return the outcome."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=msgspec.msgpack.encode(job),
        capture_output=True,
        check=False,
        timeout=job.warm_up_s + job.duration_s + LOAD_TIMEOUT_S,
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr.decode())
    return msgspec.msgpack.decode(done.stdout, type=Outcome)


class _Recorder:
    def __init__(self, counted_from: float, ends_at: float) -> None:
        self.counted_from = counted_from
        self.ends_at = ends_at
        self.statuses: dict[int, int] = {}
        self.latencies_s: list[float] = []
        self.first_failure = ""
        self.sent = 0

    def record(self, status: int, started: float, now: float, body: bytes) -> None:
        if started < self.counted_from or (self.ends_at and now > self.ends_at):
            return
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.latencies_s.append(now - started)
        if status >= 400 and not self.first_failure:
            self.first_failure = body[:500].decode("utf-8", "replace")


class _Connection(asyncio.Protocol):
    """Sends one request, waits for its answer, sends the next."""

    def __init__(self, requests: list[bytes], recorder: _Recorder, done: asyncio.Future[None]) -> None:
        self._requests = requests
        self._recorder = recorder
        self._done = done
        self._next = 0
        self._buffer = b""
        self._started = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's class does not inherit from it
        self._send()

    def _send(self) -> None:
        recorder = self._recorder
        now = time.perf_counter()
        if self._next == len(self._requests) and recorder.ends_at:
            self._next = 0
        if self._next == len(self._requests) or (recorder.ends_at and now >= recorder.ends_at):
            self._finish()
            return
        request = self._requests[self._next]
        self._next += 1
        recorder.sent += 1
        if COUNTER_MARK in request:
            request = request.replace(COUNTER_MARK, b"%0*d" % (len(COUNTER_MARK), recorder.sent))
        self._started = now
        self._transport.write(request)

    def _finish(self) -> None:
        if not self._done.done():
            self._done.set_result(None)
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = self._buffer[:head_end].lower()
        length_at = head.find(b"\r\ncontent-length:")
        if length_at < 0:
            if not self._buffer.endswith(b"0\r\n\r\n"):
                return
            end = len(self._buffer)
        else:
            end = head_end + 4 + int(head[length_at + 17 :].split(b"\r\n", 1)[0])
        if len(self._buffer) < end:
            return
        body = self._buffer[head_end + 4 : end]
        self._buffer = self._buffer[end:]
        self._recorder.record(int(head[9:12]), self._started, time.perf_counter(), body)
        self._send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(error or ConnectionError("the server closed the connection"))


async def _run(job: Job) -> Outcome:
    loop = asyncio.get_running_loop()
    begin = time.perf_counter()
    counted_from = begin + job.warm_up_s
    recorder = _Recorder(counted_from, counted_from + job.duration_s if job.duration_s else 0.0)
    waits = []
    for requests in job.connections:
        done: asyncio.Future[None] = loop.create_future()
        await loop.create_connection(
            functools.partial(_Connection, requests, recorder, done), job.host, job.port
        )
        waits.append(done)
    await asyncio.gather(*waits)
    elapsed_s = min(time.perf_counter(), recorder.ends_at or float("inf")) - counted_from
    return Outcome(recorder.statuses, recorder.latencies_s, elapsed_s, recorder.first_failure, recorder.sent)


def main() -> None:
    """Run the job on standard input."""
    job = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Job)
    sys.stdout.buffer.write(msgspec.msgpack.encode(uvloop.run(_run(job))))


if __name__ == "__main__":
    main()
