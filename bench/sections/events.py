"""Events from ref changes to a receiver on the same machine, and commits while somebody is subscribed."""

import hashlib
import json
import time
from collections.abc import Iterator

from bench.context import Context
from bench.report import Measure
from tests.support.clients.repo import Org, Repo
from tests.support.servers.receiver import Receiver
from tests.support.servers.server_process import ServerOptions

PUSHES = 100
REFS_OF_A_PUSH = 50
WAIT_MAX_S = 300
ZERO = "0" * 40


def run(context: Context) -> Iterator[Measure]:
    """Measure deliveries a second to one receiver, then the delay of a single event."""
    with Receiver() as receiver:
        settings = {"log_level": "warning", "trusted_hosts": receiver.host}
        org = context.start_server(ServerOptions(settings=settings)).new_org()
        _subscribe(org, receiver)
        repo = org.create_repo()
        tip = repo.write_commit("main", {"a": b"1"})
        receiver.wait_for(1)
        pushes = context.count(PUSHES)
        began = time.monotonic()
        for number in range(pushes):
            _push_branches(repo, tip, number)
        written_s = time.monotonic() - began
        events = pushes * REFS_OF_A_PUSH
        received = receiver.wait_for(events + 1, timeout_s=WAIT_MAX_S)
        rate = events / (received[-1].at - began)
        yield Measure(
            "events delivered to one receiver",
            rate,
            "/s",
            note=f"{events} events, written in {written_s:.1f} s",
        )
        delays = sorted(_delay_s(repo, receiver, number) for number in range(context.count(100)))
        yield Measure("delay from commit to receiver, median", 1000 * delays[len(delays) // 2], "ms")


def _subscribe(org: Org, receiver: Receiver) -> None:
    reply = org.request("POST", "/api/webhooks", json={"url": receiver.url, "events": ["push"]})
    assert reply.status_code == 201, reply.text


def _push_branches(repo: Repo, tip: str, number: int) -> None:
    """Make branches by a push without objects (gitprotocol-pack(5))."""
    names = [f"refs/heads/n{number}/b{n}" for n in range(REFS_OF_A_PUSH)]
    lines = [f"{ZERO} {tip} {name}" for name in names]
    lines[0] += "\0report-status"
    commands = b"".join(b"%04x%b\n" % (len(line) + 5, line.encode()) for line in lines) + b"0000"
    pack = b"PACK\0\0\0\2\0\0\0\0"
    reply = repo.org.server.http.post(
        repo.remote() + "/git-receive-pack",
        content=commands + pack + hashlib.sha1(pack).digest(),
        headers={"Content-Type": "application/x-git-receive-pack-request"},
    )
    assert reply.status_code == 200 and b"ng " not in reply.content, reply.text


def _delay_s(repo: Repo, receiver: Receiver, number: int) -> float:
    before = len(receiver.received)
    commit = repo.write_commit("main", {"a": b"%d" % number})
    acknowledged = time.monotonic()
    got = receiver.wait_for(before + 1)[-1]
    assert json.loads(got.body)["after"] == commit
    return max(0.0, got.at - acknowledged)
