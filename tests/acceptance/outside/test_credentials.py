"""Git credentials over HTTP, in both dialects."""

import uuid
from urllib.parse import quote

import pytest

from tests.support.clients.repo import Repo
from tests.support.servers.server import Server

PASSWORD = f"glpat-{uuid.uuid4().hex}"


def test_a_credential_is_created_changed_and_deleted_in_the_preferred_dialect(repo: Repo) -> None:
    body = {"username": "bot", "password": PASSWORD}
    made = repo.api("POST", "/git-credentials", json=body)
    assert made.status_code == 201, made.text
    assert set(made.json()) == {"id", "created_at"}
    credential = made.json()["id"]
    assert credential.startswith("ggc_")
    again = repo.api("POST", "/git-credentials", json=body)
    assert again.status_code == 409
    changed = repo.api("PUT", f"/git-credentials/{credential}", json={"password": PASSWORD + "2"})
    assert (changed.status_code, changed.json()) == (200, made.json())
    gone = repo.api("DELETE", f"/git-credentials/{credential}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert repo.api("DELETE", f"/git-credentials/{credential}").status_code == 404
    assert repo.api("PUT", f"/git-credentials/{credential}", json=body).status_code == 404


@pytest.mark.parametrize("form", ["name", "id"])
def test_released_clients_name_the_repository_by_name_or_id_in_body_and_claim(repo: Repo, form: str) -> None:
    known = repo.name if form == "name" else repo.api("GET").json()["repo_id"]
    body = {"repo_id": known, "password": PASSWORD}
    made = repo.v1("POST", "/repos/git-credentials", json=body, token=repo.org.sign(repo=known))
    assert made.status_code == 201, made.text
    org_token = repo.org.sign(repo="org", scopes=["repo:write"])
    path = "/repos/git-credentials"
    change = {"id": made.json()["id"], "password": "next"}
    assert repo.v1("PUT", path, json=change, token=org_token).json() == made.json()
    gone = repo.v1("DELETE", path, json={"id": made.json()["id"]}, token=org_token)
    assert (gone.status_code, gone.content) == (204, b"")
    assert repo.v1("DELETE", path, json={"id": made.json()["id"]}, token=org_token).status_code == 404


def test_body_and_claim_must_name_the_same_repository(repo: Repo) -> None:
    other = repo.org.create_repo()
    body = {"repo_id": other.name, "password": PASSWORD}
    assert repo.v1("POST", "/repos/git-credentials", json=body).status_code == 403


def test_a_credential_of_another_repository_or_organisation_does_not_exist(
    server: Server, repo: Repo
) -> None:
    credential = repo.api("POST", "/git-credentials", json={"password": PASSWORD}).json()["id"]
    other = repo.org.create_repo()
    stranger = server.new_org().create_repo()
    for caller in (other, stranger):
        assert caller.api("PUT", f"/git-credentials/{credential}", json={"password": "x"}).status_code == 404
        body = {"id": credential, "password": "x"}
        assert caller.v1("PUT", "/repos/git-credentials", json=body).status_code == 404
    body = {"id": credential}
    token = stranger.org.sign(repo="org")
    assert stranger.v1("DELETE", "/repos/git-credentials", json=body, token=token).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"username": "bot"},
        {"password": ""},
        {"password": 7},
        {"password": "two\nlines"},
        {"password": "nul\0"},
        {"password": "x" * 9000},
        {"password": "x", "username": "two\nlines"},
    ],
)
def test_incomplete_and_unusable_credentials_are_refused_without_repeating_them(
    repo: Repo, body: dict[str, object]
) -> None:
    reply = repo.api("POST", "/git-credentials", json=body)
    assert reply.status_code == 400
    assert "two" not in reply.text
    assert "xxxx" not in reply.text


def test_calls_on_credentials_check_scope_and_claim(repo: Repo) -> None:
    body = {"password": PASSWORD}
    weak = repo.token(scopes=["git:write"])
    assert repo.api("POST", "/git-credentials", json=body, token=weak).status_code == 403
    assert repo.api("POST", "/git-credentials", json=body, token=repo.org.sign()).status_code == 403
    assert repo.v1("POST", "/repos/git-credentials", json=body).status_code == 400, "repo_id is required"
    missing = repo.org.repo()
    path = f"/api/repos/{quote(missing.name, safe='')}/git-credentials"
    assert repo.org.request("POST", path, json=body, token=missing.token()).status_code == 404


def test_a_password_is_on_no_disk_and_in_no_log(server: Server, repo: Repo) -> None:
    assert repo.api("POST", "/git-credentials", json={"password": PASSWORD}).status_code == 201
    for file in [*server.data.glob("packhouse.db*"), server.stderr_path]:
        assert PASSWORD.encode() not in file.read_bytes()
    assert (server.data / "secret-key").stat().st_mode & 0o777 == 0o600
