"""`packhouse demo` running in a folder, as `make run` starts it, and a shell beside it."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import httpx

from tests.support.builders.keys import KeyPair, sign_token, usual_claims
from tests.support.clients.git import Git
from tests.support.examples import Request
from tests.support.servers.ports import free_port
from tests.support.servers.server_process import COMMAND_TIMEOUT_S, PROGRAM, STOP_TIMEOUT_S
from tests.support.waiting import wait_until

SHOP = "apps/shop"
ORG = "demo"
_SCOPES = ["git:read", "git:write", "repo:write", "org:read"]


class RunningDemo:
    """Context manager: a demo with its own data in `folder`, which commands take for a checkout.

    The folder's path is short, because gpg-agent makes its socket below it (unix(7): 107 bytes).
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ph-", dir="/tmp"))
        (self.folder / ".venv").symlink_to(PROGRAM.parents[1])
        self.env = {
            **Git(self.folder / "home").env,
            "PATH": f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}",
        }
        self.http = httpx.Client(timeout=60, trust_env=False)
        self._shell: subprocess.Popen[str] | None = None

    def __enter__(self) -> "RunningDemo":
        self._demo = subprocess.Popen(
            [PROGRAM, "demo", "--listen", f"127.0.0.1:{free_port()}"],
            env=self.env,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        printed = ""
        assert self._demo.stdout is not None
        for line in self._demo.stdout:
            printed += line
            if "Ctrl-C" in line:
                break
        exported = re.search(r"^export SERVER=(\S+) TOKEN=(\S+)$", printed, re.MULTILINE)
        assert exported, f"the demo prints where it serves and a token:\n{printed}"
        self.env |= {"SERVER": exported[1], "TOKEN": exported[2]}
        wait_until(self._is_ready, "the demo does not serve")
        return self

    def _is_ready(self) -> bool:
        try:
            return self.http.get(f"{self.env['SERVER']}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()
        if self._shell is not None:
            self._end_shell(self._shell)
        self._demo.send_signal(signal.SIGINT)
        try:
            assert self._demo.wait(STOP_TIMEOUT_S) == 0
        finally:
            self._demo.kill()
            self._demo.communicate()
            shutil.rmtree(self.folder, ignore_errors=True)

    def send(self, request: Request) -> httpx.Response:
        """Send a request of a page, with the demo's token unless the request names another one."""
        given = {name: self._fill_in(value) for name, value in request.headers.items()}
        headers = {"Authorization": f"Bearer {self.env['TOKEN']}", **given}
        url = self.env["SERVER"] + self._fill_in(request.target)
        body = self._fill_in(request.body).encode() or None
        return self.http.request(request.method, url, headers=headers, content=body)

    def _fill_in(self, text: str) -> str:
        """Replace the placeholders for tokens and for the repository's number."""
        text = re.sub(r"<token for ([^>]+)>", lambda match: self._token(match[1]), text)
        if "{repository_id}" in text:
            shop = self.send(Request("GET", f"/api/repos/{quote(SHOP, safe='')}", {}, "")).json()
            text = text.replace("{repository_id}", str(shop["repository_id"]))
        return text

    def _token(self, repo: str) -> str:
        pair = KeyPair((self.folder / "data/demo-key.pem").read_text(), "", "ES256")
        return sign_token(pair, usual_claims(ORG, repo, _SCOPES))

    def paste(self, script: str) -> str:
        """Run lines in the shell, which keeps folder and variables. Return their standard output."""
        if self._shell is None:
            self._shell = self._start_shell()
        shell = self._shell
        assert shell.stdin is not None and shell.stdout is not None
        (self.folder / "pasted").write_text(script)
        shell.stdin.write(f". {self.folder}/pasted </dev/null; echo; echo END-OF-PASTED\n")
        shell.stdin.flush()
        watch = threading.Timer(COMMAND_TIMEOUT_S, self._kill_shell, [shell])
        watch.start()
        try:
            printed = ""
            for line in shell.stdout:
                if line == "END-OF-PASTED\n":
                    return printed.removesuffix("\n")
                printed += line
        finally:
            watch.cancel()
        raise AssertionError(f"status {shell.wait()}: {printed}\n{(self.folder / 'stderr').read_text()}")

    def _start_shell(self) -> subprocess.Popen[str]:
        with (self.folder / "stderr").open("wb") as stderr:
            return subprocess.Popen(
                ["bash", "-euo", "pipefail"],
                cwd=self.folder,
                env=self.env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                start_new_session=True,
            )

    def _end_shell(self, shell: subprocess.Popen[str]) -> None:
        """End the shell and all programs started in it, also agents, which leave its session."""
        for home in filter(Path.is_dir, (self.folder / "gnupg", self.folder / "home/.gnupg")):
            subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], env=self.env, capture_output=True)
        self._kill_shell(shell)
        shell.communicate()

    @staticmethod
    def _kill_shell(shell: subprocess.Popen[str]) -> None:
        try:
            os.killpg(shell.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
