"""A client of the whole pipeline, without a server and without a disk."""

import asyncio
import base64
import json
from collections.abc import Mapping
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
ADA: Final = {"name": "Ada", "email": "ada@example.test", "date": "2020-01-01T00:00:00Z"}
"""The author of all commits."""


@dataclass(frozen=True, slots=True)
class Client:
    """Calls the API of a node as a caller who may do everything in `repo`. The paths name the repository."""

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
        wire = make_wire(method, target, *(() if text is None else (text,)), headers=headers, stays=True)
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
    return commit_files(client, branch, {path.encode(): content}, key=key)


def commit_files(
    client: Client,
    branch: str,
    files: Mapping[bytes, bytes | None],
    *,
    message: str = "m",
    mode: str = "100644",
    key: str = "",
) -> Sent:
    """Commit files of one mode to a branch, by the bytes of their paths; None deletes the file."""
    listed: list[dict[str, str]] = []
    chunks: list[dict[str, Any]] = []
    for number, (path, content) in enumerate(files.items()):
        name = {"path_base64": _base64(path), "content_id": str(number)}
        listed.append(name | ({"operation": "delete"} if content is None else {"mode": mode}))
        if content is not None:
            chunk = {"content_id": str(number), "data": _base64(content), "eof": True}
            chunks.append({"blob_chunk": chunk})
    metadata = {"target_branch": branch, "commit_message": message, "author": ADA, "files": listed}
    lines = [{"metadata": metadata}, *chunks]
    return client.call("POST", "/commit-pack", "\n".join(map(json.dumps, lines)).encode(), key=key)


def new_commit(sent: Sent) -> str:
    """Return the id of the new commit in an answer."""
    assert sent.status == 201, sent.body
    return str(json.loads(sent.body)["commit"]["commit_sha"])


def as_sent(members: dict[str, Any]) -> str:
    """Return JSON as the server writes it: without blanks, members in this order, text without escapes."""
    return json.dumps(members, separators=(",", ":"), ensure_ascii=False)


def shown(sent: Sent) -> tuple[int, str]:
    """Return the status and the body of an answer."""
    return sent.status, sent.body.decode("utf-8")
