"""The only place that starts programs, mostly git, with an environment of their own and a bound on their memory.

A child leads a process group, so that killing the group also ends the children of the child. Its memory is limited
through prlimit(2) after the start, because `preexec_fn` would force a real fork of this large process.
"""

import contextlib
import fcntl
import os
import resource
import signal
import subprocess
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import IO, Final, Self

from packhouse import limits
from packhouse.errors import Code, TimedOut, Unavailable
from packhouse.git.commands.environment import GitPlace, git_environment

PIPE_BYTES: Final = limits.MIB


class GitNotEnded(TimedOut):
    """Git closed its output and did not end in time."""

    code = Code.GIT_NOT_ENDED
    seconds: float


class ProgramMissing(Unavailable):
    """A program that this call needs is not installed."""

    code = Code.PROGRAM_MISSING
    program: str


class ChildProcess:
    """A running program with three pipes. Leaving the `with` block ends the program and reaps it."""

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
        """The pipe that the program reads. Close it to end the input."""
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        """The pipe with the program's output; unbuffered."""
        assert self._process.stdout is not None
        return self._process.stdout

    @property
    def stderr(self) -> IO[bytes]:
        """The pipe with the program's messages. Read it, or the program stops when the pipe is full."""
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
            raise GitNotEnded(timeout_s) from None

    def kill(self) -> None:
        """End the program and all its children, and reap it. Harmless after its end."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """Kill the program, if it still runs, reap it and close the pipes."""
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
        """Bound the address space of the program. The bound can only be lowered afterwards."""
        # The child may have ended already, and then nothing must be limited.
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(self._process.pid, resource.RLIMIT_AS, (max_bytes, max_bytes))

    def limit_cpu(self, cpu_s: int) -> None:
        """Bound the processor time of the program, summed over its threads. Beyond it the program dies of SIGXCPU."""
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(self._process.pid, resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))

    def _enlarge_pipes(self) -> None:
        for pipe in (self.stdin, self.stdout):
            # The kernel bounds the pipe memory of one user (pipe(7)). Small pipes work as well, but slower.
            with contextlib.suppress(OSError):
                fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)


_running: Final[set[ChildProcess]] = set()


def kill_running() -> None:
    """End every program of this process, which is about to exit without waiting for its threads."""
    for child in list(_running):
        child.kill()


class GitProcess(ChildProcess):
    """A running git process."""

    def __init__(
        self,
        place: GitPlace,
        args: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        config: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
        large_pipes: bool = False,
    ) -> None:
        super().__init__(
            ["git", *args],
            env=git_environment(place, extra=env, config=config),
            pass_fds=(*place.descriptors, *pass_fds),
            large_pipes=large_pipes,
        )


def spawn_git(
    place: GitPlace,
    *args: str,
    env: Mapping[str, str] | None = None,
    config: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    large_pipes: bool = False,
) -> GitProcess:
    """Start git and return it running; the caller uses it in a `with` block and bounds the time."""
    return GitProcess(place, args, env=env, config=config, pass_fds=pass_fds, large_pipes=large_pipes)
