"""The only place that starts a program, git as a rule, with an environment of its own and bounds on everything.

A child sees no configuration but ours, no hooks, no credential helpers and no prompts, and may talk to no
remote. It leads a process group, so that killing it takes its own children along, and its memory is limited
through prlimit(2) after the start: `preexec_fn` would force a real fork of this large process.
"""

import contextlib
import fcntl
import math
import os
import resource
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from packhouse import limits
from packhouse.errors import LimitExceeded, PackhouseError, TimedOut, Unavailable
from packhouse.git.oid import EMPTY_TREE_OID

PIPE_BYTES: Final = limits.MIB

_CONFIG: Final[dict[str, str]] = {
    # Without these three, one large blob costs its whole size in memory (git-config(1)).
    "core.bigFileThreshold": "16m",
    "core.packedGitWindowSize": "16m",
    "core.packedGitLimit": "64m",
    "core.deltaBaseCacheLimit": "32m",
    "pack.windowMemory": "64m",
    # What other systems would expand to `.git` is refused everywhere.
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    "core.hooksPath": "/dev/null",
    "core.attributesFile": "/dev/null",
    "core.fsync": "all",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "protocol.allow": "never",
    # Folders belong to whoever runs the server, but an operator may run a command as root.
    "safe.directory": "*",
    "transfer.advertiseSID": "false",
    "advice.detachedHead": "false",
}


class GitFailed(PackhouseError):
    """Git ended with an exit code that the caller did not expect. The text is git's, for the log."""

    @property
    def is_for_memory(self) -> bool:
        """Tell whether git found no more memory, or died of that."""
        code, text = self.fields.get("code"), str(self.fields.get("text"))
        return "memory" in text.lower() or "mmap" in text or (isinstance(code, int) and code < 0)


class GitSilent(TimedOut):
    """Git wrote nothing for longer than it may be silent, and worked all the while."""

    def __init__(self) -> None:
        super().__init__("git took too long")


class ProgramMissing(Unavailable):
    """A program that this call needs is not installed. Field: program."""

    def __init__(self, program: str) -> None:
        super().__init__("program is not installed", program=program)


@dataclass(frozen=True, slots=True)
class GitResult:
    """What a finished git, or another program, left behind."""

    code: int
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True, slots=True)
class GitPlace:
    """Where git works: its repository, the variables that tell where objects are, and what it inherits.

    The descriptors are locks that keep the objects in place while git runs, even when this process dies.
    """

    git_dir: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    descriptors: tuple[int, ...] = ()


def git_environment(
    git_dir: Path | None, *, extra: Mapping[str, str] | None = None, config: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the whole environment of a git child: nothing is inherited but PATH."""
    settings = {**_CONFIG, **(config or {})}
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "/bin/false",
        "GIT_NO_REPLACE_OBJECTS": "1",
        # From 2.43 on git reads .gitattributes of a bare repository's HEAD; what a repository holds must not
        # change how it is shown. Older ones do not know the variable (git(1)).
        "GIT_ATTR_SOURCE": EMPTY_TREE_OID,
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_CONFIG_COUNT": str(len(settings)),
    }
    for number, (name, value) in enumerate(settings.items()):
        environment[f"GIT_CONFIG_KEY_{number}"] = name
        environment[f"GIT_CONFIG_VALUE_{number}"] = value
    if git_dir is not None:
        environment["GIT_DIR"] = str(git_dir)
    environment.update(extra or {})
    return environment


class ChildProcess:
    """A running program with three pipes. Leaving the `with` block kills what still runs and reaps it."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        pass_fds: Sequence[int] = (),
        large_pipes: bool = False,
    ) -> None:
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=env,
                cwd="/",
                bufsize=0,
                pass_fds=tuple(pass_fds),
                process_group=0,
            )
        except FileNotFoundError:
            raise ProgramMissing(command[0]) from None
        _running.add(self)
        self.limit_memory(limits.git_memory_max_bytes)
        if large_pipes:
            self._enlarge_pipes()

    @property
    def stdin(self) -> IO[bytes]:
        """The pipe that the program reads; close it to tell that the input ends."""
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        """The pipe that the program writes; unbuffered."""
        assert self._process.stdout is not None
        return self._process.stdout

    @property
    def stderr(self) -> IO[bytes]:
        """Its messages; must be read, or the program stops once the pipe is full."""
        assert self._process.stderr is not None
        return self._process.stderr

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its group."""
        return self._process.pid

    def poll(self) -> int | None:
        """Return the exit code, or None while the program runs."""
        return self._process.poll()

    def wait(self, timeout_s: float) -> int:
        """Return the exit code; raise TimedOut when the program still runs after `timeout_s` seconds."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise TimedOut("git did not end in time", seconds=timeout_s) from None

    def kill(self) -> None:
        """End the program and every process it started, and reap it. Harmless when it has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """Kill what still runs, reap it and close the pipes."""
        self.kill()
        _running.discard(self)
        for pipe in (self.stdin, self.stdout, self.stderr):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def limit_memory(self, max_bytes: int) -> None:
        """Bound the address space of the program, which can only be made smaller."""
        # The child may have ended already; then there is nothing to limit.
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(self._process.pid, resource.RLIMIT_AS, (max_bytes, max_bytes))

    def _enlarge_pipes(self) -> None:
        for pipe in (self.stdin, self.stdout):
            # The kernel bounds the pipe memory of one user (pipe(7)); small pipes work too, only slower.
            with contextlib.suppress(OSError):
                fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)


class _Silence:
    """How long a program has written nothing. Time in which it had no processor, on a busy machine, does not count."""

    def __init__(self, child: ChildProcess, max_s: float) -> None:
        self._child = child
        self._max_s = max_s
        self.end()

    def end(self) -> None:
        """The program wrote something."""
        self._since = time.monotonic()
        self._cpu_since_s = 0.0 if self._max_s == math.inf else _cpu_s(self._child.pid)

    def time_left(self) -> float:
        """Return when to look again, in seconds; raise GitSilent once the silence is too long."""
        left = self._max_s - (time.monotonic() - self._since)
        if left > 0:
            return left
        left = self._max_s - (_cpu_s(self._child.pid) - self._cpu_since_s)
        if left > 0:
            return left
        raise GitSilent


def _cpu_s(pid: int) -> float:
    """Return the processor time that a program and its threads have used (proc(5), /proc/pid/stat)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except FileNotFoundError:
        return math.inf
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


