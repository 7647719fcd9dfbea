"""The OpenAPI description of a route, and the status of its replies."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from packhouse.web.openapi.headers import Header


@dataclass(frozen=True, slots=True)
class Description:
    """One operation in words and types.

    The struct of the reply is named by the annotation of the handler, not here (`Route.reply`).

    `status` is the status of the reply, unless the handler gives one of `other_statuses`. `reply_media` is a media
    type, or several between commas. `body_member` is the member of the body that holds `body`. `body_lines` is the
    struct of each further line of the body. `body_rules` are JSON Schemas that tell how members of `body` depend on
    each other. `released_query` and `released_body` are for the released path, where it takes something else.
    `request_headers` and `reply_headers` are header fields (headers.py). `failures` are statuses beyond those that
    every route of its kind has. `failure_members` are the members of a 409 beside the members of a problem.
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
