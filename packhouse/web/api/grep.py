"""Grep searches the files of a commit for a regular expression."""

from itertools import groupby
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, UnsetType

from packhouse import limits
from packhouse.errors import Code, FieldInvalid, Invalid
from packhouse.formats import PathFilter, compile_globs, parse_extensions
from packhouse.git.commands.grep import GrepLine, GrepQuery
from packhouse.operations.reading.grep_files import GrepFiles, GrepPage, SkipReason, grep_files
from packhouse.web.call import Call
from packhouse.web.json import (
    DEFAULT_KEY,
    AnyRef,
    Base64,
    EncodedCursor,
    EncodedPath,
    Globs,
    Name,
    Number,
    PathPrefix,
    Sha,
    always,
    clamped,
    encoded_path,
    page_limit,
    path_text,
    read_prefixes,
    says,
)
from packhouse.web.openapi.description import Description
from packhouse.web.reply import Reply, encode_reply, or_unset
from packhouse.web.routing.route import of_repo, reading

_Extension = Annotated[
    str,
    says(
        pattern=r"[^\s.]|\.\S",
        maxLength=limits.glob_max_chars + 1,
        **{"not": {"type": "string", "pattern": r"[/\x00]"}},
    ),
]
_ContextLines = Annotated[
    int,
    msgspec.Meta(
        description=f"Less than 0 counts as 0, more than {limits.grep_context_max_lines} as that.",
        extra_json_schema={
            DEFAULT_KEY: 0,
            "anyOf": [{"minimum": 0, "maximum": limits.grep_context_max_lines}, {"description": "Clamped."}],
        },
    ),
]
_REASONS: Final = {SkipReason.TOO_SLOW: "too_slow", SkipReason.TOO_LARGE: "too_large"}
_MAX_LINES: Final = clamped(limits.grep_lines_max, default=limits.grep_lines_max)
_MAX_FILE_MATCHES: Final = clamped(limits.grep_file_matches_max, default=limits.grep_file_matches_default)
_MATCHES_LIMIT: Final = clamped(
    limits.grep_matches_max, default=limits.grep_matches_max, counts="Matching lines."
)


class TooManyPaths(Invalid):
    """The search has more paths than one search takes."""

    code = Code.TOO_MANY_PATHS
    paths_max: int


class GrepPattern(msgspec.Struct):
    """A POSIX extended regular expression."""

    pattern: Annotated[str, says(maxLength=limits.grep_pattern_max_bytes)]
    case_sensitive: bool = True


class GrepFileFilters(msgspec.Struct):
    """The files to search. A file is searched when all of these filters let it through."""

    include_globs: Globs = []
    exclude_globs: Globs = []
    extension_filters: Annotated[list[_Extension], says(maxItems=limits.globs_max)] = []


class GrepContext(msgspec.Struct):
    """The number of lines to show around each match, 0 to 50."""

    before: _ContextLines = 0
    after: _ContextLines = 0


class GrepLimits(msgspec.Struct):
    """Bounds on the lines of one answer, and on the matches of one file over all pages. 0 is the default."""

    max_lines: Annotated[int, _MAX_LINES] = 0
    max_matches_per_file: Annotated[int, _MAX_FILE_MATCHES] = 0


class GrepPagination(msgspec.Struct):
    """The page to return. `limit` counts matching lines."""

    cursor: EncodedCursor | None = None
    limit: Annotated[int, _MATCHES_LIMIT] = 0


class GrepBody(msgspec.Struct):
    """The expression to search for, and the files to search.

    `paths` are prefixes of paths, and `paths_base64` are those of names that are not UTF-8. Both are taken literally.
    """

    query: GrepPattern
    ref: AnyRef | None = None
    ephemeral: bool = False
    paths: Annotated[list[PathPrefix], says(maxItems=limits.query_fields_max)] = []
    paths_base64: Annotated[list[EncodedPath], says(maxItems=limits.query_fields_max)] = []
    file_filters: GrepFileFilters = msgspec.field(default_factory=GrepFileFilters)
    context: GrepContext = msgspec.field(default_factory=GrepContext)
    limits: GrepLimits = msgspec.field(default_factory=GrepLimits)
    pagination: GrepPagination = msgspec.field(default_factory=GrepPagination)


class GrepTarget(msgspec.Struct):
    """The commit that was searched."""

    ref: Name
    commit: Sha


class GrepLineFields(msgspec.Struct):
    """A line. `type` is match or context."""

    line_number: Number
    text: str
    type: Annotated[str, always("match", "context")]


class GrepMatch(msgspec.Struct):
    """The lines of one file, in order. `path_base64` has the bytes of a name that is not UTF-8."""

    path: Name
    lines: list[GrepLineFields]
    path_base64: Base64 | UnsetType = UNSET


class GrepAsked(msgspec.Struct):
    """The expression that was searched for."""

    pattern: Name
    case_sensitive: bool


