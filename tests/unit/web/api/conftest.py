"""A client of the whole pipeline, without a server and without a disk."""

import asyncio
import base64
import json
from dataclasses import dataclass
from typing import Any, Final

import pytest

from packhouse.auth.scopes import Scope
from packhouse.node.node import Node
from packhouse.operations.tenants.add_key import AddKey, add_key
from packhouse.operations.tenants.create_org import CreateOrg, create_org
from packhouse.web.app import ROUTES, make_pipeline
from packhouse.web.call import Shared
from tests.support.builders.keys import KeyPair, make_key_pair, sign_token, usual_claims
from tests.support.exchanges import Sent, open_exchange
from tests.support.wire_requests import make_wire

PIPELINE: Final = make_pipeline(ROUTES)
PAIR: Final[KeyPair] = make_key_pair()


@dataclass(frozen=True, slots=True)
class Client:
    """Calls the API of a node as somebody who may do everything in `repo`; its names stand in the path."""

    shared: Shared
    repo: str = "r"

    def send(
        self,
        method: str,
        target: str,
        body: bytes | dict[str, Any] | None = None,
        *,
        key: str = "",
        repo: str | None = "",
    ) -> Sent:
        """Send a request with a token for `self.repo`, or for another one, or for none."""
        now = self.shared.node.clock()
        claims = usual_claims("acme", self.repo if repo == "" else repo, [scope.value for scope in Scope])
        claims |= {"iat": now, "exp": now + 3600}
        headers = {"Authorization": f"Bearer {sign_token(PAIR, claims)}", "Host": "git.test"}
        if key:
            headers["Idempotency-Key"] = key
        text = json.dumps(body).encode() if isinstance(body, dict) else body
        wire = make_wire(method, target, *(() if text is None else (text,)), headers=headers)
        exchange, sent = open_exchange(wire, self.shared)
        asyncio.run(PIPELINE(exchange))
        assert sent.is_whole
        return sent

    def call(
        self, method: str, path: str, body: bytes | dict[str, Any] | None = None, *, key: str = ""
    ) -> Sent:
        """Send a request to a path of the repository, such as `/tags?limit=1`."""
        return self.send(method, f"/api/repos/{self.repo}{path}", body, key=key)


@pytest.fixture
def client(memory_node: Node, shared: Shared) -> Client:
    """A client of an organisation without repositories."""
    create_org(memory_node, CreateOrg("acme"))
    add_key(memory_node, AddKey("acme", PAIR.public_pem))
    return Client(shared)


@pytest.fixture
def repo(client: Client) -> Client:
    """A client of an empty repository `r`, whose default branch is main."""
    assert client.send("POST", "/api/repos").status == 201
    return client


@pytest.fixture
def stocked(repo: Client) -> Client:
    """A client of a repository with one commit on main."""
    assert commit(repo, "main", "a.txt", b"1\n").status == 201
    return repo


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def commit(client: Client, branch: str, path: str, content: bytes, *, key: str = "") -> Sent:
    """Commit one file to a branch."""
    metadata = {
        "target_branch": branch,
        "commit_message": "m",
        "author": {"name": "Ada", "email": "ada@example.test", "date": "2020-01-01T00:00:00Z"},
        "files": [{"path": path, "content_id": "1"}],
    }
    chunk = {"content_id": "1", "data": _base64(content), "eof": True}
    lines = [{"metadata": metadata}, {"blob_chunk": chunk}]
    return client.call("POST", "/commit-pack", "\n".join(map(json.dumps, lines)).encode(), key=key)