_running: Final[set[ChildProcess]] = set()


def kill_running() -> None:
    """End every program that runs for this process, which is about to end without waiting for its threads."""
    for child in list(_running):
        child.kill()


class GitProcess(ChildProcess):
    """A running git."""

    def __init__(
        self,
        place: GitPlace | Path | None,
        args: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        config: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
        large_pipes: bool = False,
    ) -> None:
        if not isinstance(place, GitPlace):
            git_dir, extra, descriptors = place, env, tuple(pass_fds)
        else:
            git_dir, extra = place.git_dir, {**place.environment, **(env or {})}
            descriptors = (*place.descriptors, *pass_fds)
        environment = git_environment(git_dir, extra=extra, config=config)
        super().__init__(["git", *args], env=environment, pass_fds=descriptors, large_pipes=large_pipes)


def spawn_git(
    place: GitPlace | Path | None,
    *args: str,
    env: Mapping[str, str] | None = None,
    config: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    large_pipes: bool = False,
) -> GitProcess:
    """Start git and return it running; the caller uses it in a `with` block and bounds the time."""
    return GitProcess(place, args, env=env, config=config, pass_fds=pass_fds, large_pipes=large_pipes)


def run_git(
    place: GitPlace | Path | None,
    *args: str,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    config: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    ok_codes: frozenset[int] = frozenset({0}),
    timeout_s: float = limits.git_call_max_s,
    output_max_bytes: int = limits.git_output_max_bytes,
    on_start: Callable[[GitProcess], None] | None = None,
) -> GitResult:
    """Run git to its end and return its output. `on_start` gets the process, so that others can end it.

    Raises GitFailed when the exit code is not in `ok_codes`, TimedOut after `timeout_s` seconds and
    LimitExceeded when git writes more than `output_max_bytes`.
    """
    with spawn_git(place, *args, env=env, config=config, pass_fds=pass_fds) as git:
        if on_start is not None:
            on_start(git)
        stdout, stderr = _communicate(git, stdin, time.monotonic() + timeout_s, output_max_bytes)
        code = git.wait(timeout_s)
    if code not in ok_codes:
        raise GitFailed(
            "git failed", command=args[0], code=code, text=stderr[-2000:].decode("utf-8", "replace")
        )
    return GitResult(code, stdout, stderr)


