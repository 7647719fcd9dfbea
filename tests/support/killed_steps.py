"""A child process that works on a data folder, and is killed at a named step of its work."""

import multiprocessing
import os
import pkgutil
import re
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pytest

# The server that forks the children has these modules loaded, and runs no other thread.
_CONTEXT: Final = multiprocessing.get_context("forkserver")
_CHILD_MAX_S: Final = 120


@dataclass(frozen=True)
class Step:
    """A call of a real function, at which the process ends as in a power cut.

    `owner` is the module (`a.b`) or class (`a.b:C`) in which the caller finds the function. Only a call whose
    arguments, as one text, match the pattern `of` counts. `is_done` tells that the interrupted write exists afterwards.
    """

    name: str
    owner: str
    function: str
    of: str = ""
    is_before: bool = False
    is_done: bool = False

    def arm(self) -> None:
        """Make such a call the last action of this process."""
        owner = pkgutil.resolve_name(self.owner)
        real: Callable[..., object] = getattr(owner, self.function)

        def deadly(*arguments: object, **options: object) -> object:
            is_meant = re.search(self.of, " ".join(map(str, arguments))) is not None
            if is_meant and self.is_before:
                _die()
            answer = real(*arguments, **options)
            if is_meant:
                _die()
            return answer

        setattr(owner, self.function, deadly)


def before(name: str, owner: str, function: str, of: str = "", *, is_done: bool = False) -> Step:
    """Return the step just before that function is called."""
    return Step(name, owner, function, of, is_before=True, is_done=is_done)


def after(name: str, owner: str, function: str, of: str = "", *, is_done: bool = False) -> Step:
    """Return the step at which that function has done its work and has not returned."""
    return Step(name, owner, function, of, is_done=is_done)


def cases(**works: Sequence[Step]) -> list[object]:
    """Return the parameters (work, step) of a test. The name of each has both."""
    pairs = [(work.replace("_", " "), step) for work, steps in works.items() for step in steps]
    return [pytest.param(work, step, id=f"{work}, {step.name}") for work, step in pairs]


def run_and_be_killed(module: str, work: Callable[..., None], *arguments: Any) -> None:
    """Run a function of that module in a child, which must be killed before it ends."""
    _CONTEXT.set_forkserver_preload([module])
    process = _CONTEXT.Process(target=work, args=arguments)
    process.start()
    process.join(_CHILD_MAX_S)
    assert process.exitcode == -signal.SIGKILL, "the step was never reached"


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
