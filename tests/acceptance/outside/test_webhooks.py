"""Webhooks of a real server, as receivers get them."""

import hashlib
import hmac
import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pierre_storage import validate_webhook, validate_webhook_signature
from pierre_storage.types import WebhookValidationOptions

from packhouse.outbound.webhook_request import sign_webhook
from packhouse.secret import Secret
from tests.conftest import StartServer
from tests.support.clients.git import Git
from tests.support.clients.repo import Org, Repo
from tests.support.clients.typescript import validate_webhook as validate_in_typescript
from tests.support.servers.receiver import WAIT_MAX_S, Received, Receiver
from tests.support.servers.server import Server
from tests.support.servers.server_process import PROGRAM, STOP_TIMEOUT_S, ServerOptions

ZERO = "0" * 40
VECTOR_BODY = (
    b'{"org":"northwind","repository":{"id":"repo_6kd02hq1","url":"apps/shop","repo_name":"apps/shop"},'
    b'"ref":"refs/heads/main","before":"0000000000000000000000000000000000000000",'
    b'"after":"5f3c1d0e9b7a48626cdd0f1e2a3b4c5d6e7f8091","customer_id":"northwind",'
    b'"pushed_at":"2026-01-01T00:00:00Z"}'
)
VECTOR = "t=1767225600,sha256=5561aaaef12d1f455aa8906cd80ea5d4d8386cc4d8876829008b5ba664e1c375"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(params=["sqlite"])
def hooked(request: pytest.FixtureRequest, start_server: StartServer, receiver: Receiver) -> Server:
    """A server that may send to the receiver."""
    database = (
        request.getfixturevalue("postgres_server").new_database() if request.param == "postgres" else ""
    )
    return start_server(options(receiver, database=database))


def options(*receivers: Receiver, database: str = "") -> ServerOptions:
    hosts = ",".join(receiver.host for receiver in receivers)
    return ServerOptions(database=database, settings={"trusted_hosts": hosts, "job_lease_s": "2"})


def subscribe(org: Org, receiver: Receiver, **body: Any) -> dict[str, Any]:
    reply = org.request("POST", "/api/webhooks", json={"url": receiver.url, "events": ["*"], **body})
    assert reply.status_code == 201, reply.text
    answer: dict[str, Any] = reply.json()
    return answer


def payload(received: Received) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(received.body)
    return fields


