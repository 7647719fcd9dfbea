"""Files: list them and read one."""

from functools import partial
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, UnsetType
from starlette.responses import Response

from packhouse import limits
from packhouse.errors import FieldMissing
from packhouse.git.objects import PathEntry
from packhouse.operations.reading.list_files import FileListing, ListFiles, list_files
from packhouse.operations.reading.open_file import EmptyPath, OpenedFile, OpenFile, open_file
from packhouse.web.call import Call
from packhouse.web.conditions import (
    Decision,
    FilePreconditionFailed,
    RangeNotSatisfiable,
    Verdict,
    decide,
    format_http_date,
)
from packhouse.web.edge.responses import StreamResponse, cache_control
from packhouse.web.edge.streams import iter_in_threads
from packhouse.web.json import (
    AnyRef,
    Base64,
    EntryType,
    FileMode,
    FilePath,
    Name,
    PathCursor,
    PathMembers,
    encoded_path,
    is_root,
    optional_page,
    page_limit,
    parse_path_cursor,
    path_cursor,
    path_text,
    read_file_path,
    read_folder,
)
from packhouse.web.openapi.description import Description
from packhouse.web.openapi.headers import FILE_CONDITIONS, FILE_REPLY
from packhouse.web.reply import Reply, encode_reply, then
from packhouse.web.routing.route import of_repo, reading

_LIMIT: Final = optional_page(
    limits.files_page_max,
    default=limits.files_page_default,
    unpaged="Without `cursor` and `limit` all are listed.",
)


class ListFilesQuery(PathMembers):
    """The folder or file to list. With `cursor` or `limit` the answer is a page. A `limit` of 0 counts as absent."""

    ref: AnyRef | None = None
    ephemeral: bool = False
    recursive: bool = True
    cursor: PathCursor | None = None
    limit: Annotated[int, _LIMIT] | None = None


class ListedFile(msgspec.Struct, kw_only=True, gc=False):
    """One entry. `type` is blob, tree, symlink or submodule.

    `path_base64` has the bytes of a name that is not UTF-8.
    """

    path: Name
    path_base64: Base64 | UnsetType = UNSET
    type: EntryType
    mode: FileMode


class FileList(msgspec.Struct):
    """A listing in Git's order. `paths` has the path of every entry but the trees."""

    paths: list[Name]
    entries: list[ListedFile]
    ref: Name
    has_more: bool
    next_cursor: Name | UnsetType = UNSET


class FileQuery(PathMembers):
    """The file at `ref`. `ephemeral_base` has no effect.

    A path is required. The one exception is a `ref` that is a tag of a file's own object, which has no path.
    """

    path: FilePath | None = None
    ref: AnyRef | None = None
    ephemeral: bool = False
    ephemeral_base: bool = False


async def handle_list(call: Call) -> Reply[FileList]:
    """GET …/files."""
    query = call.read_query(ListFilesQuery)
    paged = query.cursor is not None or bool(query.limit)
    count_max = None
    if paged:
        count_max = page_limit(
            query.limit or 0, default=limits.files_page_default, maximum=limits.files_page_max
        )
    command = ListFiles(
        call.caller.repo,
        ref=query.ref,
        ephemeral=query.ephemeral,
        path=read_folder(query),
        recursive=query.recursive,
        after=b"" if query.cursor is None else parse_path_cursor(query.cursor),
        count_max=count_max,
    )
    return await call.operate(then(list_files, _list_reply), command)


def _list_reply(listing: FileListing) -> Reply[FileList]:
    entries = [_list_entry(entry) for entry in listing.entries]
    paths = [entry.path for entry in entries if entry.type != "tree"]
    next_cursor = path_cursor(listing.entries[-1].path) if listing.has_more else UNSET
    answer = FileList(paths, entries, listing.ref, listing.has_more, next_cursor)
    return encode_reply(answer, is_by_id=listing.is_by_id)


def _list_entry(entry: PathEntry) -> ListedFile:
    path = entry.path
    return ListedFile(
        path=path_text(path), path_base64=encoded_path(path), type=entry.kind, mode=f"{entry.mode:06o}"
    )


async def handle_file(call: Call) -> Response:
    """GET and HEAD …/file."""
    query = call.read_query(FileQuery)
    if is_root(query) and query.ref is None:
        raise FieldMissing("path")
    # A ref may name a file's object, which has no paths.
    path = b"" if is_root(query) else read_file_path(query)
    command = OpenFile(call.caller.repo, path, query.ref, query.ephemeral)
    try:
        return await call.operate(then(open_file, partial(_file_answer, call)), command)
    except EmptyPath:
        raise FieldMissing("path") from None


def _file_answer(call: Call, file: OpenedFile) -> Response:
    decision = decide(
        call.wire.headers,
        entity_tag=file.blob,
        modified_at=file.touched_at,
        size_bytes=file.size_bytes,
    )
    if decision.verdict is Verdict.PRECONDITION_FAILED:
        raise FilePreconditionFailed(file.blob)
    if decision.verdict is Verdict.NOT_SATISFIABLE:
        raise RangeNotSatisfiable(file.size_bytes)
    headers = _file_headers(file)
    if decision.verdict is Verdict.NOT_MODIFIED:
        return Response(status_code=304, headers=headers)
    return _content_answer(call, file, decision, headers)


def _content_answer(call: Call, file: OpenedFile, decision: Decision, headers: dict[str, str]) -> Response:
    length = decision.end - decision.first
    headers["Content-Length"] = str(length)
    if decision.verdict is Verdict.SEND_PART:
        headers["Content-Range"] = f"bytes {decision.first}-{decision.end - 1}/{file.size_bytes}"
    status = decision.verdict.value
    media_type = "application/octet-stream"
    if call.wire.method == "HEAD" or length == 0:
        return Response(status_code=status, headers=headers, media_type=media_type)
    pieces = file.iter_bytes(first=decision.first, end=decision.end)
    if file.size_bytes <= limits.object_in_process_max_bytes:
        return Response(b"".join(pieces), status, headers, media_type)
    return StreamResponse(
        iter_in_threads(call, pieces), status, headers, media_type=media_type, size_bytes=length
    )


def _file_headers(file: OpenedFile) -> dict[str, str]:
    headers = {
        "ETag": f'"{file.blob}"',
        "Accept-Ranges": "bytes",
        "X-Blob-Sha": file.blob,
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": cache_control(is_by_id=file.is_by_id),
    }
    if file.touched_at is not None:
        headers["Last-Modified"] = format_http_date(file.touched_at)
    if file.last_commit is not None:
        headers["X-Last-Commit-Sha"] = file.last_commit
    return headers


ROUTES = (
    reading(
        "list_files",
        of_repo("files"),
        handle_list,
        Description("List files", query=ListFilesQuery),
    ),
    reading(
        "file",
        of_repo("file"),
        handle_file,
        Description(
            "Read a file, or with HEAD its metadata",
            query=FileQuery,
            reply_media="application/octet-stream",
            other_statuses=(206, 304),
            request_headers=FILE_CONDITIONS,
            reply_headers=FILE_REPLY,
            failures=(412, 416),
        ),
    ),
)
