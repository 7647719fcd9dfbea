"""Writing to a ref that others write to as well: in turn, and again when somebody was faster all the same."""

import random
import time
from collections.abc import Callable
from typing import Final, TypeVar

from packhouse import limits
from packhouse.db.ref_transaction import RefMismatch
from packhouse.db.repos import Repo
from packhouse.git.refname import RefName
from packhouse.node.node import Node

T = TypeVar("T")

_PAUSE_MAX_S: Final = 0.01


def write_in_turn(
    node: Node, repo: Repo, refname: RefName, attempt: Callable[[], T], *, is_guarded: bool
) -> T:
    """Return what `attempt` returns, called while it is our turn to write to the ref; raise what it raises.

    Turns are kept by commits, merges and notes, not by pushes. An attempt that is not guarded and loses the race
    (RefMismatch) is made again, for up to 30 s; each reads anew where the ref is.
    """
    deadline = time.monotonic() + limits.guard_wait_max_s
    while True:
        try:
            with node.store.writer_turn(repo.public_id, refname):
                return attempt()
        except RefMismatch:
            if is_guarded or time.monotonic() > deadline:
                raise
        time.sleep(random.uniform(0, _PAUSE_MAX_S))  # noqa: S311 - only spreads the racers
