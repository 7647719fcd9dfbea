"""What `base_repo` of a new repository asks for: an upstream to follow, a fork or a snapshot.

Decided in this order: operation `snapshot`; operation `fork`, or one of this server's own provider names
without an operation; otherwise an upstream.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from packhouse.error_codes import Code
from packhouse.errors import FieldInvalid, FieldMissing, Invalid, Unauthenticated
from packhouse.git.objects.codec import Person, clean_message, make_person, parse_date
from packhouse.git.oid import Oid, parse_oid
from packhouse.repository.upstream.providers import DEFAULT_HOSTS, GITHUB

OWN_PROVIDERS: Final = frozenset({"code", "code.storage"})

_SEGMENT_MAX_BYTES: Final = 255
_HOST: Final = re.compile(
    r"(?P<name>[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::(?P<port>[0-9]{1,5}))?"
)
_UNSAFE: Final = re.compile(r"[\x00-\x20\x7f\\?#%@:]")


class BaseOperationUnknown(Invalid):
    """The operation is another word."""

    code = Code.BASE_OPERATION_UNKNOWN


class InitialCommitUnexpected(Invalid):
    """Only a snapshot has a first commit of its own."""

    code = Code.INITIAL_COMMIT_UNEXPECTED


class SnapshotByOid(Invalid):
    """A snapshot is taken of a ref."""

    code = Code.SNAPSHOT_BY_OID


class ProviderUnknown(Invalid):
    """No upstream of this provider can be followed. `provider` is its start."""

    code = Code.PROVIDER_UNKNOWN
    provider: str


class PartOfUpstream(Invalid):
    """A single ref or commit of an upstream cannot be followed."""

    code = Code.PART_OF_UPSTREAM
    field: str


class UpstreamAuthInvalid(Invalid):
    """Credentials of an upstream are stored by calls of their own."""

    code = Code.UPSTREAM_AUTH_INVALID


class ForeignProvider(Invalid):
    """A fork or a snapshot is made of a repository of this server."""

    code = Code.FOREIGN_PROVIDER


class SourceTokenRequired(Unauthenticated):
    """The token of the source proves that its content may be read."""

    code = Code.SOURCE_TOKEN_REQUIRED


@dataclass(frozen=True, slots=True)
class ForkBase:
    """The repository to fork, the token that opens it, and what of it: `oid` wins over `ref`."""

    repo: str
    token: str
    ref: str | None
    oid: Oid | None


@dataclass(frozen=True, slots=True)
class SnapshotBase:
    """The repository whose tree at `ref` becomes the first commit, with that commit's message and author."""

    repo: str
    token: str
    ref: str | None
    message: bytes
    author: Person


@dataclass(frozen=True, slots=True)
class UpstreamBase:
    """The remote to follow; `host` is "" for the provider's usual one. `public`: never authenticate or push."""

    provider: str
    owner: str
    name: str
    host: str
    public: bool


Base = ForkBase | SnapshotBase | UpstreamBase


def parse_base(base: Mapping[str, object], initial_commit: Mapping[str, object] | None, *, now: int) -> Base:
    """Return what is asked for; `now` becomes the date of a snapshot's commit whose author has none.

    Raises Invalid for what does not go together, and Unauthenticated without a source's token.
    """
    operation = _text(base, "operation")
    provider = _text(base, "provider")
    if operation not in (None, "snapshot", "fork", "sync"):
        raise BaseOperationUnknown()
    if operation == "snapshot":
        return _parse_snapshot(base, provider, initial_commit, now)
    if initial_commit is not None:
        raise InitialCommitUnexpected()
    if operation == "fork" or (operation is None and provider in OWN_PROVIDERS):
        return _parse_fork(base, provider)
    return _parse_upstream(base, provider)


def read_base_branch(base: Mapping[str, object]) -> str | None:
    """Return the default branch that `base_repo` itself asks for; it wins over the one beside it."""
    return _text(base, "default_branch")


def _parse_fork(base: Mapping[str, object], provider: str | None) -> ForkBase:
    _check_own_provider(provider)
    repo = _required(base, "name")
    sha = _text(base, "sha")
    oid = None if sha is None else parse_oid(sha)
    return ForkBase(repo=repo, token=_source_token(base), ref=_text(base, "ref"), oid=oid)


