"""A switch ends the processes under it, and those that are put under it later."""

import os
from pathlib import Path

import pytest

from packhouse.git.commands.environment import NOWHERE
from packhouse.git.commands.kill_switch import KillSwitch
from packhouse.git.commands.process import GitProcess, spawn_git
from packhouse.git.commands.run import GitFailed, run_git

pytestmark = pytest.mark.quick


def waiting_git() -> GitProcess:
    """Return a git that waits for input for ever."""
    return spawn_git(NOWHERE, "hash-object", "--stdin")


def test_pulling_the_switch_ends_running_processes() -> None:
    switch = KillSwitch()
    with waiting_git() as first, waiting_git() as second:
        switch.attach(first)
        switch.attach(second)
        assert first.poll() is None
        switch.trip()
        assert (first.poll(), second.poll()) == (-9, -9)
    assert switch.is_tripped


def test_a_process_that_starts_after_the_switch_was_pulled_ends_at_once() -> None:
    switch = KillSwitch()
    switch.trip()
    with waiting_git() as late:
        switch.attach(late)
        assert late.poll() == -9


def test_a_call_that_is_cut_off_fails(tmp_path: Path) -> None:
    switch = KillSwitch()
    fifo = tmp_path / "never-written"
    os.mkfifo(fifo)

    def pull(process: GitProcess) -> None:
        switch.attach(process)
        switch.trip()

    with pytest.raises(GitFailed):
        run_git(NOWHERE, "hash-object", str(fifo), on_start=pull)


def test_the_switch_may_be_pulled_twice_and_after_the_end() -> None:
    switch = KillSwitch()
    with waiting_git() as git:
        switch.attach(git)
        git.stdin.close()
        git.wait(60)
    switch.trip()
    switch.trip()