def deliveries(org: Org, webhook: dict[str, Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(
        org.server.cli("webhook", "deliveries", org.name, webhook["id"], "--json")
    )
    return rows


def wait_for_delivery(org: Org, webhook: dict[str, Any], **wanted: object) -> dict[str, Any]:
    deadline = time.monotonic() + WAIT_MAX_S
    while True:
        for row in deliveries(org, webhook):
            if all(row[name] == value for name, value in wanted.items()):
                return row
        assert time.monotonic() < deadline, deliveries(org, webhook)
        time.sleep(0.1)


def test_the_signature_is_that_of_the_test_vector() -> None:
    assert sign_webhook(Secret("demo-secret-7Q"), at=1767225600, body=VECTOR_BODY) == VECTOR
    never_too_old: WebhookValidationOptions = {"max_age_seconds": 0}
    for body, valid in ((VECTOR_BODY, True), (VECTOR_BODY + b" ", False)):
        answer = validate_webhook_signature(body, VECTOR, "demo-secret-7Q", never_too_old)
        assert answer["valid"] is valid
    assert not validate_webhook_signature(VECTOR_BODY, VECTOR, "demo-secret-7Q")["valid"]


@pytest.mark.parametrize("hooked", ["sqlite", "postgres"], indirect=True)
def test_both_sdks_accept_the_signature_of_a_push_event(
    hooked: Server, receiver: Receiver, git: Git, tmp_path: Path
) -> None:
    org = hooked.new_org()
    repo = org.create_repo()
    webhook = subscribe(org, receiver)
    work = git.init(tmp_path / "work")
    first = git.commit(work, {"a": b"1"})
    git.run("tag", "v1", cwd=work)
    git.run("push", "--quiet", repo.remote(), "main", "v1", "HEAD:refs/notes/x", cwd=work)
    got = receiver.wait_for(2)
    second = repo.write_commit("main", {"b": b"2"})
    receiver.wait_for(3)
    assert (
        repo.api("POST", "/branches/create", json={"target_branch": "t", "base_ref": "main"}).status_code
        == 200
    )
    receiver.wait_for(4)
    assert repo.api("DELETE", "/branches", json={"target_branch": "t"}).status_code == 200
    got = receiver.wait_for(5)
    told = [(payload(g)["ref"], payload(g)["before"], payload(g)["after"]) for g in got]
    assert sorted(told[:2]) == [("refs/heads/main", ZERO, first), ("refs/tags/v1", ZERO, first)]
    assert told[2:] == [
        ("refs/heads/main", first, second),
        ("refs/heads/t", ZERO, second),
        ("refs/heads/t", second, ZERO),
    ]
    for each in got:
        headers: dict[str, Any] = {name.lower(): value for name, value in each.headers}
        assert len(headers) == len(each.headers), "each header once"
        checked = validate_webhook(each.body, headers, webhook["secret"])
        assert checked["valid"], checked
        assert not validate_webhook(each.body, headers, "other")["valid"]
        in_typescript = validate_in_typescript(each.body.decode(), headers, webhook["secret"])
        assert in_typescript["valid"], in_typescript
        assert in_typescript["payload"]["type"] == "push"
        assert each.header("user-agent") == "Pierre-Webhook/1.0"
        assert each.header("content-type") == "application/json"
        fields = payload(each)
        assert fields["repository"] == {
            "id": fields["repository"]["id"],
            "url": repo.name,
            "repo_name": repo.name,
        }
        assert (fields["org"], fields["customer_id"], "type" in fields) == (org.name, org.name, False)
    assert len({each.header("x-pierre-delivery") for each in got}) == 5
    assert len(receiver.received) == 5, "notes raise no event"


def test_ephemeral_refs_and_other_repositories_raise_no_event(hooked: Server, receiver: Receiver) -> None:
    org = hooked.new_org()
    repo, other = org.create_repo(), org.create_repo()
    narrow = subscribe(org, receiver, repo=repo.name)
    other_kind = subscribe(org, receiver, events=["repo.sync.failed"])
    repo.write_commit("side", {"a": b"1"}, ephemeral=True)
    other.write_commit("main", {"a": b"1"})
    last = repo.write_commit("main", {"b": b"1"})
    assert payload(receiver.wait_for(1)[0])["after"] == last
    # Events are delivered in order, so all events before the last one were delivered too.
    assert [each["ref"] for each in deliveries(org, narrow)] == ["refs/heads/main"]
    assert deliveries(org, other_kind) == []


def test_a_failing_receiver_gets_the_same_body_again_with_a_fresh_signature(
    start_server: StartServer,
) -> None:
    with Receiver(answer=lambda _received, before: 500 if before == 0 else 204) as receiver:
        org = start_server(options(receiver)).new_org()
        webhook = subscribe(org, receiver)
        repo = org.create_repo()
        repo.write_commit("main", {"a": b"1"})
        later = repo.write_commit("main", {"b": b"1"})
        got = receiver.wait_for(3)
        assert got[0].body == got[1].body
        assert got[0].header("x-pierre-delivery") == got[1].header("x-pierre-delivery")
        assert got[0].header("x-pierre-signature") != got[1].header("x-pierre-signature")
        assert got[1].at - got[0].at > 0.9
        assert payload(got[2])["after"] == later, "later events of the ref wait for the second attempt"
        wait_for_delivery(org, webhook, attempts=2, state="delivered", status=204)


def test_an_answer_of_410_gone_makes_a_subscription_inactive(start_server: StartServer) -> None:
    with Receiver(answer=lambda *_: 410) as receiver:
        org = start_server(options(receiver)).new_org()
        webhook = subscribe(org, receiver)
        repo = org.create_repo()
        repo.write_commit("main", {"a": b"1"})
        row = wait_for_delivery(org, webhook, state="failed", status=410)
        assert row["answer"] == "x" * 1024, "a kibibyte of the answer is kept"
        listed = org.request("GET", "/api/v1/webhooks").json()
        assert listed["has_more"] is False
        assert [(hook["id"], hook["active"]) for hook in listed["webhooks"]] == [(webhook["id"], False)]
        fresh = subscribe(org, receiver)
        repo.write_commit("main", {"b": b"1"})
        wait_for_delivery(org, fresh, status=410)  # a receiver that still gets the event has it by now
        assert [each["id"] for each in deliveries(org, webhook)] == [row["id"]]
        refused = org.server.try_cli("webhook", "redeliver", org.name, row["id"])
        assert refused.returncode == 1
        assert "webhook is inactive" in refused.stderr
        assert deliveries(org, webhook) == [row], "nothing waits that is never sent"


def test_a_dead_a_slow_and_a_redirecting_receiver_delay_no_other_receiver(start_server: StartServer) -> None:
    hanging = threading.Event()

    def hang(_received: Received, _before: int) -> int:
        hanging.wait(WAIT_MAX_S)
        return 204

    with (
        Receiver() as good,
        Receiver(answer=hang) as slow,
        Receiver(answer=lambda *_: 302) as moved,
        socket.socket() as dead,
    ):
        moved.location = good.url
        dead.bind(("127.0.0.1", 0))  # kept from others, and nobody listens
        dead_host = f"http://127.0.0.1:{dead.getsockname()[1]}"
        given = options(good, slow, moved)
        hosts = f"{given.settings['trusted_hosts']},{dead_host}"
        org = start_server(replace(given, settings={**given.settings, "trusted_hosts": hosts})).new_org()
        for _ in range(5):
            subscribe(org, slow)
            subscribe(org, slow, url=f"{dead_host}/")
            webhook = subscribe(org, moved)
        subscribe(org, good)
        repo = org.create_repo()
        tip = repo.write_commit("main", {"a": b"1"})
        for number in range(2):
            _make_branches(repo, tip, 5 * number)
        got = good.wait_for(11)  # served in turn, each of the slow ones would take ten seconds for each event
        hanging.set()
        assert len({payload(each)["ref"] for each in got}) == 11, "redirects are not followed"
        assert wait_for_delivery(org, webhook, status=302)["state"] == "pending"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://example.com/",
        "http://example.com/",
        "https://127.0.0.1/",
        "https://localhost/",
        "https://2130706433/",
        "https://[::ffff:127.0.0.1]/",
        "https://169.254.169.254/latest/meta-data",
        "https://user:word@example.com/",
    ],
)
def test_bad_and_private_addresses_are_refused_when_subscribing(org: Org, url: str) -> None:
    reply = org.request("POST", "/api/webhooks", json={"url": url, "events": ["push"]})
    assert reply.status_code == 400, reply.text


