"""`packhouse serve`: the socket, one server process or several, and their end."""

import asyncio
import errno
import logging
import os
import resource
import signal
import socket
import ssl
import threading
from collections.abc import Callable
from types import FrameType
from typing import Final

import uvicorn
import uvloop
from starlette.types import ASGIApp

from packhouse import limits
from packhouse.config import Config
from packhouse.errors import Code, Invalid, Unavailable
from packhouse.git.commands.process import kill_running
from packhouse.log import log_event
from packhouse.web.app import StartBackground, make_app
from packhouse.web.edge.protocol import EdgeProtocol, EdgeUvicornConfig
from packhouse.web.edge.supervisor import EXIT_START_FAILED, supervise

BACKLOG: Final = 4096
OPEN_FILES_WANTED: Final = 65_536
FILES_BESIDE_CONNECTIONS: Final = 2048
"""Open files that are kept free for the database, packs, git processes and outbound requests."""


class TlsUnusable(Invalid, kw_only=True):
    """Certificate and key cannot be read, or do not fit each other. `reason` is the system's or OpenSSL's."""

    code = Code.TLS_UNUSABLE
    tls_cert: str
    tls_key: str
    reason: str


class ListenUnresolved(Unavailable):
    """The system finds no address for the name to listen on. `reason` is the system's."""

    code = Code.LISTEN_UNRESOLVED
    listen: str
    reason: str | None


class ListenTaken(Unavailable):
    """Another program listens on the address."""

    code = Code.LISTEN_TAKEN
    listen: str


class ListenRefused(Unavailable):
    """The system does not let this process listen on the address. `reason` is the system's."""

    code = Code.LISTEN_REFUSED
    listen: str
    reason: str | None


def serve(
    config: Config,
    start_background: StartBackground,
    *,
    announce: Callable[[], None] | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT; return the exit status. Each process starts its background work.

    `announce` is called once, by the first process that serves. Running requests may finish within `shutdown_grace_s`.
    Raises Invalid for a certificate or key that cannot be used, and Unavailable for an address that cannot be listened
    on.
    """
    check_tls(config)
    listener = open_listener(config.listen)
    _raise_open_files_limit()
    _tell_lowered_bound()
    host, port = listener.getsockname()[:2]
    scheme = "https" if config.tls_cert else "http"
    shown = f"[{host}]" if ":" in host else host
    process_id = os.getpid()

    def tell() -> None:
        address = f"{scheme}://{shown}:{port}"
        log_event("listening", address=address, workers=config.workers, pid=process_id)
        if announce is not None:
            announce()

    on_start = _OnceForAll(tell)
    if config.workers == 1:
        return min(
            run_worker(config, listener, start_background, on_start), 1
        )  # the supervisor alone asks why a start failed
    return supervise(lambda: run_worker(config, listener, start_background, on_start), config, listener)


class _OnceForAll:
    """A call that runs once, in the first process that makes it. Processes forked from this one count as well."""

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function
        self._tokens, writer = os.pipe()
        os.write(writer, b"1")
        os.close(writer)

    def __call__(self) -> None:
        if os.read(self._tokens, 1):
            self._function()


def check_tls(config: Config) -> None:
    """Raise Invalid for a certificate or key that cannot be read, or for a pair that does not fit."""
    if config.tls_cert is None or config.tls_key is None:
        return
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
            config.tls_cert, config.tls_key, password=_refuse_passphrase
        )
    except (OSError, ssl.SSLError) as error:
        raise TlsUnusable(
            tls_cert=str(config.tls_cert), tls_key=str(config.tls_key), reason=error.strerror or str(error)
        ) from None


def _refuse_passphrase() -> bytes:
    """Fail, where OpenSSL would ask for a passphrase on the terminal in each process."""
    raise ssl.SSLError("the key is encrypted")


def open_listener(listen: str) -> socket.socket:
    """Return a listening socket for ADDRESS:PORT (an IPv6 address in brackets); raise Unavailable."""
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ListenUnresolved(listen=listen, reason=error.strerror) from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ListenTaken(listen) from None
        raise ListenRefused(listen=listen, reason=error.strerror) from None
    listener.setblocking(False)
    return listener


def _raise_open_files_limit() -> None:
    """Raise the limit of open files as far as the system allows, since every connection is an open file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES_WANTED if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES_WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def choose_connections_max(open_files_max: int) -> int:
    """Return how many connections a process takes that may have so many files open.

    One more is answered 503. Without that, accepting would fail for lack of a descriptor, and so would every file that
    a request opens.
    """
    if open_files_max == resource.RLIM_INFINITY:
        return limits.connections_max
    kept_free = min(FILES_BESIDE_CONNECTIONS, open_files_max // 4)
    return min(limits.connections_max, open_files_max - kept_free)


def _tell_lowered_bound() -> None:
    """Log that the system's limit of open files lowers the number of connections."""
    open_files_max = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    taken = choose_connections_max(open_files_max)
    if taken < limits.connections_max:
        log_event(
            "limit of open files lowers the number of connections",
            level=logging.WARNING,
            open_files_max=open_files_max,
            connections_max=taken,
        )


class _Server(uvicorn.Server):
    """Uvicorn's server. A signal ends it with status 0, where uvicorn would raise the signal again.

    `on_start` is called once the server takes and answers connections.
    """

    def __init__(self, config: EdgeUvicornConfig, on_start: Callable[[], None] | None) -> None:
        super().__init__(config)
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._on_start is not None:
            self._on_start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  # a signal handler's
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True


def make_server(app: ASGIApp, config: Config, on_start: Callable[[], None] | None = None) -> uvicorn.Server:
    """Return a server of `app` with the bounds of our edge; `serve(sockets=…)` runs it."""
    return _Server(
        EdgeUvicornConfig(
            app,
            settings=config,
            connections_max=choose_connections_max(resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
            loop="none",
            http=EdgeProtocol,
            ws="none",
            lifespan="on",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=limits.keep_alive_s,
            timeout_graceful_shutdown=config.shutdown_grace_s,
            ssl_certfile=config.tls_cert,
            ssl_keyfile=config.tls_key,
        ),
        on_start,
    )


def run_worker(
    config: Config,
    listener: socket.socket,
    start_background: StartBackground,
    on_start: Callable[[], None],
) -> int:
    """Serve on `listener` in this process until a signal; return the exit status."""
    # A closed terminal ends the server like SIGTERM, not in the middle of its requests; under nohup it goes on.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
    # Uvicorn logs starts, stops and every malformed request. Any client could fill the log with malformed requests.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    server = make_server(make_app(config, start_background=start_background), config, on_start)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(server.serve(sockets=[listener]))
    except SystemExit as ended:  # uvicorn's way to say that the start-up failed
        return ended.code if isinstance(ended.code, int) else EXIT_START_FAILED
    log_event("stopped", pid=os.getpid())
    if any(thread.name.startswith("packhouse") for thread in threading.enumerate()):
        # The grace period is over, and waiting for a thread that hangs would keep the process for ever. The git
        # processes of the thread would outlive us, without a limit on their time.
        kill_running()
        logging.shutdown()
        os._exit(0)
    return 0
