"""Events of syncs as receivers get them: their shapes, and the verdicts of the clients' validators."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pierre_storage import validate_webhook

from tests.conftest import StartServer
from tests.support.builders.shapes import SHA, TEXT, TIME, judge_value
from tests.support.clients.repo import Org, Repo
from tests.support.clients.typescript import validate_webhook as validate_in_typescript
from tests.support.servers.receiver import Receiver
from tests.support.servers.server_process import ServerOptions
from tests.support.servers.upstreams import follow, pull

_SOURCE = {
    "repository": {"id": re.compile(r"repo_\w+"), "url": TEXT, "repo_name": TEXT},
    "org": TEXT,
    "customer_id": TEXT,
}
_RUN = {**_SOURCE, "type": TEXT, "run_count": int, "is_first_sync": bool, "started_at": TIME}
EVENTS: dict[str, Any] = {
    "push": {**_SOURCE, "ref": re.compile("refs/.+"), "before": SHA, "after": SHA, "pushed_at": TIME},
    "repo.sync.started": _RUN,
    "repo.sync.succeeded": {**_RUN, "completed_at": TIME},
    "repo.sync.failed": {**_RUN, "completed_at": TIME, "error": TEXT},
}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def test_receivers_get_an_event_for_every_sync(
    start_server: StartServer, receiver: Receiver, org: Org, repo: Repo
) -> None:
    repo.write_commit("größe", {"a": b"1"})
    hosts = f"{receiver.host},{org.server.url}"
    following = start_server(ServerOptions(settings={"trusted_hosts": hosts})).new_org()
    made = following.request("POST", "/api/webhooks", json={"url": receiver.url, "events": ["*"]})
    secret = made.json()["secret"]
    mirror = follow(following, repo)
    pull(mirror)
    assert repo.api("DELETE").is_success
    pull(mirror)
    told: dict[str, list[dict[str, Any]]] = {}
    for received in receiver.wait_for(5):
        headers: dict[str, Any] = {name.lower(): value for name, value in received.headers}
        kind = received.header("x-pierre-event")
        fields = json.loads(received.body)
        judge_value(fields, EVENTS[kind], at=kind)
        assert fields.get("type", "push") == kind
        assert fields["repository"]["repo_name"] == fields["repository"]["url"] == mirror.name
        assert fields["org"] == fields["customer_id"] == following.name
        in_python = validate_webhook(received.body, headers, secret)
        in_typescript = validate_in_typescript(received.body.decode(), headers, secret)
        assert in_python["valid"] and in_typescript["valid"], (in_python, in_typescript)
        assert in_python["event_type"] == in_typescript["eventType"] == kind
        if kind != "push":
            assert in_python["payload"] == in_typescript["payload"] == {"type": kind, "raw": fields}
        told.setdefault(kind, []).append(fields)
    assert [push["ref"] for push in told["push"]] == ["refs/heads/größe"]
    runs = [(run["run_count"], run["is_first_sync"]) for run in told["repo.sync.started"]]
    assert sorted(runs) == [(0, True), (1, False)]
    [succeeded], [failed] = told["repo.sync.succeeded"], told["repo.sync.failed"]
    assert (succeeded["run_count"], succeeded["is_first_sync"]) == (1, True)
    assert (failed["run_count"], failed["is_first_sync"]) == (2, False)