def test_a_host_that_is_no_longer_trusted_gets_nothing_more(start_server: StartServer) -> None:
    server = start_server(ServerOptions(settings={"trusted_hosts": "https://localhost:1"}))
    org = server.new_org()
    body = {"url": "https://localhost:1/", "events": ["push"]}
    webhook = org.request("POST", "/api/v1/webhooks", json=body).json()
    server.terminate()
    server.options = ServerOptions()
    server.start()
    assert org.request("POST", "/api/v1/webhooks", json=body).status_code == 400
    org.create_repo().write_commit("main", {"a": b"1"})
    row = wait_for_delivery(org, webhook, error="address is not public")
    assert (row["status"], row["state"]) == (None, "pending")


def test_subscriptions_are_listed_by_page_and_deleted(new_org: Org) -> None:
    made = [
        new_org.request(
            "POST", "/api/v1/webhooks", json={"url": f"https://example.com/{n}", "events": ["push", "push"]}
        ).json()
        for n in range(3)
    ]
    assert set(made[0]) == {"id", "url", "events", "secret", "created_at"}
    assert made[0]["secret"].startswith("whsec_") and made[0]["events"] == ["push"]
    page = new_org.request("GET", "/api/webhooks", params={"limit": 2}).json()
    rest = new_org.request("GET", "/api/webhooks", params={"cursor": page["next_cursor"]}).json()
    listed = [*page["webhooks"], *rest["webhooks"]]
    assert [hook["id"] for hook in listed] == [hook["id"] for hook in made]
    assert (page["has_more"], rest["has_more"]) == (True, False)
    assert "secret" not in listed[0] and listed[0]["active"] is True
    first = made[0]["id"]
    assert new_org.request("DELETE", f"/api/v1/webhooks/{first}").status_code == 204
    assert new_org.request("DELETE", f"/api/v1/webhooks/{first}").status_code == 404


