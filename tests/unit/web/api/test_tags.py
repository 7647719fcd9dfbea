"""Tags over the whole pipeline: the exact bytes of each reply."""

import json

import pytest

from tests.unit.web.api.conftest import Client

pytestmark = pytest.mark.quick


@pytest.fixture
def tagged(stocked: Client) -> tuple[Client, str]:
    """A client of a repository with tags `v1` and `v2` on one commit, and the commit."""
    for name in ("v1", "v2"):
        sent = stocked.call("POST", "/tags", {"name": name, "ref": "main"})
        made = json.loads(sent.body)
        assert sent.body.decode() == f'{{"name":"{name}","sha":"{made["sha"]}","message":"tag created"}}'
    return stocked, str(made["sha"])


def test_a_tag_is_shown_with_its_commit(tagged: tuple[Client, str]) -> None:
    client, sha = tagged
    sent = client.call("GET", "/tag?name=v1")
    assert (sent.status, sent.body.decode()) == (200, f'{{"tag":{{"name":"v1","sha":"{sha}"}}}}')


def test_pages_of_tags_name_the_next_one_until_the_last(tagged: tuple[Client, str]) -> None:
    client, sha = tagged
    items = [f'{{"cursor":"{name}","name":"{name}","sha":"{sha}"}}' for name in ("v1", "v2")]
    first = client.call("GET", "/tags?limit=1").body.decode()
    assert first == f'{{"tags":[{items[0]}],"has_more":true,"next_cursor":"v1"}}'
    assert client.call("GET", "/tags").body.decode() == f'{{"tags":[{",".join(items)}],"has_more":false}}'


@pytest.mark.parametrize(("path", "body"), [("/tags", {"name": "v1"}), ("/tags/v1", None)])
def test_a_repeated_deletion_of_a_tag_gets_the_same_answer(
    tagged: tuple[Client, str], path: str, body: dict[str, str] | None
) -> None:
    client, _ = tagged
    for _ in range(2):
        sent = client.call("DELETE", path, body, key="k")
        assert (sent.status, sent.body.decode()) == (200, '{"name":"v1","message":"tag deleted"}')
    assert client.call("GET", "/tag?name=v1").status == 404


def test_an_ignored_body_is_still_part_of_the_request(tagged: tuple[Client, str]) -> None:
    client, _ = tagged
    assert client.call("DELETE", "/tags/v1", key="k").status == 200
    assert client.call("DELETE", "/tags/v1", b"{}", key="k").status == 422
