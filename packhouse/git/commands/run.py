"""Running git, or another program, to its end, with all its output at once or piece by piece.

Only the modules of this folder know exit codes and messages, each those of its command.
"""

import contextlib
import math
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Final, Protocol

from packhouse import limits
from packhouse.errors import Code, LimitExceeded, PackhouseError, TimedOut
from packhouse.git import Oid
from packhouse.git.commands.complaints import find_objects, find_packs, is_about_derived_files
from packhouse.git.commands.environment import GitPlace, program_environment
from packhouse.git.commands.process import ChildProcess, GitProcess, spawn_git
from packhouse.git.commands.pump import Deadline, Silence, pump

OK: Final = frozenset({0})
_FAILURE_MAX_BYTES: Final = 2000
_COMPLAINT_MAX_BYTES: Final = 4 * limits.KIB
# The last text is the loader's: memory may run out before git has loaded its libraries. Source: glibc, elf/dl-load.c.
_MEMORY_WORDS: Final = ("memory", "mmap", "failed to map segment")
_MEMORY_SENTENCES: Final = ("out of memory", "cannot allocate memory", "failed to map segment")

OnStart = Callable[[GitProcess], None]


class GitWroteTooMuch(LimitExceeded):
    """Git wrote more than its caller reads, and was ended."""

    code = Code.GIT_WROTE_TOO_MUCH
    max_bytes: int


class GitFailed(PackhouseError):
    """Git ended with an unexpected exit code, or complained of objects. `messages` are git's words."""

    code = Code.GIT_FAILED
    command: str
    _: KW_ONLY
    messages: str
    exit_code: int | None = None

    @property
    def fields(self) -> Mapping[str, object]:
        """The same values under their names in logs."""
        ended = {} if self.exit_code is None else {"code": self.exit_code}
        return {"command": self.command, **ended, "text": self.messages}

    @property
    def is_for_memory(self) -> bool:
        """Tell whether git found no more memory, or a signal for lack of memory ended it."""
        died = self.exit_code is not None and self.exit_code < 0
        return died or any(words in self.messages.lower() for words in _MEMORY_WORDS)

    @property
    def says_out_of_memory(self) -> bool:
        """Tell whether git says that it found no more memory.

        The sentences hold blanks, so no name of a ref in the messages is taken for one.
        """
        return any(sentence in self.messages.lower() for sentence in _MEMORY_SENTENCES)

    @property
    def packs(self) -> list[str]:
        """The names of the packs that git complains of."""
        return find_packs(self.messages)

    @property
    def objects(self) -> list[Oid]:
        """The objects that git could not read."""
        return find_objects(self.messages)

    @property
    def is_about_derived_files(self) -> bool:
        """Tell whether git complains of files beside a pack that can be made anew."""
        return is_about_derived_files(self.messages)


@dataclass(frozen=True, slots=True)
class GitResult:
    """Exit code, output and messages of a finished program."""

    command: str
    code: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """The messages as text."""
        return self.stderr.decode("utf-8", "replace")


class Runner(Protocol):
    """An object on which git can be run, such as an opened repository."""

    def place(self) -> GitPlace:
        """Open the objects and refs for git as they are now, and return their place."""
        ...

    def check(self, complaint: GitFailed, *, may_lack: bool = False) -> None:
        """Raise the error that explains why git could not read objects; return when there is no explanation.

        With `may_lack`, git may have been asked about objects that the repository does not have.
        """
        ...


@dataclass(frozen=True, slots=True)
class AtPlace:
    """Runs git at one place, also from several threads at once. Nobody examines git's complaints."""

    where: GitPlace

    def place(self) -> GitPlace:
        """See Runner."""
        return self.where

    def check(self, complaint: GitFailed, *, may_lack: bool = False) -> None:
        """See Runner. Nothing is known here that would explain a complaint."""


def with_limits(*, memory_max_bytes: int, cpu_s: int | None = None) -> OnStart:
    """Return a function that bounds memory and processor time of a git that has just started.

    `cpu_s` is summed over all threads of git. The caller usually ends git earlier; the bound counts when this process
    is killed first.
    """

    def limit(git: GitProcess) -> None:
        git.limit_memory(memory_max_bytes)
        if cpu_s is not None:
            git.limit_cpu(cpu_s)

    return limit


