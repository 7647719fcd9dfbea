"""All three pipes of a program move at once, within the time that the caller allows."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from packhouse.errors import TimedOut
from packhouse.git.commands.environment import program_environment
from packhouse.git.commands.process import PIPE_BYTES, ChildProcess
from packhouse.git.commands.pump import Deadline, GitSilent, GitTookTooLong, Silence, pump

pytestmark = pytest.mark.quick

LARGE = b"0123456789abcdef" * (PIPE_BYTES // 4)  # far more than any pipe holds


def shell(script: str, home: Path) -> ChildProcess:
    """Start a shell that runs a script."""
    return ChildProcess(["sh", "-c", script], env=program_environment(home))


def ample() -> float:
    return 60.0


def drain(child: ChildProcess, source: list[bytes]) -> tuple[bytes, bytes]:
    """Pump until the program has closed its outputs; return both."""
    output = {child.stdout: b"", child.stderr: b""}
    for pipe, piece in pump(child, source, ample):
        output[pipe] += piece
    return output[child.stdout], output[child.stderr]


def test_more_than_the_pipes_hold_passes_in_both_directions(tmp_path: Path) -> None:
    with shell("tee /dev/stderr", tmp_path) as child:
        assert drain(child, [LARGE]) == (LARGE, LARGE)
        assert child.wait(60) == 0


def test_pieces_are_taken_in_order_and_empty_ones_end_nothing(tmp_path: Path) -> None:
    with shell("cat", tmp_path) as child:
        assert drain(child, [b"", b"one ", b"", b"two ", LARGE, b"", b"three"])[0] == (
            b"one two " + LARGE + b"three"
        )


@pytest.mark.parametrize("source", [[], [b""], [b"", b""]])
def test_a_program_without_input_sees_its_input_end(source: list[bytes], tmp_path: Path) -> None:
    with shell("cat; echo done", tmp_path) as child:
        assert drain(child, source) == (b"done\n", b"")


def test_a_program_that_closes_its_input_early_is_given_no_more(tmp_path: Path) -> None:
    taken = 0

    def source() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"x" * PIPE_BYTES

    with shell("head -c 3; exec 0<&-; echo complaint >&2; exit 4", tmp_path) as child:
        output = {child.stdout: b"", child.stderr: b""}
        for pipe, piece in pump(child, source(), ample):
            output[pipe] += piece
        assert (output[child.stdout], output[child.stderr]) == (b"xxx", b"complaint\n")
        assert child.wait(60) == 4
    assert taken < 100


def test_a_source_is_asked_only_when_the_program_has_read_on(tmp_path: Path) -> None:
    taken: list[int] = []

    def source() -> Iterator[bytes]:
        for number in range(64):
            taken.append(number)
            yield b"y" * PIPE_BYTES

    with shell("echo ready; exec sleep 1000", tmp_path) as child:
        pieces = pump(child, source(), ample)
        assert next(pieces) == (child.stdout, b"ready\n")
        assert len(taken) == 1  # it reads nothing, so the first piece waits in the pipe


def test_an_error_of_the_source_reaches_the_caller(tmp_path: Path) -> None:
    def source() -> Iterator[bytes]:
        yield b"some"
        raise ZeroDivisionError

    with shell("cat >/dev/null", tmp_path) as child, pytest.raises(ZeroDivisionError):
        list(pump(child, source(), ample))


def test_an_error_of_time_left_reaches_the_caller_and_leaves_the_program_running(tmp_path: Path) -> None:
    waits = 0

    def time_left() -> float:
        nonlocal waits
        waits += 1
        if waits > 3:
            raise GitTookTooLong()
        return 0.01

    with shell("sleep 1000", tmp_path) as child:
        with pytest.raises(GitTookTooLong):
            list(pump(child, [], time_left))
        assert child.poll() is None
    assert waits == 4


def test_a_wait_in_which_nothing_comes_is_followed_by_another(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    waits = 0

    def time_left() -> float:
        nonlocal waits
        waits += 1
        if waits == 5:
            fifo.write_bytes(b"at last")
        return 0.01

    with shell(f"cat {fifo}", tmp_path) as child:
        assert b"".join(piece for _, piece in pump(child, [], time_left)) == b"at last"
    assert waits >= 5


def test_a_deadline_counts_down_and_then_raises() -> None:
    left = Deadline(50)
    first = left.time_left()
    assert 0 < left.time_left() <= first <= 50
    with pytest.raises(TimedOut, match="git took too long"):
        Deadline(0).time_left()


def is_patient_with(child: ChildProcess) -> bool:
    try:
        return Silence(child, 1e-9).time_left() > 0
    except GitSilent:
        return False


def test_silence_counts_only_while_the_program_works(tmp_path: Path) -> None:
    with shell("exec cat", tmp_path) as idle:
        idle.stdin.write(b"awake?")
        assert idle.stdout.read(6) == b"awake?"
        assert Silence(idle, 1000.0).time_left() > 0
        # The time is over at once, but the program only waits for us. Its earlier work may be counted late.
        assert any(is_patient_with(idle) for _ in range(5))
        with pytest.raises(GitSilent):
            Silence(idle, 0.0).time_left()  # no silence at all is allowed


def test_a_program_that_works_in_silence_for_too_long_is_reported(tmp_path: Path) -> None:
    with shell("while :; do :; done", tmp_path) as busy:
        pieces = pump(busy, [], Silence(busy, 0.05).time_left)
        with pytest.raises(GitSilent):
            next(pieces)


def test_a_program_that_has_ended_is_silent_at_once(tmp_path: Path) -> None:
    with shell(":", tmp_path) as gone:
        silence = Silence(gone, 0.0)
        gone.wait(60)
        gone.kill()  # reaped, so that the system knows nothing of it any more
        with pytest.raises(GitSilent):
            silence.time_left()
