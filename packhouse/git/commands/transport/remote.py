"""Git talking to another server: to one checked address, without redirects, with a credential that stays hidden.

The credential is in a memory file that the child inherits. Git asks for it through a credential helper
(gitcredentials(7)) that reads this file. So the credential is in no argument, no variable, no URL and on no disk.
"""

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from packhouse import limits
from packhouse.errors import Code, Invalid, LimitExceeded, PackhouseError, TimedOut
from packhouse.fault_names import ALWAYS_ALLOWED
from packhouse.git.commands.process import spawn_git
from packhouse.git.commands.run import GitResult, Runner, collect
from packhouse.secret import Secret

_TICK_S: Final = 0.2


class RemoteFault(Enum):
    """Why the other server did not do what git asked."""

    NOT_LET_IN = "authentication"
    CERTIFICATE = "certificate"
    REDIRECT = "redirect"
    NOT_FOUND = "not found"
    TIMED_OUT = "timed out"
    NOT_RESOLVED = "not resolved"
    BAD_OBJECTS = "bad objects"
    TOO_MUCH = "too much"
    NOT_CONNECTED = "not connected"
    BROKEN_OFF = "broken off"
    UNKNOWN = "unknown"


class RemoteFailed(PackhouseError):
    """The remote server did not do what git asked for. `fault` tells what went wrong."""

    code = Code.REMOTE_FAILED
    fault: RemoteFault


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
    """The server that git may connect to. Git uses the checked `addresses` and asks no resolver.

    Without `ca_file`, git trusts the authorities of the system.
    """

    url: str
    scheme: str
    host: str
    port: int
    addresses: Sequence[str]
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Remote:
    """A server and the login for it, if there is one."""

    server: RemoteServer
    login: RemoteLogin | None = None


# Messages of git and libcurl with their meaning; the first match counts.
_SIGNS: Final = (
    (r"authentication failed|could not read username|error: 40[13]\b|invalid credentials", RemoteFault.NOT_LET_IN),
    (r"certificate|ssl_error|ssl routines|tls", RemoteFault.CERTIFICATE),
    (r"error: 30\d|redirect", RemoteFault.REDIRECT),
    (r"not found|error: 404", RemoteFault.NOT_FOUND),
    (r"timed out|too slow|timeout", RemoteFault.TIMED_OUT),
    (r"could not resolve", RemoteFault.NOT_RESOLVED),
    (r"fsck|in packed object|did not send all necessary|bad object|inflate|pack signature|invalid",
     RemoteFault.BAD_OBJECTS),
    (r"exceeds maximum|too large|out of memory", RemoteFault.TOO_MUCH),
    (r"failed to connect|couldn't connect|connection refused|unreachable", RemoteFault.NOT_CONNECTED),
    (r"early eof|hung up|reset|rpc failed|empty reply|disconnect|transfer closed|bytes missing|short read",
     RemoteFault.BROKEN_OFF),
)  # fmt: skip

# Texts of the other side and addresses are ignored: a repository may be called `tls-timeout`.
_TOLD_BY_OTHERS: Final = re.compile(r"^remote:.*$|https?://[^\s']*", re.MULTILINE)


def find_fault(messages: bytes) -> RemoteFault:
    """Return the fault that git's messages describe."""
    text = _TOLD_BY_OTHERS.sub("", messages.decode("utf-8", "replace").lower())
    return next((fault for sign, fault in _SIGNS if re.search(sign, text)), RemoteFault.UNKNOWN)


def run_remote_git(
    runner: Runner,
    *args: str,
    remote: Remote,
    config: Mapping[str, str] | None = None,
    timeout_s: float,
    watch: Callable[[], None],
) -> GitResult:
    """Run git, with the remote as its only contact, to its end and return its output, whatever the exit code.

    `watch` is called several times a second and raises to end the run. Raises RemoteFailed after `timeout_s` seconds,
    and when git writes more than `limits.git_output_max_bytes`.
    """
    try:
        return _run(runner, args, remote, config or {}, timeout_s, watch)
    except TimedOut:
        raise RemoteFailed(RemoteFault.TIMED_OUT) from None
    except LimitExceeded:
        raise RemoteFailed(RemoteFault.TOO_MUCH) from None


def _run(
    runner: Runner,
    args: Sequence[str],
    remote: Remote,
    config: Mapping[str, str],
    timeout_s: float,
    watch: Callable[[], None],
) -> GitResult:
    deadline = time.monotonic() + timeout_s

    def look() -> float:
        if time.monotonic() > deadline:
            raise RemoteFailed(RemoteFault.TIMED_OUT)
        watch()
        return _TICK_S

    with _login_file(remote.login) as descriptor:
        settings = {**_settings(remote.server, descriptor), **config}
        fds = () if descriptor is None else (descriptor,)
        with spawn_git(runner.place(), *args, config=settings, pass_fds=fds) as git:
            git.limit_memory(limits.upstream_git_memory_max_bytes)  # git's later children inherit it
            stdout, stderr = collect(git, (), look, output_max_bytes=limits.git_output_max_bytes)
            look()
            code = git.wait(max(1.0, deadline - time.monotonic()))
    return GitResult(args[0], code, stdout, stderr)


@contextlib.contextmanager
def _login_file(login: RemoteLogin | None) -> Iterator[int | None]:
    """Give the descriptor of a file in memory with the login, in the form that git asks for; None without a login."""
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
        # The received objects stay one pack; publishing forces it to the disk.
        "fetch.unpackLimit": "1",
        "core.fsync": "none",
    }
    if server.addresses:
        addresses = ",".join(f"[{text}]" if ":" in text else text for text in server.addresses)
        settings["http.curloptResolve"] = f"{server.host}:{server.port}:{addresses}"
    if server.ca_file is not None:
        settings["http.sslCAInfo"] = str(server.ca_file)
    if descriptor is not None:
        # Opening the path starts at the file's beginning again, so git may ask more than once (proc(5), /proc/self/fd).
        helper = f'!f() {{ test "$1" = get && cat /proc/self/fd/{descriptor}; }}; f'
        settings["credential.helper"] = helper
    return settings