def _parse_snapshot(
    base: Mapping[str, object],
    provider: str | None,
    initial_commit: Mapping[str, object] | None,
    now: int,
) -> SnapshotBase:
    _check_own_provider(provider)
    repo = _required(base, "name")
    if _text(base, "sha") is not None:
        raise SnapshotByOid()
    if initial_commit is None:
        raise FieldMissing("initial_commit")
    message = _required(initial_commit, "message", within="initial_commit")
    author = _object(initial_commit, "author", within="initial_commit")
    if author is None:
        raise FieldMissing("initial_commit.author")
    name = _required(author, "name", within="initial_commit.author")
    email = _required(author, "email", within="initial_commit.author")
    date = _text(author, "date", within="initial_commit.author")
    when, zone = (now, "+0000") if date is None else parse_date(date)
    return SnapshotBase(
        repo=repo,
        token=_source_token(base),
        ref=_text(base, "ref"),
        message=clean_message(message),
        author=make_person(name, email, when, zone),
    )


def _parse_upstream(base: Mapping[str, object], provider: str | None) -> UpstreamBase:
    provider = provider or GITHUB
    if provider not in DEFAULT_HOSTS:
        raise ProviderUnknown(provider[:100])
    for field in ("ref", "sha"):
        if _text(base, field) is not None:
            raise PartOfUpstream(f"base_repo.{field}")
    owner = _required(base, "owner")
    name = _required(base, "name")
    _check_path(owner, "owner")
    _check_path(name, "name")
    if "/" in name:
        raise FieldInvalid(field="base_repo.name", reason="it holds a slash")
    host = check_host(_text(base, "upstream_host") or "")
    if not host and not DEFAULT_HOSTS[provider]:
        raise FieldMissing("base_repo.upstream_host")
    return UpstreamBase(
        provider=provider,
        owner=owner,
        name=name,
        host=host,
        public=_is_public(base, provider),
    )


def check_host(host: str) -> str:
    """Return a bare host with an optional port, in lower case; "" stays so. Raises Invalid."""
    if not host:
        return ""
    match = _HOST.fullmatch(host)
    if match is None or (match["port"] is not None and not 0 < int(match["port"]) < 65536):
        raise FieldInvalid(
            field="base_repo.upstream_host", reason="it is not a bare host name with an optional port"
        )
    return host.lower()


def _is_public(base: Mapping[str, object], provider: str) -> bool:
    auth = _object(base, "auth")
    if not auth:
        return False
    if auth.get("auth_type") != "public" or provider != GITHUB:
        raise UpstreamAuthInvalid()
    return True


def _check_own_provider(provider: str | None) -> None:
    if provider is not None and provider not in OWN_PROVIDERS:
        raise ForeignProvider()


def _check_path(text: str, field: str) -> None:
    """Refuse what would mean something else than a folder in the path of an address."""
    parts = text.split("/")
    if _UNSAFE.search(text) or any(part in ("", ".", "..") for part in parts):
        raise FieldInvalid(field=f"base_repo.{field}", reason="it is no path on a git host")
    if len(text.encode("utf-8", "replace")) > _SEGMENT_MAX_BYTES or not text.isprintable():
        raise FieldInvalid(field=f"base_repo.{field}", reason="it is too long or unprintable")


def _source_token(base: Mapping[str, object]) -> str:
    auth = _object(base, "auth") or {}
    token = auth.get("token")
    if not isinstance(token, str) or not token.strip():
        raise SourceTokenRequired()
    return token.strip()


def _text(fields: Mapping[str, object], name: str, *, within: str = "base_repo") -> str | None:
    """Return the trimmed text of a member; None when it is absent, null or blank."""
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise FieldInvalid(field=f"{within}.{name}", reason="expected text")
    return value.strip() or None


def _required(fields: Mapping[str, object], name: str, *, within: str = "base_repo") -> str:
    text = _text(fields, name, within=within)
    if text is None:
        raise FieldMissing(f"{within}.{name}")
    return text


def _object(
    fields: Mapping[str, object], name: str, *, within: str = "base_repo"
) -> Mapping[str, object] | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, dict):
        raise FieldInvalid(field=f"{within}.{name}", reason="expected an object")
    return value
