"""Writes to one ref under its writer lock, repeated after a lost race."""

from collections.abc import Callable
from typing import Final, TypeVar

from packhouse import limits
from packhouse.db import RefMismatch, Repo
from packhouse.git import RefName
from packhouse.node import Node

T = TypeVar("T")

_PAUSE_MAX_S: Final = 0.01


def write_under_lock(
    node: Node, repo: Repo, refname: RefName, attempt: Callable[[], T], *, is_guarded: bool
) -> T:
    """Call `attempt` under the writer lock of the ref. Returns its result and raises its errors.

    Commits, merges and notes take the lock, but pushes do not, so an attempt may still lose a race (RefMismatch). An
    unguarded attempt is then repeated, for up to 30 s. Each attempt must read the ref anew.
    """
    deadline = node.monotonic() + limits.guard_wait_max_s
    while True:
        try:
            with node.store.writer_lock(repo.public_id, refname):
                return attempt()
        except RefMismatch:
            if is_guarded or node.monotonic() > deadline:
                raise
        node.sleep(_PAUSE_MAX_S * node.jitter())
