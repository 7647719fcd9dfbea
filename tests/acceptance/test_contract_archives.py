"""The second system's download, where its rules are not those of the API."""

import pytest

from tests.support.repo import Repo


@pytest.mark.parametrize("path", ["", "%20", "%20%09", "&path=docs"])
def test_a_blank_path_is_refused_and_not_taken_for_everything(repo: Repo, path: str) -> None:
    repo.write_commit("main", {"docs/a": b"1", "b": b"2"})
    number = repo.api("GET").json()["repository_id"]
    server = repo.org.server
    reply = server.http.get(
        f"{server.url}/v4/repositories/{number}/repository/archive?path={path}",
        headers={"X-Auth-Token": repo.token(scopes=["git:read"])},
    )
    assert (reply.status_code, reply.headers["content-type"]) == (400, "application/json")
    assert reply.json() == {"error_code": "CH.004400", "error_msg": "parameter does not fit (field path)"}


def test_a_token_of_any_allowed_length_is_looked_at(repo: Repo) -> None:
    server = repo.org.server
    for length in (1, 100_000, 100_001):
        reply = server.http.get(
            f"{server.url}/v4/repositories/1/repository/archive", headers={"X-Auth-Token": "x" * length}
        )
        assert reply.status_code == 401
        assert reply.json() == {
            "error_code": "DEV.00000003",
            "error_msg": "Authentication information expired.",
        }
