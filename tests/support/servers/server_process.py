"""A real server process on a free port, with its own data folder."""

import json
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import httpx

from tests.support.builders.keys import KeyPair
from tests.support.clients.recorder import Recorder
from tests.support.servers import processes
from tests.support.servers.gateway import Gateway, read_exchange
from tests.support.servers.ports import free_port
from tests.support.servers.tls import TlsFiles

PROGRAM = Path(sys.executable).with_name("packhouse")
START_TIMEOUT_S = 120
STOP_TIMEOUT_S = 60
COMMAND_TIMEOUT_S = 120

STORED: Final[Mapping[str, str]] = {"journal_max_bytes": "0"}
"""Settings of a server that stores every pack, however small it is."""

_gateways: list[Gateway] = []  # at most one, because reading the description takes longer than most tests
_KEY_ID = re.compile(r"key_\w+\Z")


@dataclass(frozen=True)
class ServerOptions:
    """The options of a server. `settings` are `PACKHOUSE_…` variables without the prefix, in lower case.

    `nohup` starts it like nohup(1), however the tests themselves were started. `open_files_max` is the most open files
    that the system lets each of its processes have; 0 leaves that as it is.
    """

    database: str = ""
    workers: int = 1
    tls: TlsFiles | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    nohup: bool = False
    open_files_max: int = 0


