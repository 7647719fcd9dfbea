"""Health: tells whether the process, its database and its storage answer."""

from typing import Annotated, Final

import msgspec
from msgspec import UNSET, UnsetType

from packhouse.clock import format_timestamp
from packhouse.errors import Code, Unavailable
from packhouse.repository import count_damaged, read_damage
from packhouse.web.call import Call
from packhouse.web.json import Count, Timestamp, always
from packhouse.web.openapi.description import Description
from packhouse.web.routing.route import public

_NO: Final = ("false", "0")


class StorageAway(Unavailable):
    """The data folder cannot be written now."""

    code = Code.STORAGE_AWAY


class ReadyzQuery(msgspec.Struct):
    """With `verbose` the answer lists what is damaged. Its values `false` and `0` count as absence."""

    verbose: str | None = None


class HealthzAnswer(msgspec.Struct):
    """The process answers."""

    status: Annotated[str, always("ok")]


class DamageFields(msgspec.Struct, omit_defaults=True):
    """A listed pack that cannot be read, or an object that no pack holds."""

    org: str
    repo_name: str
    repo_id: str
    reason: str
    found_at: Timestamp
    pack: str = ""
    object: str = ""


class ReadyzAnswer(msgspec.Struct, omit_defaults=True):
    """The server is ready. Damaged repositories leave it ready for others. `damage` is there with `?verbose` only."""

    status: Annotated[str, always("ok")]
    damaged_repositories: Count = 0
    damage: list[DamageFields] | UnsetType = UNSET


async def healthz(_call: Call) -> HealthzAnswer:
    """GET /healthz: the process answers."""
    return HealthzAnswer("ok")


async def readyz(call: Call) -> ReadyzAnswer:
    """GET /readyz: database and storage answer. Raises Unavailable when one of them does not."""
    try:
        await call.in_thread(call.node.check)
    except OSError as error:
        raise StorageAway() from error
    if call.wire.query_params.get("verbose", "0").lower() in _NO:
        return ReadyzAnswer("ok", await call.in_thread(count_damaged, call.node))
    count, rows = await call.in_thread(read_damage, call.node)
    damage = [
        DamageFields(
            org=row.org_name,
            repo_name=row.repo_name,
            repo_id=row.repo_public_id,
            reason=row.reason,
            found_at=format_timestamp(row.created_at),
            pack=row.pack,
            object=row.oid,
        )
        for row in rows
    ]
    return ReadyzAnswer("ok", count, damage)


ROUTES = (
    public("healthz", "/healthz", healthz, Description("The process is up")),
    public(
        "readyz",
        "/readyz",
        readyz,
        Description(
            "Database and storage answer; with verbose, what is damaged",
            query=ReadyzQuery,
            failures=(503,),
        ),
    ),
)