def run_program(
    command: Sequence[str],
    *,
    home: Path,
    stdin: bytes = b"",
    timeout_s: float,
    output_max_bytes: int,
) -> GitResult:
    """Run another program than git to its end and return its output, whatever its exit code.

    It inherits nothing but PATH; `home` is its home folder, its zone is UTC. Raises ProgramMissing, TimedOut,
    and LimitExceeded when it writes more than `output_max_bytes`.
    """
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "TZ": "UTC",
        "HOME": str(home),
    }
    with ChildProcess(command, env=environment) as child:
        stdout, stderr = _communicate(child, stdin, time.monotonic() + timeout_s, output_max_bytes)
        return GitResult(child.wait(timeout_s), stdout, stderr)


def iter_git_output(
    place: GitPlace | Path | None,
    *args: str,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    ok_codes: frozenset[int] = frozenset({0}),
    timeout_s: float = limits.git_call_max_s,
    silence_max_s: float = math.inf,
    on_start: Callable[[GitProcess], None] | None = None,
    on_messages: Callable[[bytes], None] | None = None,
) -> Iterator[bytes]:
    """Yield git's output in pieces of up to 1 MiB as it comes; closing the iterator kills git.

    `on_start` gets the process first, `on_messages` what git wrote to standard error when it did not fail, also when
    its time is over. Raises GitFailed after the last piece when git failed, TimedOut after `timeout_s` seconds, and
    GitSilent when git wrote nothing for `silence_max_s` seconds and has used as much processor time meanwhile.
    """
    deadline = time.monotonic() + timeout_s
    with spawn_git(place, *args, env=env, pass_fds=pass_fds, large_pipes=True) as git:
        if on_start is not None:
            on_start(git)
        silence = _Silence(git, silence_max_s)
        rest = memoryview(stdin)
        stderr = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(git.stdout, selectors.EVENT_READ)
            selector.register(git.stderr, selectors.EVENT_READ)
            if rest:
                os.set_blocking(git.stdin.fileno(), False)
                selector.register(git.stdin, selectors.EVENT_WRITE)
            else:
                git.stdin.close()
            try:
                while selector.get_map():
                    for key, _ in selector.select(min(_time_left(deadline), silence.time_left())):
                        if key.fileobj is git.stdin:
                            rest = _feed(git, rest, selector)
                            continue
                        piece = os.read(key.fd, PIPE_BYTES)
                        if not piece:
                            selector.unregister(key.fileobj)
                        elif key.fileobj is git.stdout:
                            yield piece
                            silence.end()
                        else:
                            stderr += piece[: limits.KIB]
            except TimedOut:
                if on_messages is not None and stderr:
                    on_messages(bytes(stderr))
                raise
        code = git.wait(_time_left(deadline))
    if code not in ok_codes:
        raise GitFailed(
            "git failed", command=args[0], code=code, text=stderr[-2000:].decode("utf-8", "replace")
        )
    if on_messages is not None and stderr:
        on_messages(bytes(stderr))


def _communicate(
    git: ChildProcess, stdin: bytes, deadline: float, output_max_bytes: int
) -> tuple[bytes, bytes]:
    """Feed `stdin` and collect both outputs at once, so that no side waits for the other."""
    output = {git.stdout: bytearray(), git.stderr: bytearray()}
    rest = memoryview(stdin)
    with selectors.DefaultSelector() as selector:
        for pipe in output:
            selector.register(pipe, selectors.EVENT_READ)
        if rest:
            os.set_blocking(git.stdin.fileno(), False)
            selector.register(git.stdin, selectors.EVENT_WRITE)
        else:
            git.stdin.close()
        while selector.get_map():
            for key, _ in selector.select(_time_left(deadline)):
                if key.fileobj is git.stdin:
                    rest = _feed(git, rest, selector)
                    continue
                piece = os.read(key.fd, PIPE_BYTES)
                if not piece:
                    selector.unregister(key.fileobj)
                    continue
                collected = output[key.fileobj]  # type: ignore[index]  # only the pipes above are registered
                collected += piece
                if len(collected) > output_max_bytes:
                    raise LimitExceeded("git wrote more than expected", max_bytes=output_max_bytes)
    return bytes(output[git.stdout]), bytes(output[git.stderr])


def _feed(git: ChildProcess, rest: memoryview, selector: selectors.BaseSelector) -> memoryview:
    """Write what the pipe takes and return what is left; close the pipe at the end or when git left."""
    try:
        rest = rest[os.write(git.stdin.fileno(), rest[:PIPE_BYTES]) :]
    except BrokenPipeError:  # git ended without reading all of it; its exit code tells why
        rest = rest[:0]
    if not rest:
        selector.unregister(git.stdin)
        git.stdin.close()
    return rest


def _time_left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimedOut("git took too long")
    return left
