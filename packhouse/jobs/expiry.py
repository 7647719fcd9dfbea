"""The loop that deletes repositories whose time has come. Each process runs one."""

import logging
import threading

from packhouse import limits
from packhouse.errors import Unavailable
from packhouse.log import log_event
from packhouse.node import Node
from packhouse.operations.removal.expire_repos import ExpireRepos, expire_repos


def delete_expired(node: Node, stopping: threading.Event) -> None:
    """Look for expired repositories at intervals until `stopping` is set.

    It has a thread of its own: pulls and joins of packs may keep the threads of jobs and of maintenance for minutes.
    """
    is_away = False
    while not stopping.is_set():
        try:
            expire_repos(node, ExpireRepos(should_stop=stopping.is_set))
            is_away = False
        except Unavailable as error:
            if not is_away:
                log_event(
                    "expired repositories wait for the database",
                    level=logging.WARNING,
                    reason=error.code.value,
                )
            is_away = True
        stopping.wait(limits.expiry_look_s)
