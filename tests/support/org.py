"""An organisation with a key, as a customer of the server sees it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from tests.support.keys import KeyPair, sign_token, usual_claims
from tests.support.repo import Repo

if TYPE_CHECKING:
    from tests.support.server import Server

ALL_SCOPES = ("git:read", "git:write", "repo:write")


@dataclass
class Org:
    """Mints tokens with the organisation's private key and makes repositories."""

    server: Server
    name: str
    pair: KeyPair
    key_id: str

    def sign(self, **claims: Any) -> str:
        """Return a token of this organisation for an hour; a claim given as None is left out.

        Without `repo` it is an organisation token; without `scopes` it may do everything in a repository.
        """
        usual = usual_claims(self.name, "org", list(ALL_SCOPES))
        return sign_token(self.pair, {**usual, **claims})

    def request(self, method: str, path: str, *, token: str | None = None, **options: Any) -> httpx.Response:
        """Send one request; without `token` an organisation token with every scope is used."""
        token = token or self.sign(scopes=[*ALL_SCOPES, "org:read"])
        headers = {"Authorization": f"Bearer {token}", **options.pop("headers", {})}
        return self.server.http.request(method, self.server.url + path, headers=headers, **options)

    def repo(self, name: str | None = None) -> Repo:
        """Return a handle on a repository that may not exist; without `name` a name nobody else has."""
        return Repo(org=self, name=name or f"team/{uuid.uuid4().hex[:12]}")

    def create_repo(self, name: str | None = None, **body: Any) -> Repo:
        """Create a repository through the API and return its handle."""
        repo = self.repo(name)
        reply = repo.create(**body)
        assert reply.status_code == 201, reply.text
        return repo
