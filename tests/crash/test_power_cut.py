"""A power cut after an acknowledged write or during maintenance: only synced data is left."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from packhouse.config import Config
from packhouse.limits import GIB
from packhouse.operations.catalog.lookup import lookup_repo
from tests.support.builders.pack_works import open_steady_node
from tests.support.builders.packs import list_packs, pack_dir
from tests.support.clients.git import Git
from tests.support.killed_shop import Shop, check_after
from tests.support.killed_steps import Step, after, before
from tests.support.servers.loop_disk import LoopDisk, loop_disk
from tests.support.servers.server import Server
from tests.support.servers.server_process import ServerOptions

DISK = "packhouse.storage.disk.store:DiskPackStore"
WRITE = "packhouse.repository.write:Write"
PACKS = "packhouse.repository.stored_packs"
FLUSH = "packhouse.repository.upkeep.flush"

STEPS = [
    ("commit", after("stored", DISK, "put")),
    ("commit", before("refs committed", WRITE, "keep_published", is_done=True)),
    ("commit again", before("refs committed", WRITE, "keep_published", is_done=True)),
    ("push", before("refs committed", WRITE, "keep_published", is_done=True)),
    ("join", after("stored", DISK, "put")),
    ("join", before("replacement committed", WRITE, "keep_published")),
    ("join", after("pack gone", "os", "unlink", r"/repos/\S+\.pack$")),
    ("join", before("files gone, rows there", PACKS, "delete_pack_rows")),
    ("join", after("swept", "packhouse.repository.upkeep.consolidate", "sweep_packs")),
    ("sweep", before("files gone, rows there", PACKS, "delete_pack_rows")),
    ("fork", before("refs committed", WRITE, "keep_published", is_done=True)),
]
"""Steps of a node that stores every pack."""

JOURNAL_STEPS = [
    ("commit", before("refs committed", WRITE, "keep_published", is_done=True)),
    ("push", before("refs committed", WRITE, "keep_published", is_done=True)),
    ("fork", before("refs committed", WRITE, "keep_published", is_done=True)),
    ("flush", after("stored", DISK, "put")),
    ("flush", after("pack listed, not committed", FLUSH, "make_packs_live")),
    ("flush", before("committed", WRITE, "keep_published")),
]
"""Steps of a node with a journal."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[LoopDisk]:
    with loop_disk(tmp_path) as disk:
        yield disk


def cut_power(disk: LoopDisk) -> None:
    """Lose all data that was not synced to the disk, and mount the disk again."""
    disk.vanish()
    disk.pull_out()
    disk.plug_in()


def torn_idx_files(data: Path) -> list[Path]:
    """Return the packs whose idx is unusable."""
    packs = data.glob("repos/*/*/*/objects/pack/*.pack")
    idx_files = [pack.with_suffix(".idx") for pack in packs]
    return [idx for idx in idx_files if not idx.exists() or idx.read_bytes()[:4] != b"\xfftOc"]


@pytest.mark.parametrize(
    ("has_journal", "work", "step"),
    [pytest.param(False, *one, id=f"{one[0]}, {one[1].name}") for one in STEPS]
    + [pytest.param(True, *one, id=f"journal: {one[0]}, {one[1].name}") for one in JOURNAL_STEPS],
)
def test_acknowledged_writes_survive_a_power_cut_at_any_step(
    disk: LoopDisk, tmp_path: Path, has_journal: bool, work: str, step: Step
) -> None:
    shop = Shop(Config(data=disk.path / "data", journal_max_bytes=GIB if has_journal else 0), tmp_path)
    shop.fill()
    shop.die(work, step)
    cut_power(disk)
    check_after(shop, work, step)


def test_an_idx_that_was_not_synced_before_a_power_cut_is_made_anew(disk: LoopDisk, tmp_path: Path) -> None:
    shop = Shop(Config(data=disk.path / "data", journal_max_bytes=0), tmp_path)
    shop.fill()
    cut_power(disk)
    node = open_steady_node(shop.config)
    repo = lookup_repo(node, shop.caller, "shop")
    listed = list_packs(node, repo)
    folder = pack_dir(node, repo)
    assert {f"pack-{pack.name}.pack" for pack in listed} <= set(os.listdir(folder))
    assert torn_idx_files(shop.config.data), "the disk kept all: the test shows nothing"
    shop.check_readable(node)
    assert not torn_idx_files(shop.config.data)
    node.close()


@pytest.mark.parametrize("journal_max_bytes", [0, GIB], ids=["stored", "journal"])
def test_a_server_serves_the_writes_that_it_acknowledged_before_a_power_cut(
    disk: LoopDisk, git: Git, tmp_path: Path, journal_max_bytes: int
) -> None:
    server = Server(disk.path, ServerOptions(settings={"journal_max_bytes": str(journal_max_bytes)}))
    server.stderr_path = tmp_path / "stderr.log"
    org = server.new_org()
    server.start()
    try:
        repo = org.create_repo("shop")
        contents = {f"f{number}": os.urandom(20_000) for number in range(5)}
        commits = [repo.write_commit("main", {path: content}) for path, content in contents.items()]
        work = git.clone(repo.remote(), tmp_path / "work")
        commits.append(git.commit(work, {"pushed": os.urandom(20_000)}))
        git.run("push", "--quiet", "origin", "main", cwd=work)
        commits.append(repo.write_commit("main", {"last": b"last"}))
        (disk.path / "unsynced").write_bytes(b"lost")
        disk.vanish()
        server.kill()
        disk.pull_out()
        disk.plug_in()
        assert not (disk.path / "unsynced").exists(), "the disk kept all: the test shows nothing"
        assert bool(torn_idx_files(server.data)) is (not journal_max_bytes)
        server.start()
        assert {path: repo.read_file(path) for path in contents} == contents
        clone = git.clone(repo.remote(), tmp_path / "clone")
        git.run("fsck", "--strict", "--full", cwd=clone)
        assert git.run("rev-list", "main", cwd=clone).split() == commits[::-1]
        repo.write_commit("main", {"after": b"after"})
    finally:
        server.http.close()
        server.kill()
