"""A temporary PostgreSQL server: real, on the loopback address, removed when the tests end."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

import psycopg

from tests.support.servers.ports import free_port
from tests.support.servers.programs import find_postgres

START_MAX_S = 120
STOP_MAX_S = 60


class PostgresServer:
    """Starts `postgres` on a new cluster in a temporary folder. `new_database()` returns an address.

    PostgreSQL refuses to run as root. Then its processes run as the user `postgres` or `nobody`.
    """

    def __init__(self, *, durable: bool = False) -> None:
        """With `durable` the server waits for the disk, like a production server. Tests are faster without it."""
        self._durable = durable
        self._folder = Path(tempfile.mkdtemp(prefix="packhouse-pg-"))
        self._as_user = _choose_user()
        self._bin = find_postgres()
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        self.port = 0

    def start(self) -> "PostgresServer":
        """Create the cluster, start the server and wait until it answers."""
        try:
            if self._as_user is not None:
                os.chown(self._folder, self._as_user.pw_uid, self._as_user.pw_gid)
                self._move_programs_into_reach()
            self._run(
                "initdb", "-D", str(self.data), "-U", "packhouse", "-A", "trust", "-E", "UTF8",
                "--no-sync", "--locale=C.UTF-8", "--no-instructions",
            )  # fmt: skip
            self.launch()
        except BaseException:
            self.stop()
            raise
        return self

    def _move_programs_into_reach(self) -> None:
        """Copy the programs of a wheel if they are in a folder of root that the other user may not enter."""
        try:
            self._run("initdb", "--version")
        except PermissionError:
            package = self._bin.parents[1]
            # Their libraries are beside the package, at a place relative to the programs.
            for part in package.parent.glob(f"{package.name}*"):
                shutil.copytree(part, self._folder / "programs" / part.name)
            self._bin = self._folder / "programs" / self._bin.relative_to(package.parent)

    def launch(self) -> None:
        """Start the server process on the existing cluster. The port stays the same over restarts."""
        self.port = self.port or free_port()
        log = (self._folder / "log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [*_die_with_us(), *self._command(
                    "postgres", "-D", str(self.data), "-p", str(self.port),
                    "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
                    "-c", "max_connections=200", "-c", "shared_buffers=32MB", "-c", "log_min_messages=fatal",
                    "-c", f"fsync={'on' if self._durable else 'off'}",
                )],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                user=None if self._as_user is None else self._as_user.pw_uid,
                group=None if self._as_user is None else self._as_user.pw_gid,
                extra_groups=None if self._as_user is None else [],
            )  # fmt: skip
        self._wait_until_ready()

    @property
    def data(self) -> Path:
        """The folder of the cluster."""
        return self._folder / "data"

    def url(self, database: str) -> str:
        """Return the address of a database on this server."""
        return f"postgresql://packhouse@127.0.0.1:{self.port}/{database}"

    def new_database(self, *, encoding: str = "UTF8", locale: str = "C.UTF-8") -> str:
        """Create an empty database and return its address."""
        self._databases += 1
        name = f"packhouse_{self._databases}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(
                f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE '{locale}'".encode()
            )
        return self.url(name)

    def halt(self, *, how: signal.Signals = signal.SIGINT) -> None:
        """End the server process and keep the cluster. SIGINT cuts connections, SIGQUIT does not clean up."""
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(STOP_MAX_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(STOP_MAX_S)
        self._process = None

    def stop(self) -> None:
        """End the server, whatever its state, and remove the cluster."""
        try:
            self.halt(how=signal.SIGQUIT)  # the files need not be in order any more
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> "PostgresServer":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _command(self, program: str, *args: str) -> list[str]:
        return [str(self._bin / program), *args]

    def _run(self, program: str, *args: str) -> None:
        done = subprocess.run(
            self._command(program, *args),
            capture_output=True,
            cwd=self._folder,
            user=None if self._as_user is None else self._as_user.pw_uid,
            group=None if self._as_user is None else self._as_user.pw_gid,
            extra_groups=None if self._as_user is None else [],
        )
        assert done.returncode == 0, f"{program} failed: {done.stderr.decode(errors='replace')}"

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        give_up_at = time.monotonic() + START_MAX_S
        while True:
            log = (self._folder / "log").read_text(errors="replace")
            assert self._process.poll() is None, f"postgres ended at once: {log}"
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > give_up_at:
                    raise
                time.sleep(0.05)


def _die_with_us() -> list[str]:
    """Return the command that ends a program when this process is killed; nothing without util-linux."""
    setpriv = shutil.which("setpriv")
    return [] if setpriv is None else [setpriv, "--pdeathsig", "INT"]


def _choose_user() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise AssertionError("running as root and neither user postgres nor nobody exists")
