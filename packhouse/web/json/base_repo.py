"""Reading `base_repo` and `initial_commit` of a new repository, and their schemas for the OpenAPI document.

The kind of base is decided in this order. `operation` is `snapshot`: a snapshot. `operation` is `fork`, or there is
none and `provider` is one of this server's own names: a fork. Otherwise: an upstream.
"""

from collections.abc import Mapping
from typing import Any, Final

from packhouse.errors import Code, FieldInvalid, FieldMissing, Invalid, Unauthenticated
from packhouse.git import RefName, branch_refname, check_new_name, parse_oid
from packhouse.git.objects import clean_message, make_person, parse_date
from packhouse.operations.repos.bases import Base, ForkBase, SnapshotBase, UpstreamBase
from packhouse.repository import DEFAULT_HOSTS, GITHUB, host_fault, name_fault, owner_fault
from packhouse.web.json.types import NOT_BLANK, needs, one_of, says

OWN_PROVIDERS: Final = frozenset({"code", "code.storage"})

_TEXT: Final = {"type": ["string", "null"]}
_NEEDED_TEXT: Final = {"type": "string", "pattern": NOT_BLANK}


def _words(*words: str) -> dict[str, Any]:
    return {"type": ["string", "null"], **(one_of(*words).extra_json_schema or {})}


def _is(name: str, *words: str) -> dict[str, Any]:
    pattern = rf"^\s*({'|'.join(word.replace('.', '[.]') for word in words)})\s*$"
    return {"required": [name], "properties": {name: {"type": "string", "pattern": pattern}}}


BASE_REPO: Final = says(
    description=(
        "What the repository is made from: an upstream to follow (`owner` and `name` there), or a fork or snapshot of "
        "another repository of this server (`name`, and in `auth.token` a token that may read it)."
    ),
    required=["name"],
    properties={
        "operation": _words("fork", "snapshot", "sync"),
        "provider": _words(*DEFAULT_HOSTS, *sorted(OWN_PROVIDERS)),
        "owner": _TEXT,
        "name": _NEEDED_TEXT,
        "default_branch": _TEXT,
        "ref": _TEXT,
        "sha": _TEXT,
        "upstream_host": _TEXT,
        "auth": {
            "type": ["object", "null"],
            "properties": {"token": {"type": ["string", "null"]}, "auth_type": {"type": ["string", "null"]}},
        },
    },
    anyOf=[needs("owner"), _is("operation", "fork", "snapshot"), _is("provider", *sorted(OWN_PROVIDERS))],
)
INITIAL_COMMIT: Final = says(
    description="Message and author of a snapshot's one commit.",
    required=["message", "author"],
    properties={
        "message": _NEEDED_TEXT,
        "author": {
            "type": "object",
            "required": ["name", "email"],
            "properties": {"name": _NEEDED_TEXT, "email": _NEEDED_TEXT, "date": _TEXT},
        },
    },
)

_IS_SNAPSHOT: Final = {
    "required": ["base_repo"],
    "properties": {"base_repo": {"type": "object", **_is("operation", "snapshot")}},
}
SNAPSHOT_HAS_A_COMMIT: Final = {
    "anyOf": [
        {
            "required": ["initial_commit"],
            "properties": {"initial_commit": {"type": "object"}},
            "allOf": [_IS_SNAPSHOT],
        },
        {"properties": {"initial_commit": {"type": "null"}}, "not": _IS_SNAPSHOT},
    ]
}


class BaseOperationUnknown(Invalid):
    """The operation of `base_repo` is another word than fork, snapshot and sync."""

    code = Code.BASE_OPERATION_UNKNOWN


class InitialCommitUnexpected(Invalid):
    """The request describes a first commit, which only a snapshot has."""

    code = Code.INITIAL_COMMIT_UNEXPECTED


class SnapshotByOid(Invalid):
    """The request asks for a snapshot of a commit id. A snapshot is taken of a ref."""

    code = Code.SNAPSHOT_BY_OID


class ProviderUnknown(Invalid):
    """The server follows no upstreams of this provider. `provider` is the start of the word."""

    code = Code.PROVIDER_UNKNOWN
    provider: str


class PartOfUpstream(Invalid):
    """The request names a single ref or commit of an upstream. An upstream is followed as a whole."""

    code = Code.PART_OF_UPSTREAM
    field: str


class UpstreamAuthInvalid(Invalid):
    """The request has other `auth` than public for an upstream on GitHub.

    Credentials are stored by calls of their own.
    """

    code = Code.UPSTREAM_AUTH_INVALID


class ForeignProvider(Invalid):
    """The request asks for a fork or a snapshot from another provider than this server."""

    code = Code.FOREIGN_PROVIDER


class SourceTokenRequired(Unauthenticated):
    """The request lacks the token of the source, which proves that the caller may read the source."""

    code = Code.SOURCE_TOKEN_REQUIRED


def parse_base(base: Mapping[str, object], initial_commit: Mapping[str, object] | None, *, now: int) -> Base:
    """Return the base of a new repository. `now` is the date of a snapshot's commit whose author has no date.

    Raises Invalid for members that do not go together, and Unauthenticated without the source's token.
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


def parse_base_branch(base: Mapping[str, object]) -> RefName | None:
    """Return the default branch that `base_repo` names. It wins over the member beside `base_repo`."""
    return parse_default_branch(_text(base, "default_branch"))


def parse_default_branch(text: str | None) -> RefName | None:
    """Return the named branch, None for blank or absent text; raise Invalid for a name that no new branch may have."""
    trimmed = (text or "").strip()
    return check_new_name(branch_refname(trimmed)) if trimmed else None


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
    _refuse("owner", owner_fault(owner))
    _refuse("name", name_fault(name))
    host = _text(base, "upstream_host") or ""
    if host:
        _refuse("upstream_host", host_fault(host))
    elif not DEFAULT_HOSTS[provider]:
        raise FieldMissing("base_repo.upstream_host")
    return UpstreamBase(
        provider=provider,
        owner=owner,
        name=name,
        host=host.lower(),
        is_public=_is_public(base, provider),
    )


def _refuse(name: str, reason: str | None) -> None:
    """Raise FieldInvalid if there is a reason."""
    if reason is not None:
        raise FieldInvalid(field=f"base_repo.{name}", reason=reason)


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