def test_a_token_for_a_repository_reaches_only_its_subscriptions(repo: Repo) -> None:
    org, body = repo.org, {"url": "https://example.com/", "events": ["push"]}
    whole = org.request("POST", "/api/webhooks", json=body).json()["id"]
    own = org.request("POST", "/api/webhooks", json=body, token=repo.token()).json()["id"]
    listed = org.request("GET", "/api/webhooks", token=repo.token()).json()["webhooks"]
    assert [(hook["id"], hook["repo"]) for hook in listed] == [(own, repo.name)]
    assert org.request("DELETE", f"/api/webhooks/{whole}", token=repo.token()).status_code == 404
    elsewhere = {**body, "repo": org.create_repo().name}
    assert org.request("POST", "/api/webhooks", json=elsewhere, token=repo.token()).status_code == 403
    weak = repo.token(scopes=["git:write"])
    assert org.request("POST", "/api/webhooks", json=body, token=weak).status_code == 403
    for blank in ("", "  "):
        made = org.request("POST", "/api/webhooks", json={**body, "secret": blank}).json()
        assert made["secret"].startswith("whsec_"), "what no client would believe is not taken"
    bad: list[dict[str, Any]] = [{"events": []}, {"events": ["nothing"]}, {"secret": "x" * 2000}]
    for wrong in bad:
        assert org.request("POST", "/api/webhooks", json={**body, **wrong}).status_code == 400
    assert org.request("DELETE", f"/api/webhooks/{whole}").status_code == 204


def test_the_command_line_adds_lists_and_removes_subscriptions(
    server: Server, new_org: Org, tmp_path: Path
) -> None:
    secret_file = tmp_path / "secret"
    secret_file.write_text("from the file\n")
    added = json.loads(
        server.cli(
            "webhook", "add", new_org.name, "https://example.com/cli", "--event", "push",
            "--secret-file", secret_file, "--json",
        )
    )  # fmt: skip
    assert added["secret"] == "from the file"
    assert added["id"] in server.cli("webhook", "list", new_org.name)
    said = server.cli("webhook", "add", new_org.name, "https://example.com/", "--event", "push")
    assert "events  push\n" in said
    assert server.try_cli("webhook", "add", new_org.name, "https://10.0.0.1/").returncode == 1
    server.cli("webhook", "remove", new_org.name, added["id"])
    assert added["id"] not in server.cli("webhook", "list", new_org.name)


def test_of_a_thousand_events_none_is_missing_though_the_server_is_killed_five_times(
    start_server: StartServer,
) -> None:
    with Receiver() as receiver:
        server = start_server(options(receiver))
        org = server.new_org()
        webhook = subscribe(org, receiver)
        repo = org.create_repo()
        tip = repo.write_commit("main", {"a": b"1"})
        made = {"refs/heads/main"}
        for burst in range(5):
            for number in range(40):
                made |= _make_branches(repo, tip, burst * 200 + number * 5)
            server.kill()
            server.start()
        deadline = time.monotonic() + WAIT_MAX_S
        while {payload(each)["ref"] for each in list(receiver.received)} != made:
            missing = made - {payload(each)["ref"] for each in receiver.received}
            assert time.monotonic() < deadline, f"{len(missing)} of {len(made)} events are missing"
            time.sleep(0.2)
        assert len(made) == 1001
        for each in receiver.received:
            signature = each.header("x-pierre-signature")
            at = signature.partition(",")[0].removeprefix("t=").encode()
            expected = hmac.new(webhook["secret"].encode(), at + b"." + each.body, hashlib.sha256).hexdigest()
            assert signature.endswith(f",sha256={expected}")


def _make_branches(repo: Repo, tip: str, number: int) -> set[str]:
    """Make five branches by one push without objects, and return their refnames."""
    names = {f"refs/heads/b{number + n}" for n in range(5)}
    lines = [f"{ZERO} {tip} {name}" for name in sorted(names)]
    lines[0] += "\0report-status"
    pkt = b"".join(b"%04x%b\n" % (len(line) + 5, line.encode()) for line in lines) + b"0000"
    pack = b"PACK\0\0\0\2\0\0\0\0"
    reply = repo.org.server.http.post(
        repo.remote() + "/git-receive-pack",
        content=pkt + pack + hashlib.sha1(pack).digest(),
        headers={"Content-Type": "application/x-git-receive-pack-request"},
    )
    assert reply.status_code == 200 and b"ng " not in reply.content, reply.text
    return names


def test_a_separate_worker_delivers_the_events_of_a_killed_server_and_ends_cleanly(
    start_server: StartServer,
) -> None:
    with Receiver(answer=lambda _received, before: 500 if before == 0 else 204) as receiver:
        server = start_server(options(receiver))
        org = server.new_org()
        subscribe(org, receiver)
        org.create_repo().write_commit("main", {"a": b"1"})
        receiver.wait_for(1)
        server.kill()
        worker = subprocess.Popen([str(PROGRAM), "worker"], env=server.environment, stderr=subprocess.DEVNULL)
        receiver.wait_for(2)
        worker.terminate()
        assert worker.wait(STOP_TIMEOUT_S) == 0
        server.start()
