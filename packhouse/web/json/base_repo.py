"""What the OpenAPI document says of `base_repo` and `initial_commit`, which operations/repos/base_repo.py reads."""

from typing import Any, Final

from packhouse.operations.repos.base_repo import OWN_PROVIDERS
from packhouse.repository.upstream.providers import DEFAULT_HOSTS
from packhouse.web.json.types import NOT_BLANK, needs, one_of, says

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