class GrepSkipped(msgspec.Struct):
    """A file that was not searched. `reason` is too_slow or too_large."""

    path: Name
    reason: Annotated[str, always(*_REASONS.values())]
    path_base64: Base64 | UnsetType = UNSET


class GrepAnswer(msgspec.Struct):
    """A page of matches, by path and line.

    `truncated` is there, and true, when something in the page's stretch was not searched. `truncated_reason` is then
    skipped_files or out_of_time. `skipped` names the first hundred of the files that were passed over, and
    `skipped_count` counts them all.
    """

    query: GrepAsked
    repo: GrepTarget
    matches: list[GrepMatch]
    has_more: bool
    next_cursor: Name | UnsetType = UNSET
    truncated: bool | UnsetType = UNSET
    truncated_reason: Annotated[str, always("skipped_files", "out_of_time")] | UnsetType = UNSET
    skipped: list[GrepSkipped] | UnsetType = UNSET
    skipped_count: Number | UnsetType = UNSET


async def handle_grep(call: Call) -> Reply[GrepAnswer]:
    """POST …/grep."""
    body = await call.read_body(GrepBody)
    page = await call.search(grep_files, _read_command(call, body))
    return await call.in_thread(_reply, body.query, page)


def _read_command(call: Call, body: GrepBody) -> GrepFiles:
    query, files = _read_query(body), _read_filter(body)
    matches_max = page_limit(
        body.pagination.limit, default=limits.grep_matches_max, maximum=limits.grep_matches_max
    )
    lines_max = _bound(
        body.limits.max_lines,
        "limits.max_lines",
        default=limits.grep_lines_max,
        maximum=limits.grep_lines_max,
    )
    return GrepFiles(
        call.caller.repo,
        query,
        ref=body.ref,
        ephemeral=body.ephemeral,
        files=files,
        cursor=body.pagination.cursor,
        matches_max=matches_max,
        lines_max=lines_max,
    )


def _read_query(body: GrepBody) -> GrepQuery:
    matches_max = _bound(
        body.limits.max_matches_per_file,
        "limits.max_matches_per_file",
        default=limits.grep_file_matches_default,
        maximum=limits.grep_file_matches_max,
    )
    return GrepQuery(
        body.query.pattern,
        body.query.case_sensitive,
        before=_clamp_context(body.context.before),
        after=_clamp_context(body.context.after),
        file_matches_max=matches_max,
    )


def _read_filter(body: GrepBody) -> PathFilter:
    if len(body.paths) + len(body.paths_base64) > limits.query_fields_max:
        raise TooManyPaths(limits.query_fields_max)
    return PathFilter(
        prefixes=read_prefixes(body.paths, body.paths_base64, "paths_base64"),
        include=compile_globs(body.file_filters.include_globs),
        exclude=compile_globs(body.file_filters.exclude_globs),
        extensions=parse_extensions(body.file_filters.extension_filters),
    )


def _bound(value: int, field: str, *, default: int, maximum: int) -> int:
    if value < 0:
        raise FieldInvalid(field=field, reason="must not be negative")
    return min(value or default, maximum)


def _clamp_context(lines: int) -> int:
    return min(max(lines, 0), limits.grep_context_max_lines)


def _reply(asked: GrepPattern, page: GrepPage) -> Reply[GrepAnswer]:
    return encode_reply(grep_answer(asked, page))


def grep_answer(asked: GrepPattern, page: GrepPage) -> GrepAnswer:
    """Return the reply that tells of one page."""
    skipped = [
        GrepSkipped(path_text(path), _REASONS[reason], encoded_path(path))
        for path, reason in page.skipped[: limits.grep_skipped_listed_max]
    ]
    return GrepAnswer(
        query=GrepAsked(asked.pattern, asked.case_sensitive),
        repo=GrepTarget(page.ref, page.commit),
        matches=[
            GrepMatch(path_text(path), [_line_fields(line) for line in lines], encoded_path(path))
            for path, lines in groupby(page.lines, key=lambda line: line.path)
        ],
        has_more=page.cursor is not None,
        next_cursor=or_unset(page.cursor),
        truncated=bool(page.skipped or page.is_out_of_time) or UNSET,
        truncated_reason=_truncated_reason(page),
        skipped=skipped or UNSET,
        skipped_count=len(page.skipped) or UNSET,
    )


def _truncated_reason(page: GrepPage) -> str | UnsetType:
    if page.is_out_of_time:
        return "out_of_time"
    return "skipped_files" if page.skipped else UNSET


def _line_fields(line: GrepLine) -> GrepLineFields:
    kind = "match" if line.is_match else "context"
    return GrepLineFields(line.number, line.text.decode("utf-8", "replace"), kind)


ROUTES = (
    reading(
        "grep",
        of_repo("grep"),
        handle_grep,
        Description("Search files", body=GrepBody),
        method="POST",
    ),
)
