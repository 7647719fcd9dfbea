"""Header fields of requests and answers, as the OpenAPI document describes them.

A description lists its own fields in `request_headers` and `reply_headers`. EVERY_REPLY has the fields of every answer,
FAILURE_REPLY those of every failure. A GET that lists no Cache-Control has CACHING.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from packhouse import limits
from packhouse.web.edge.responses import IMMUTABLE, NOT_STORED, REVALIDATED

_SHA: Final = {"type": "string", "pattern": "^[0-9a-f]{40}$"}


@dataclass(frozen=True, slots=True)
class Header:
    """One field. `schema` describes its value.

    For a field of answers, `statuses` are the answers that have it, and no statuses mean all answers of the list.
    `required` says that these answers always have it.
    """

    name: str
    description: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    statuses: tuple[int, ...] = ()
    required: bool = False


RANGE: Final = Header(
    "Range", "One range of bytes, also with HEAD; several are answered with the whole file."
)
IF_RANGE: Final = Header("If-Range", "Part of the file only if it is still this: an entity tag or a date.")
IF_MATCH: Final = Header("If-Match", "412 unless the file has one of these entity tags.")
IF_NONE_MATCH: Final = Header("If-None-Match", "304 if the file has one of these entity tags.")
IF_MODIFIED_SINCE: Final = Header("If-Modified-Since", "304 unless the file changed after this date.")
IF_UNMODIFIED_SINCE: Final = Header("If-Unmodified-Since", "412 if the file changed after this date.")
LAST_EVENT_ID: Final = Header(
    "Last-Event-ID",
    "Where to read on: the id of the event seen last.",
    {"type": "string", "pattern": r"^\s*[0-9]{0,18}\s*$"},
)

IDEMPOTENCY_KEY: Final = Header(
    "Idempotency-Key",
    "Requests with one key are one request for 24 hours: repeats get the first answer. Quoted, or bare text.",
    {"type": "string", "pattern": "^[ -~]*[!-~][ -~]*$"},
)
REPLAYED: Final = Header(
    "Idempotency-Replayed", "This is the answer of an earlier request.", {"type": "string", "const": "true"}
)

_FILE: Final = (200, 206, 304)
ETAG: Final = Header(
    "ETag",
    "The blob's id in quotes.",
    {"type": "string", "pattern": '^"[0-9a-f]{40}"$'},
    _FILE,
    required=True,
)
LAST_MODIFIED: Final = Header(
    "Last-Modified",
    "When the last commit that touched the path was made. For a tag of a file's own object, when the tag was made.",
    {
        "type": "string",
        "pattern": "^[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT$",
    },
    _FILE,
)
ACCEPT_RANGES: Final = Header(
    "Accept-Ranges",
    "Ranges are of bytes.",
    {"type": "string", "const": "bytes"},
    _FILE,
    required=True,
)
CONTENT_RANGE: Final = Header(
    "Content-Range",
    "The bytes that are sent, and the size of the file.",
    {"type": "string", "pattern": r"^bytes ([0-9]+-[0-9]+|\*)/[0-9]+$"},
    (206, 416),
    required=True,
)
CONTENT_LENGTH: Final = Header(
    "Content-Length",
    "The size of the body in bytes; for HEAD, of the body that GET sends.",
    {"type": "integer", "minimum": 0},
    (200, 206),
    required=True,
)
BLOB_SHA: Final = Header("X-Blob-Sha", "The blob's id.", _SHA, _FILE, required=True)
LAST_COMMIT_SHA: Final = Header(
    "X-Last-Commit-Sha",
    "The last commit that touched the path. Absent for a tag of a file's own object.",
    _SHA,
    _FILE,
)
NOSNIFF: Final = Header(
    "X-Content-Type-Options",
    "Browsers take the content type as it is.",
    {"type": "string", "const": "nosniff"},
    required=True,
)
CACHING: Final = Header(
    "Cache-Control",
    "How long the answer may be kept. An answer to full ids alone never changes.",
    {"type": "string", "enum": [REVALIDATED, IMMUTABLE]},
    required=True,
)
NO_STORE: Final = Header(
    "Cache-Control", "Not to be kept.", {"type": "string", "const": NOT_STORED}, required=True
)
CONTENT_DISPOSITION: Final = Header(
    "Content-Disposition",
    "The name of the archive.",
    {"type": "string", "pattern": r'^attachment; filename="[^"/\\]+"$'},
    required=True,
)

FILE_CONDITIONS: Final = (RANGE, IF_RANGE, IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE)
FILE_REPLY: Final = (
    ETAG,
    LAST_MODIFIED,
    ACCEPT_RANGES,
    CONTENT_RANGE,
    CONTENT_LENGTH,
    BLOB_SHA,
    LAST_COMMIT_SHA,
    NOSNIFF,
)
ARCHIVE_REPLY: Final = (NO_STORE, CONTENT_DISPOSITION, NOSNIFF)

CHALLENGE: Final = Header(
    "WWW-Authenticate", "Bearer.", {"type": "string", "const": "Bearer"}, (401,), required=True
)
RETRY_AFTER: Final = Header(
    "Retry-After", "Seconds to wait.", {"type": "integer", "minimum": 0}, (429, 503), required=True
)
ALLOW: Final = Header("Allow", "The methods that the path takes.", {"type": "string"}, (405,), required=True)
FAILURE_REPLY: Final = (NO_STORE, CHALLENGE, RETRY_AFTER, ALLOW)

REQUEST_ID: Final = Header(
    "X-Request-Id",
    "Names the request in the log: the client's own header of this name, or a new one.",
    {"type": "string", "pattern": "^[!-~]+$", "maxLength": limits.request_id_max_chars},
    required=True,
)
EVERY_REPLY: Final = (REQUEST_ID,)
