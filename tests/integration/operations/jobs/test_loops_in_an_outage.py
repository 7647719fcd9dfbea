"""Background loops while the database is away: they wait, log that once, and end when asked."""

import logging
import threading
import time
from pathlib import Path

import pytest

from packhouse.config import Config
from packhouse.ids import RepoId
from packhouse.jobs.background import Loop
from packhouse.jobs.deliver_webhooks import deliver_webhooks
from packhouse.jobs.maintenance import maintain_packs
from packhouse.jobs.worker import run_jobs
from packhouse.node.node import Node, open_node
from tests.support.builders.packs import make_repo_dir

PATIENCE_S = 60


class EndsAfterLooks(threading.Event):
    """Becomes set after a few waits. So the loop has tried again and again."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self._looks = looks

    def wait(self, timeout: float | None = None) -> bool:
        self._looks -= 1
        if self._looks <= 0:
            self.set()
        return self.is_set()


@pytest.fixture
def away(tmp_path: Path) -> Node:
    """A node whose database has stopped answering."""
    node = open_node(Config(data=tmp_path))
    node.database.close()
    return node


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.name == "packhouse"]


@pytest.mark.parametrize(
    ("loop", "message"),
    [(run_jobs, "jobs wait for the database"), (deliver_webhooks, "webhooks wait for the database")],
)
def test_a_loop_that_waits_for_the_database_logs_that_once(
    away: Node, loop: Loop, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    loop(away, EndsAfterLooks(5))
    assert messages(caplog).count(message) == 1
    assert not any(record.exc_info for record in caplog.records)


def test_postponed_maintenance_is_logged_in_one_line_without_a_trace(
    away: Node, caplog: pytest.LogCaptureFixture
) -> None:
    make_repo_dir(away, "repo_abcdef")
    stopping = threading.Event()
    away.request_maintenance(RepoId("repo_abcdef"))
    thread = threading.Thread(target=maintain_packs, args=(away, stopping))
    thread.start()
    deadline = time.monotonic() + PATIENCE_S
    while "maintenance put off" not in messages(caplog) and time.monotonic() < deadline:
        time.sleep(0.01)
    stopping.set()
    thread.join()
    put_off = [record for record in caplog.records if record.message == "maintenance put off"]
    assert {(record.levelno, bool(record.exc_info)) for record in put_off} == {(logging.WARNING, False)}
