"""What the OpenAPI document says of a route, and the status of its replies."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from packhouse.web.openapi.headers import Header


@dataclass(frozen=True, slots=True)
class Description:
    """One operation in words and types.

    The struct of the reply is not here: it is the one that the annotation of the handler names (`Route.reply`).

    `status` is that of the reply, unless the handler gives another of `other_statuses`. `reply_media` names one type
    or several between commas. `body_member` is the member of the body in which `body` stands, `body_lines` what each
    further line of it holds, and `body_rules` are JSON Schemas of how members of `body` depend on each other.
    `released_query` and `released_body` are for what the released path takes where it differs. `request_headers` and
    `reply_headers` are header fields (headers.py). `failures` are the statuses that not every such route has, and
    `failure_members` what a 409 holds beside the members of a problem.
    """

    summary: str = ""
    query: type[msgspec.Struct] | None = None
    released_query: type[msgspec.Struct] | None = None
    request_headers: tuple[Header, ...] = ()
    body: type[msgspec.Struct] | None = None
    released_body: type[msgspec.Struct] | None = None
    body_media: str = "application/json"
    body_member: str = ""
    body_rules: tuple[Mapping[str, Any], ...] = ()
    body_lines: type[msgspec.Struct] | None = None
    reply_media: str = "application/json"
    reply_headers: tuple[Header, ...] = ()
    status: int = 200
    other_statuses: tuple[int, ...] = ()
    failures: tuple[int, ...] = ()
    failure_members: type[msgspec.Struct] | None = None
