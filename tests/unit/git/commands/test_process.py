"""Starting and ending a program, and what of it must not stay behind."""

import os
import resource
import signal
from pathlib import Path

import pytest

from packhouse import limits
from packhouse.errors import TimedOut
from packhouse.git.commands.environment import NOWHERE, GitPlace, program_environment
from packhouse.git.commands.process import (
    ChildProcess,
    ProgramMissing,
    kill_running,
    spawn_git,
)
from tests.support.waiting import wait_until

pytestmark = pytest.mark.quick


def shell(script: str, home: Path, *, large_pipes: bool = False) -> ChildProcess:
    return ChildProcess(["sh", "-c", script], env=program_environment(home), large_pipes=large_pipes)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return b"Z" not in Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2][:3]


def test_leaving_the_block_ends_the_program_and_its_children(tmp_path: Path) -> None:
    with shell("sleep 1000 & echo $!; wait", tmp_path) as child:
        grandchild = int(child.stdout.readline())
        assert child.poll() is None
        assert is_running(grandchild)
    assert child.poll() == -signal.SIGKILL
    wait_until(lambda: not is_running(grandchild), "the child of the child goes on")


def test_a_program_that_has_ended_keeps_its_exit_code(tmp_path: Path) -> None:
    with shell("exit 7", tmp_path) as child:
        assert child.wait(60) == 7
        child.kill()
        child.kill()
        assert child.poll() == 7


def test_the_wait_for_a_running_program_has_a_limit(tmp_path: Path) -> None:
    with shell("sleep 1000", tmp_path) as child:
        with pytest.raises(TimedOut):
            child.wait(0.01)
        assert child.poll() is None


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with shell("cat", tmp_path, large_pipes=True) as child:
            child.stdin.write(b"x")
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_a_program_reads_its_input_and_leaves_two_outputs(tmp_path: Path) -> None:
    with shell("cat; echo told >&2", tmp_path) as child:
        child.stdin.write(b"given")
        child.stdin.close()
        assert (child.stdout.read(), child.stderr.read()) == (b"given", b"told\n")
        assert child.wait(60) == 0


def test_a_missing_program_is_named() -> None:
    with pytest.raises(ProgramMissing) as missing:
        ChildProcess(["no-such-program-here"], env={})
    assert missing.value.program == "no-such-program-here"


def test_memory_is_bounded_from_the_start_and_can_be_bounded_further(tmp_path: Path) -> None:
    with shell("read x; ulimit -v", tmp_path) as child:
        assert resource.prlimit(child.pid, resource.RLIMIT_AS)[0] == limits.git_memory_max_bytes
        child.limit_memory(50_000 * limits.KIB)
        child.stdin.write(b"\n")
        assert child.stdout.readline() == b"50000\n"


def test_bounds_on_a_program_that_has_ended_are_harmless(tmp_path: Path) -> None:
    with shell("true", tmp_path) as child:
        child.wait(60)
        child.limit_memory(1)
        child.limit_cpu(1)


def test_a_program_whose_processor_time_is_used_up_dies_of_that(tmp_path: Path) -> None:
    with shell("while :; do :; done", tmp_path) as child:
        child.limit_cpu(0)
        assert child.wait(60) == -signal.SIGXCPU


def test_all_running_programs_are_ended_at_once(tmp_path: Path) -> None:
    with shell("sleep 1000", tmp_path) as one, spawn_git(NOWHERE, "hash-object", "--stdin") as two:
        kill_running()
        assert (one.poll(), two.poll()) == (-signal.SIGKILL, -signal.SIGKILL)


def test_the_descriptors_of_a_place_are_inherited(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    file.write_bytes(b"held")
    descriptor = os.open(file, os.O_RDONLY)
    try:
        place = GitPlace(descriptors=(descriptor,))
        with spawn_git(place, "hash-object", f"/proc/self/fd/{descriptor}") as git:
            assert git.wait(60) == 0
        with spawn_git(NOWHERE, "hash-object", f"/proc/self/fd/{descriptor}") as git:
            assert git.wait(60) != 0
    finally:
        os.close(descriptor)


def test_git_leads_a_group_of_its_own(tmp_path: Path) -> None:
    with spawn_git(NOWHERE, "hash-object", "--stdin") as git:
        assert os.getpgid(git.pid) == git.pid != os.getpgid(0)
        assert os.readlink(f"/proc/{git.pid}/cwd") == "/"
