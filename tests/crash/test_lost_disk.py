"""The disk of a running server goes away: every answer says so, and none calls the data damaged."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.servers.loop_disk import LoopDisk, loop_disk
from tests.support.servers.server import Server
from tests.support.servers.server_process import STORED, ServerOptions


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[LoopDisk]:
    with loop_disk(tmp_path) as disk:
        yield disk


@pytest.mark.parametrize("settings", [{}, STORED], ids=["journal", "stored"])
def test_while_the_disk_is_gone_each_request_is_503_with_one_line_in_the_log(
    disk: LoopDisk, settings: Mapping[str, str]
) -> None:
    server = Server(disk.path, ServerOptions(settings=settings))
    server.stderr_path = disk.path.parent / "stderr.log"
    org = server.new_org()
    server.start()
    try:
        repo = org.create_repo("shop")
        repo.write_commit("main", {"a": b"1"})
        for number in range(200):
            org.create_repo(f"filler/{number}-{'x' * 150}")
        disk.vanish()
        Path("/proc/sys/vm/drop_caches").write_text("3")
        for count in range(5):
            assert server.http.get(f"{server.url}/readyz").status_code == 503
            # Data in the server's memory may still be answered.
            assert org.request("GET", "/api/repos", params={"q": "199"}).status_code in (200, 503)
            assert repo.api("GET", "/branches").status_code in (200, 503)
            assert repo.post_commit("main", {"a": b"2"}).status_code == 503
            assert org.repo(f"new-{count}").create().status_code == 503
        log = [json.loads(line) for line in server.stderr().splitlines()]
        assert not [line for line in log if "damaged" in str(line.get("reason"))]
        assert not [line for line in log if "exception" in line], server.stderr()
    finally:
        server.http.close()
        server.kill()
