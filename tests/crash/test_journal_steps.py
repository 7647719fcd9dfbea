"""SIGKILL at each step of writes into the journal and of its flush: acknowledged commits are readable.

A row is dropped by the transaction that lists its stored pack, and by no other. After the restart and a sweep no pack
is left that a killed flush has stored.
"""

from pathlib import Path
from typing import Final

import pytest

from packhouse.config import Config
from packhouse.operations.catalog.lookup import lookup_repo
from tests.support.builders.node_writes import journal_packs
from tests.support.builders.pack_works import open_steady_node
from tests.support.builders.upkeep import flush
from tests.support.killed_shop import Shop, check_after, survive
from tests.support.killed_steps import Step, after, before, cases
from tests.support.servers.postgres import PostgresServer

DISK: Final = "packhouse.storage.disk.store:DiskPackStore"
WRITE: Final = "packhouse.repository.write:Write"
PACKS: Final = "packhouse.repository.stored_packs"
FLUSH: Final = "packhouse.repository.upkeep.flush"
LEASE: Final = "packhouse.repository.upkeep.lease"
REFS: Final = "packhouse.repository.refs.writer"
ROWS: Final = "packhouse.db.ref_transaction"
FOLDERS: Final = "packhouse.storage.journal_folders"

WRITING: Final = (
    before("row not written", ROWS, "insert_journal_rows"),
    after("row written, not committed", ROWS, "insert_journal_rows"),
    before("events written, not committed", REFS, "record_pushes"),
    before("committed, not told", WRITE, "keep_published", is_done=True),
)
FLUSHING: Final = (
    after("lease not committed", LEASE, "take_maintenance_lease"),
    before("lease taken", FLUSH, "hold_journal"),
    before("rows read", FLUSH, "join_packs"),
    after("packs joined", FLUSH, "join_packs"),
    before("incoming row not committed", PACKS, "insert_incoming_pack"),
    before("incoming row committed", DISK, "put"),
    before("pack moved in without idx", "os", "rename", r"/repos/\S+\.idx$"),
    after("stored", DISK, "put"),
    before("rows not dropped", FLUSH, "drop_flushed_rows"),
    after("rows dropped, pack not listed", FLUSH, "drop_flushed_rows"),
    after("pack listed, not committed", FLUSH, "make_packs_live"),
    before("committed", WRITE, "keep_published"),
    before("lease not released", LEASE, "release_maintenance_lease"),
)
SHOWING: Final = (
    before("folder made, no pack in it", FOLDERS, "_write_packs"),
    after("packs shown", FOLDERS, "_write_packs"),
)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A shop with four commits in its journal."""
    shop = Shop(Config(data=tmp_path / "data", runtime_dir=tmp_path / "runtime"), tmp_path)
    shop.fill()
    assert count_rows(shop) == 4
    return shop


def count_rows(shop: Shop) -> int:
    node = open_steady_node(shop.config)
    try:
        return len(journal_packs(node, lookup_repo(node, shop.caller, "shop")))
    finally:
        node.close()


@pytest.mark.parametrize(
    ("work", "step"),
    cases(commit=WRITING, push=WRITING, fork=(*WRITING[:2], WRITING[3]), flush=FLUSHING, history=SHOWING),
)
def test_a_process_killed_at_a_step_loses_nothing_and_leaves_nothing(
    shop: Shop, work: str, step: Step
) -> None:
    survive(shop, work, step)


@pytest.mark.parametrize(
    ("step", "rows"),
    [(step, 0 if step.name in ("committed", "lease not released") else 4) for step in FLUSHING],
    ids=lambda value: value.name if isinstance(value, Step) else None,
)
def test_a_killed_flush_has_dropped_all_rows_or_none(shop: Shop, step: Step, rows: int) -> None:
    shop.die("flush", step)
    assert count_rows(shop) == rows
    node = open_steady_node(shop.config)
    node.clock = lambda: 1001 + node.limits.maintenance_lease_s  # the lease of the dead one ends
    assert flush(node, lookup_repo(node, shop.caller, "shop").public_id) == rows
    node.close()
    check_after(shop, "flush", step)


@pytest.mark.parametrize(
    ("work", "step"), cases(commit=WRITING[1:], flush=(FLUSHING[3], FLUSHING[7], *FLUSHING[9:12]))
)
def test_a_process_killed_at_a_step_loses_nothing_with_the_database_elsewhere(
    postgres_server: PostgresServer, tmp_path: Path, work: str, step: Step
) -> None:
    shop = Shop(Config(data=tmp_path / "data", database=postgres_server.new_database()), tmp_path)
    shop.fill()
    survive(shop, work, step)
