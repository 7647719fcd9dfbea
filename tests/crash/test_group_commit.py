"""SIGKILL and a power cut at each step of a COMMIT that several writers share.

Acknowledged writes are there. Writes of one group that were not acknowledged are all there or all absent.
"""

import contextlib
import os
import sqlite3
import threading
from pathlib import Path
from typing import Final

import pytest

from packhouse.db.engines.sqlite import SqliteDatabase
from packhouse.db.orgs import find_org, insert_org
from packhouse.limits import Limits
from tests.support.killed_steps import Step, after, before, run_and_be_killed
from tests.support.servers.loop_disk import loop_disk
from tests.support.waiting import WAIT_S, wait_until

TRANSACTION: Final = "packhouse.db.engines.sqlite_connection:SqliteTransaction"
GROUP: Final = "packhouse.db.engines.sqlite_group"

STEPS: Final = (
    after("savepoint of the second writer set", TRANSACTION, "mark"),
    before("second writer has written", TRANSACTION, "keep"),
    after("second writer is done", TRANSACTION, "keep"),
    before("failing writer has written", TRANSACTION, "undo"),
    after("failing writer is undone", TRANSACTION, "undo"),
    before("all have written", TRANSACTION, "commit"),
    after("committed", TRANSACTION, "commit", is_done=True),
    before("lock still held", TRANSACTION, "close", is_done=True),
    before("nobody knows", GROUP, "_wake", is_done=True),
    after("all were woken", GROUP, "_wake", is_done=True),
)
WRITERS: Final = ("second", "third", "failing", "fifth")
GROUP_WRITES: Final = {"first", "second", "third", "fifth"}


def write_in_one_group(path: Path, told: Path, step: Step) -> None:
    """Write a row alone, then a group with five writers. Tell each acknowledged row in the file `told`."""
    database = SqliteDatabase(path, limits=Limits(group_commit_age_max_s=WAIT_S))
    database.migrate()
    told_file = os.open(told, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def write(name: str) -> None:
        with contextlib.suppress(LookupError):
            with database.write() as session:
                insert_org(session, name=name, now=1)
                if name == "failing":
                    raise LookupError
            os.write(told_file, f"{name}\n".encode())

    write("alone")
    step.arm()
    with database.write() as session:
        insert_org(session, name="first", now=1)
        for count, name in enumerate(WRITERS, 1):
            threading.Thread(target=write, args=(name,)).start()
            wait_until(lambda: len(database._commits._queue) == count, "the thread waits")  # noqa: B023
    os.write(told_file, b"first\n")
    threading.Event().wait(WAIT_S)  # a thread that was woken first may reach the step


def check_rows(path: Path, told: Path, step: Step) -> None:
    acknowledged = set(told.read_text().split())
    with contextlib.closing(SqliteDatabase(path)) as database:
        with database.read() as session:
            names = {"alone", "failing", *GROUP_WRITES}
            kept = {name for name in names if find_org(session, name) is not None}
        assert acknowledged <= kept
        assert kept == {"alone"} | (GROUP_WRITES if step.is_done else set())
        with database.write() as session:
            insert_org(session, name="after", now=1)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("step", [pytest.param(step, id=step.name) for step in STEPS])
def test_a_process_killed_in_a_shared_commit_keeps_all_or_nothing_of_it(tmp_path: Path, step: Step) -> None:
    path, told = tmp_path / "packhouse.db", tmp_path / "told"
    run_and_be_killed(__name__, write_in_one_group, path, told, step)
    check_rows(path, told, step)


@pytest.mark.parametrize("step", [pytest.param(step, id=step.name) for step in STEPS[-5:]])
def test_a_shared_commit_survives_a_power_cut(tmp_path: Path, step: Step) -> None:
    with loop_disk(tmp_path) as disk:
        path, told = disk.path / "packhouse.db", tmp_path / "told"
        run_and_be_killed(__name__, write_in_one_group, path, told, step)
        disk.vanish()
        disk.pull_out()
        disk.plug_in()
        check_rows(path, told, step)