class ServerProcess:
    """One running server. `stop` asserts that it ends cleanly and leaves nothing behind."""

    def __init__(self, folder: Path, options: ServerOptions) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.data = folder / "data"
        self.options = options
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.stderr_path = folder / "stderr.log"
        self._trust = ssl.create_default_context(cafile=str(options.tls.ca) if options.tls else None)
        self.http = httpx.Client(verify=self._trust, timeout=60, follow_redirects=False, trust_env=False)
        self.http.event_hooks["response"].append(self._check_reply)
        self._recorder: Recorder | None = None

    @property
    def url(self) -> str:
        """The server's address, without a slash at the end."""
        scheme, host = ("https", "localhost") if self.options.tls else ("http", "127.0.0.1")
        return f"{scheme}://{host}:{self.port}"

    @property
    def host_port(self) -> str:
        """Host and port, in the form of the SDKs' storage address."""
        return self.url.partition("://")[2]

    @property
    def recorded_url(self) -> str:
        """The address for a client whose traffic is recorded: see `take_exchanges`. TLS would hide the traffic."""
        if self.options.tls:
            return self.url
        if self._recorder is None:
            self._recorder = Recorder(self.port)
        return self._recorder.url

    def check_recorded(self) -> int:
        """Check the exchanges of the recorded address since the last call. Return their number.

        Fails if a request or an answer is not as described.
        """
        exchanges = [] if self._recorder is None else self._recorder.take()
        for exchange in exchanges:
            self.gateway().check(exchange)
        return len(exchanges)

    def gateway(self) -> Gateway:
        """Return a gateway with the server's description of itself, which is the same for every server."""
        if not _gateways:
            with httpx.Client(verify=self._trust, trust_env=False) as plain:
                _gateways.append(Gateway(plain.get(f"{self.url}/api/openapi.json").json()))
        return _gateways[0]

    def _check_reply(self, reply: httpx.Response) -> None:
        """Fail if an exchange between the tests' own client and the server is not as described."""
        if reply.request.url.path.startswith(("/api/", "/v4/")):
            self.gateway().check(read_exchange(reply))

    @property
    def ca(self) -> Path | None:
        """The authority that clients must trust, if the server speaks TLS."""
        return self.options.tls.ca if self.options.tls else None

    @property
    def environment(self) -> dict[str, str]:
        """Variables for every `packhouse` command of this server."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PACKHOUSE_")}
        settings = {
            "data": str(self.data),
            "listen": f"127.0.0.1:{self.port}",
            "workers": str(self.options.workers),
            **({"database": self.options.database} if self.options.database else {}),
            **self.options.settings,
        }
        if self.options.tls:
            settings |= {"tls_cert": str(self.options.tls.cert), "tls_key": str(self.options.tls.key)}
        return {**kept, **{f"PACKHOUSE_{name.upper()}": value for name, value in settings.items()}}

    def start(self, *, until: str = "/readyz") -> Self:
        """Start the process. Wait until it is ready to serve, or until another path answers 200."""
        with self.stderr_path.open("ab") as stderr, processes.hangup_ignored(self.options.nohup):
            self.process = subprocess.Popen(
                self._command(),
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers(until):
            if self.process.poll() is not None:
                raise AssertionError(f"server ended with {self.process.returncode}:\n{self.stderr()}")
            if time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"server not ready after {START_TIMEOUT_S} s:\n{self.stderr()}")
            time.sleep(0.05)
        return self

    def _command(self) -> list[str]:
        command = [str(PROGRAM), "serve"]
        if not self.options.open_files_max:
            return command
        return ["/bin/sh", "-c", f'ulimit -n {self.options.open_files_max} && exec "$0" "$@"', *command]

    def _answers(self, path: str) -> bool:
        try:
            return self.http.get(f"{self.url}{path}").status_code == 200
        except httpx.TransportError:
            return False

    @property
    def pid(self) -> int:
        """Process id of the running server. It is also the id of the session of all its processes."""
        assert self.process is not None, "server is not running"
        return self.process.pid

    def members(self) -> dict[int, str]:
        """Return process id to command line of the server and of every process that it started."""
        return processes.session_members(self.pid)

    def git_processes(self) -> dict[int, str]:
        """Return the git processes that the server is running."""
        return {i: name for i, name in self.members().items() if re.match(r"(\S*/)?git[ -]|\(Z\)", name)}

    def terminate(self) -> int:
        """Send SIGTERM, wait for the end and return the exit status. No process may be left."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            members = self.members()
            self.kill()
            raise AssertionError(f"server did not stop on SIGTERM; still there: {members}") from None
        left = processes.wait_until_gone(self.process.pid)
        processes.signal_session(self.process.pid, signal.SIGKILL)
        self.process = None
        assert not left, f"processes left after SIGTERM: {left}"
        return status

    def kill(self) -> None:
        """Send SIGKILL to the server and every process that it started, as in a power cut."""
        assert self.process is not None
        session_id = self.process.pid
        while processes.session_members(session_id):
            processes.signal_session(session_id, signal.SIGKILL)
            self.process.poll()
            time.sleep(0.01)
        self.process.wait()
        self.process = None

    def stop(self) -> None:
        """End the server like an operator, and check that it has logged no complaint."""
        self.http.close()
        if self._recorder is not None:
            self._recorder.stop()
        if self.process is None:
            return
        status = self.terminate()
        assert status in (0, -signal.SIGTERM), f"exit status {status}:\n{self.stderr()}"
        assert "Traceback" not in self.stderr(), f"the server logged a stack trace:\n{self.stderr()}"

    def stderr(self) -> str:
        """Return the server's standard error so far."""
        return self.stderr_path.read_text("utf-8", "replace") if self.stderr_path.exists() else ""

    def log(self, message: str = "") -> list[dict[str, Any]]:
        """Return the lines of the log so far, those with this message if one is given."""
        lines = [json.loads(line) for line in self.stderr().split("\n")[:-1] if line.startswith("{")]
        return [line for line in lines if not message or line["message"] == message]

    def try_cli(self, *args: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
        """Run a `packhouse` command on this server's data and return status and output."""
        done = subprocess.run(
            [str(PROGRAM), *map(str, args)],
            env=self.environment,
            input=stdin,
            capture_output=True,
            timeout=COMMAND_TIMEOUT_S,
        )
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
        )

    def cli(self, *args: str | Path) -> str:
        """Run a `packhouse` command, which must succeed. Return its output without surrounding blanks."""
        done = self.try_cli(*args)
        assert done.returncode == 0, f"packhouse {args}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout.strip()

    def add_key(self, org: str, pair: KeyPair, *options: str) -> str:
        """Register a public key through the command line and return its id."""
        path = self.folder / f"{org}-{abs(hash(pair.public_pem))}.pem"
        path.write_text(pair.public_pem)
        printed = self.cli("key", "add", org, path, *options)
        match = _KEY_ID.search(printed)
        assert match, f"key add must print the key id as its last word, not {printed!r}"
        return match.group()