def run_git(
    place: GitPlace,
    *args: str,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    config: Mapping[str, str] | None = None,
    ok_codes: frozenset[int] = OK,
    timeout_s: float = limits.git_call_max_s,
    output_max_bytes: int = limits.git_output_max_bytes,
    on_start: OnStart | None = None,
) -> GitResult:
    """Run git to its end and return its output. `on_start` gets the process, so that another thread can end it.

    Raises GitFailed when the exit code is not in `ok_codes`, TimedOut after `timeout_s` seconds and
    LimitExceeded when git writes more than `output_max_bytes`.
    """
    with spawn_git(place, *args, env=env, config=config) as git:
        if on_start is not None:
            on_start(git)
        done = _finish(args[0], git, stdin, timeout_s=timeout_s, output_max_bytes=output_max_bytes)
    if done.code not in ok_codes:
        raise _failed(done.command, done.code, done.stderr)
    return done


def run_program(
    command: Sequence[str],
    *,
    home: Path,
    stdin: bytes = b"",
    timeout_s: float,
    output_max_bytes: int,
) -> GitResult:
    """Run another program than git to its end and return its output, whatever its exit code.

    The program inherits only PATH; `home` is its home folder, and its time zone is UTC. Raises ProgramMissing,
    TimedOut,
    and LimitExceeded when it writes more than `output_max_bytes`.
    """
    with ChildProcess(command, env=program_environment(home)) as child:
        return _finish(command[0], child, stdin, timeout_s=timeout_s, output_max_bytes=output_max_bytes)


def iter_git_output(
    place: GitPlace,
    *args: str,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    ok_codes: frozenset[int] = OK,
    timeout_s: float = limits.git_call_max_s,
    silence_max_s: float = math.inf,
    on_start: OnStart | None = None,
    on_messages: Callable[[bytes], None] | None = None,
) -> Generator[bytes]:
    """Yield git's output in pieces of up to 1 MiB as it comes; closing the iterator kills git.

    `on_start` gets the process first. `on_messages` gets git's messages when git succeeded, and also when its time is
    over.
    Raises GitFailed after the last piece when git failed, TimedOut after `timeout_s` seconds, and GitSilent when git
    wrote
    nothing for `silence_max_s` seconds and used as many seconds of processor time meanwhile.
    """
    deadline = Deadline(timeout_s)
    with spawn_git(place, *args, env=env, large_pipes=True) as git:
        if on_start is not None:
            on_start(git)
        silence = Silence(git, silence_max_s)
        stderr = bytearray()
        try:
            for pipe, piece in pump(git, [stdin], lambda: min(deadline.time_left(), silence.time_left())):
                if pipe is git.stdout:
                    yield piece
                    silence.end()
                else:
                    stderr += piece[: limits.KIB]
        except TimedOut:
            if on_messages is not None and stderr:
                on_messages(bytes(stderr))
            raise
        code = git.wait(deadline.time_left())
    if code not in ok_codes:
        raise _failed(args[0], code, bytes(stderr))
    if on_messages is not None and stderr:
        on_messages(bytes(stderr))


def collect(
    child: ChildProcess, source: Iterable[bytes], time_left: Callable[[], float], *, output_max_bytes: int
) -> tuple[bytes, bytes]:
    """Feed a program and return all of its output and all of its messages.

    Raises LimitExceeded when either is larger than `output_max_bytes`, and the errors of `time_left` and `source`.
    """
    output = {child.stdout: bytearray(), child.stderr: bytearray()}
    for pipe, piece in pump(child, source, time_left):
        output[pipe] += piece
        if len(output[pipe]) > output_max_bytes:
            raise GitWroteTooMuch(output_max_bytes)
    return bytes(output[child.stdout]), bytes(output[child.stderr])


def check_answer(runner: Runner, done: GitResult, *, may_lack: bool = False) -> None:
    """Let the runner check a result in which git complains of unreadable objects, whatever the exit code.

    With `may_lack`, git may have been asked about objects that the repository does not have.
    """
    if done.code > 1 or b"error: " in done.stderr:
        text = done.stderr[-_COMPLAINT_MAX_BYTES:].decode("utf-8", "replace")
        runner.check(GitFailed(done.command, messages=text, exit_code=done.code), may_lack=may_lack)


def iter_lines(pieces: Generator[bytes]) -> Iterator[bytes]:
    """Yield each line that ends in a line feed, without the line feed; closing the iterator closes `pieces`."""
    rest = b""
    with contextlib.closing(pieces):
        for piece in pieces:
            *lines, rest = (rest + piece).split(b"\n")
            yield from lines


def _finish(
    command: str, child: ChildProcess, stdin: bytes, *, timeout_s: float, output_max_bytes: int
) -> GitResult:
    deadline = Deadline(timeout_s)
    stdout, stderr = collect(child, [stdin], deadline.time_left, output_max_bytes=output_max_bytes)
    return GitResult(command, child.wait(timeout_s), stdout, stderr)


def _failed(command: str, code: int, stderr: bytes) -> GitFailed:
    return GitFailed(
        command, messages=stderr[-_FAILURE_MAX_BYTES:].decode("utf-8", "replace"), exit_code=code
    )
