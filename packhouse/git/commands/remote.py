"""Git talking to another server: to one checked address, without redirects, with a credential that nobody sees.

The credential travels through a memory file that the child inherits; git asks for it through a credential helper
(gitcredentials(7)) that reads this file. So it is in no argument, no variable, no URL and on no disk.
"""

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packhouse import limits
from packhouse.error_codes import Code
from packhouse.errors import Invalid, TimedOut
from packhouse.fault_names import ALWAYS_ALLOWED
from packhouse.git.commands.environment import GitPlace
from packhouse.git.commands.process import spawn_git
from packhouse.git.commands.run import GitResult, collect
from packhouse.secret import Secret

_TICK_S: Final = 0.2


class UpstreamTookTooLong(TimedOut):
    """The connection was given up after that time."""

    code = Code.UPSTREAM_TOOK_TOO_LONG
    seconds: float


class CredentialUnusable(Invalid):
    """The credential would break a line of git's credential protocol."""

    code = Code.CREDENTIAL_UNUSABLE


@dataclass(frozen=True, slots=True)
class RemoteLogin:
    """User name and password for the remote; the password never shows in a repr."""

    username: str
    password: Secret


@dataclass(frozen=True, slots=True)
class RemoteServer:
    """Where git may connect. `addresses` were checked; git asks no resolver. `ca_file` None: the system's."""

    url: str
    scheme: str
    host: str
    port: int
    addresses: Sequence[str]
    ca_file: Path | None = None


def run_remote_git(
    place: GitPlace,
    *args: str,
    server: RemoteServer,
    login: RemoteLogin | None,
    config: Mapping[str, str] | None = None,
    timeout_s: float,
    watch: Callable[[], None],
) -> GitResult:
    """Run git, which may contact `server` and nobody else, to its end and return its output, whatever its code.

    `watch` is called several times a second and ends the run by raising. Raises TimedOut after `timeout_s`
    seconds, and LimitExceeded when git writes more than `limits.git_output_max_bytes`.
    """
    deadline = time.monotonic() + timeout_s
    with _login_file(login) as descriptor:
        settings = {**_settings(server, descriptor), **(config or {})}
        fds = () if descriptor is None else (descriptor,)
        with spawn_git(place, *args, config=settings, pass_fds=fds) as git:
            git.limit_memory(limits.upstream_git_memory_max_bytes)  # also of what git starts from here on

            def look() -> float:
                if time.monotonic() > deadline:
                    raise UpstreamTookTooLong(timeout_s)
                watch()
                return _TICK_S

            stdout, stderr = collect(git, (), look, output_max_bytes=limits.git_output_max_bytes)
            look()
            code = git.wait(max(1.0, deadline - time.monotonic()))
    return GitResult(args[0], code, stdout, stderr)


@contextlib.contextmanager
def _login_file(login: RemoteLogin | None) -> Iterator[int | None]:
    """Give the descriptor of a file in memory with the answer to git's question, None without a login."""
    if login is None:
        yield None
        return
    password = login.password.reveal()
    for text in (login.username, password):
        if re.search(r"[\n\r\0]", text):  # the protocol has one line a value; git refuses them too
            raise CredentialUnusable()
    descriptor = os.memfd_create("credential", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, f"username={login.username}\npassword={password}\n".encode())
        yield descriptor
    finally:
        os.close(descriptor)


def _settings(server: RemoteServer, descriptor: int | None) -> dict[str, str]:
    """Return git's configuration for this one server. Source: git-config(1)."""
    settings = {
        f"protocol.{server.scheme}.allow": "always",
        "http.followRedirects": "false",
        "http.sslVerify": "true",
        "http.proxy": "",
        "http.emptyAuth": "false",
        "http.lowSpeedLimit": "1",
        "http.lowSpeedTime": str(limits.upstream_stall_max_s),
        "fetch.fsckObjects": "true",
        **{f"fetch.fsck.{name}": "ignore" for name in ALWAYS_ALLOWED},
        # Whatever arrives stays one pack; publishing forces it to the disk.
        "fetch.unpackLimit": "1",
        "core.fsync": "none",
    }
    if server.addresses:
        addresses = ",".join(f"[{text}]" if ":" in text else text for text in server.addresses)
        settings["http.curloptResolve"] = f"{server.host}:{server.port}:{addresses}"
    if server.ca_file is not None:
        settings["http.sslCAInfo"] = str(server.ca_file)
    if descriptor is not None:
        # The path opens the file anew, so that git may ask more than once (proc(5), /proc/self/fd).
        helper = f'!f() {{ test "$1" = get && cat /proc/self/fd/{descriptor}; }}; f'
        settings["credential.helper"] = helper
    return settings
