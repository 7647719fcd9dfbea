"""An organisation and its repositories, as clients use them: both dialects, NDJSON commits, git remotes."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from tests.support.builders.keys import KeyPair, sign_token, usual_claims
from tests.support.servers.server_process import ServerProcess
from tests.support.waiting import wait_until

ALL_SCOPES = ("git:read", "git:write", "repo:write")
AUTHOR = {"name": "Ada", "email": "ada@example.test"}
CHUNK_BYTES = 4 * 1024 * 1024

FileValue = bytes | tuple[str, bytes] | None
"""Content of a file, or (mode, content). None deletes the path."""


@dataclass
class Org:
    """Signs tokens with the organisation's private key, and makes repositories."""

    server: ServerProcess
    name: str
    pair: KeyPair
    key_id: str

    def sign(self, **claims: Any) -> str:
        """Return a token of this organisation, valid for an hour. A claim given as None is left out.

        Without `repo` it is an organisation token. Without `scopes` it allows everything in a repository.
        """
        usual = usual_claims(self.name, "org", list(ALL_SCOPES))
        return sign_token(self.pair, {**usual, **claims})

    def request(self, method: str, path: str, *, token: str | None = None, **options: Any) -> httpx.Response:
        """Send one request. Without `token`, an organisation token with every scope is used."""
        token = token or self.sign(scopes=[*ALL_SCOPES, "org:read"])
        headers = {"Authorization": f"Bearer {token}", **options.pop("headers", {})}
        return self.server.http.request(method, self.server.url + path, headers=headers, **options)

    def repo(self, name: str | None = None) -> Repo:
        """Return a handle on a repository, which need not exist. Without `name` it gets an unused name."""
        return Repo(org=self, name=name or f"team/{uuid.uuid4().hex[:12]}")

    def create_repo(self, name: str | None = None, **body: Any) -> Repo:
        """Create a repository through the API and return its handle."""
        repo = self.repo(name)
        reply = repo.create(**body)
        assert reply.status_code == 201, reply.text
        return repo


@dataclass
class Repo:
    """A handle on one repository, which need not exist. Every call signs a new token."""

    org: Org
    name: str

    def token(self, **claims: Any) -> str:
        """Return a token for this repository, with every repository scope unless `scopes` is given."""
        return self.org.sign(**{"repo": self.name, **claims})

    def v1(self, method: str, path: str, *, token: str | None = None, **options: Any) -> httpx.Response:
        """Send a request in the released dialect: `path` follows `/api/v1`."""
        return self.org.request(method, "/api/v1" + path, token=token or self.token(), **options)

    def api(self, method: str, path: str = "", *, token: str | None = None, **options: Any) -> httpx.Response:
        """Send a request in the preferred dialect: `path` follows `/api/repos/{repo}`."""
        target = f"/api/repos/{quote(self.name, safe='')}{path}"
        return self.org.request(method, target, token=token or self.token(), **options)

    def create(self, **body: Any) -> httpx.Response:
        """Ask for the creation of this repository."""
        return self.v1("POST", "/repos", json=body)

    def folder(self) -> Path:
        """Return the server's folder of the repository's packs, after its journal was flushed. It must have some."""
        wait_until(self._flush, "the journal is not flushed")
        (folder,) = self.org.server.data.glob(f"repos/*/*/{self.api('GET').json()['repo_id']}")
        return folder

    def _flush(self) -> bool:
        """Flush the journal. Return False while another process maintains the repository."""
        done = self.org.server.try_cli("journal", "flush", f"{self.org.name}/{self.name}")
        assert done.returncode == 0 or "another process" in done.stderr, done.stderr
        return done.returncode == 0

    def post_commit(
        self,
        branch: str,
        files: Mapping[str, FileValue],
        *,
        message: str = "change",
        dialect: str = "api",
        token: str | None = None,
        **metadata: Any,
    ) -> httpx.Response:
        """Send a commit-pack request. Other keywords go into its metadata line unchanged."""
        body = b"".join(commit_lines(branch, files, message=message, **metadata))
        call = self.api if dialect == "api" else self.v1
        path = "/commit-pack" if dialect == "api" else "/repos/commit-pack"
        headers = {"Content-Type": "application/x-ndjson", "Accept": "application/json"}
        return call("POST", path, token=token, content=body, headers=headers)

    def write_commit(self, branch: str, files: Mapping[str, FileValue], **options: Any) -> str:
        """Make a commit over HTTP, which must succeed. Return its id."""
        reply = self.post_commit(branch, files, **options)
        assert reply.status_code == 201, reply.text
        commit_sha: str = reply.json()["commit"]["commit_sha"]
        return commit_sha

    def read_file(self, path: str, **query: str) -> bytes:
        """Return a file's bytes through the API. The file must exist."""
        reply = self.api("GET", "/file", params={"path": path, **query})
        assert reply.status_code == 200, reply.text
        return reply.content

    def list_paths(self, **query: str) -> list[str]:
        """Return the paths of all files at the default branch, or at `ref`."""
        reply = self.api("GET", "/files", params=query)
        assert reply.status_code == 200, reply.text
        paths: list[str] = reply.json()["paths"]
        return paths

    def branches(self, **query: str) -> dict[str, str]:
        """Return branch name to commit id, at most one page of a hundred."""
        reply = self.api("GET", "/branches", params={"limit": "100", **query})
        assert reply.status_code == 200, reply.text
        return {branch["name"]: branch["head_sha"] for branch in reply.json()["branches"]}

    def remote(self, suffix: str = "", *, token: str | None = None, **claims: Any) -> str:
        """Return the remote address with the token in it; `suffix` is `+ephemeral`, `+import` or nothing."""
        scheme, _, rest = self.org.server.url.partition("://")
        return f"{scheme}://t:{token or self.token(**claims)}@{rest}/{quote(self.name)}{suffix}.git"


def commit_lines(
    branch: str, files: Mapping[str, FileValue], *, message: str = "change", **metadata: Any
) -> Iterator[bytes]:
    """Yield the NDJSON lines of a commit-pack request, with chunks of at most 4 MiB."""
    entries: list[dict[str, str]] = []
    contents: list[tuple[str, bytes]] = []
    for number, (path, value) in enumerate(files.items()):
        content_id = f"c{number}"
        if value is None:
            entries.append({"path": path, "content_id": content_id, "operation": "delete"})
            continue
        mode, content = ("100644", value) if isinstance(value, bytes) else value
        entries.append({"path": path, "content_id": content_id, "operation": "upsert", "mode": mode})
        contents.append((content_id, content))
    fields = {"target_branch": branch, "commit_message": message, "author": AUTHOR, "files": entries}
    yield ndjson_line({"metadata": {**fields, **metadata}})
    for content_id, content in contents:
        yield from chunk_lines(content_id, content)


def chunk_lines(content_id: str, content: bytes, *, chunk_bytes: int = CHUNK_BYTES) -> Iterator[bytes]:
    """Yield the chunk lines of one file. An empty file is one empty chunk."""
    starts: Iterable[int] = range(0, len(content), chunk_bytes) if content else (0,)
    for start in starts:
        data = base64.b64encode(content[start : start + chunk_bytes]).decode()
        last = start + chunk_bytes >= len(content)
        yield ndjson_line({"blob_chunk": {"content_id": content_id, "data": data, "eof": last}})


def ndjson_line(value: Mapping[str, Any]) -> bytes:
    """Return one line of NDJSON with its line feed."""
    return json.dumps(value).encode() + b"\n"
