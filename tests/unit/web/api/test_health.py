"""Health and readiness over the whole pipeline: the exact bytes of each answer."""

import json

import pytest

from packhouse.db.damage import insert_damage
from packhouse.db.orgs import find_org
from packhouse.db.repos import find_repo
from tests.unit.web.api.conftest import Client, as_sent, shown

pytestmark = pytest.mark.quick


def note_damage(client: Client, *, pack: str = "", oid: str = "") -> str:
    """Note a damage of repository `r`; return the repository's id."""
    node = client.shared.node
    with node.database.write() as session:
        org = find_org(session, "acme")
        assert org is not None
        repo = find_repo(session, org.id, "r")
        assert repo is not None
        assert insert_damage(session, repo.id, pack=pack, oid=oid, reason="is gone", now=2000)
    return repo.public_id


def test_a_process_that_answers_is_ok(client: Client) -> None:
    assert shown(client.send("GET", "/healthz")) == (200, '{"status":"ok"}')


def test_without_damage_only_a_verbose_answer_mentions_damage(client: Client) -> None:
    assert shown(client.send("GET", "/readyz")) == (200, '{"status":"ok"}')
    for value in ("false", "0", "FALSE"):
        assert shown(client.send("GET", f"/readyz?verbose={value}")) == (200, '{"status":"ok"}')
    for value in ("?verbose", "?verbose=", "?verbose=no"):
        assert shown(client.send("GET", f"/readyz{value}")) == (200, '{"status":"ok","damage":[]}')


def test_damage_is_counted_by_repository_and_shown_with_its_details(repo: Client) -> None:
    repo_id = note_damage(repo, pack="pack-1")
    note_damage(repo, oid="1" * 40)
    assert shown(repo.send("GET", "/readyz")) == (200, '{"status":"ok","damaged_repositories":1}')
    sent = repo.send("GET", "/readyz?verbose=1")
    common = {
        "org": "acme",
        "repo_name": "r",
        "repo_id": repo_id,
        "reason": "is gone",
        "found_at": "1970-01-01T00:33:20Z",
    }
    told = {"status": "ok", "damaged_repositories": 1}
    rows = [common | {"pack": "pack-1"}, common | {"object": "1" * 40}]
    either = [as_sent(told | {"damage": order}) for order in (rows, rows[::-1])]
    assert (sent.status, sent.body.decode() in either) == (200, True)


def test_a_storage_that_does_not_answer_is_unavailable(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise OSError("disk is gone")

    monkeypatch.setattr(client.shared.node.store, "check", fail)
    sent = client.send("GET", "/readyz")
    assert (sent.status, json.loads(sent.body)["error"]) == (503, "storage not available")
