"""Files with their sizes and the commits that last touched them."""

from dataclasses import replace
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, UnsetType

from packhouse import limits
from packhouse.clock import format_timestamp
from packhouse.operations.reading.list_file_metadata import (
    FileMetadataPage,
    LastCommitsUnknown,
    ListFileMetadata,
    list_file_metadata,
)
from packhouse.web.call import Call
from packhouse.web.json import (
    AnyRef,
    Base64,
    Count,
    EntryType,
    FileMode,
    Name,
    PathCursor,
    PathMembers,
    Sha,
    Timestamp,
    clamped,
    encoded_path,
    optional_page,
    page_limit,
    parse_path_cursor,
    path_cursor,
    read_folder,
)
from packhouse.web.openapi.description import Description
from packhouse.web.reply import Reply, encode_reply
from packhouse.web.routing.match import Dialect
from packhouse.web.routing.route import of_repo, reading

_LIMIT: Final = clamped(limits.metadata_page_max, default=limits.metadata_page_default)
_RELEASED_LIMIT: Final = optional_page(
    limits.metadata_page_max,
    default=limits.metadata_page_default,
    unpaged="Without `cursor` and `limit` all are listed.",
)


class ListFilesMetadataQuery(PathMembers):
    """The folder or file to list. `recursive` has no effect, since all files below a folder are listed."""

    ref: AnyRef | None = None
    ephemeral: bool = False
    recursive: bool = True
    cursor: PathCursor | None = None
    limit: Annotated[int, _LIMIT] | None = None


class ReleasedListFilesMetadataQuery(ListFilesMetadataQuery):
    """The folder or file to list. Only a caller that gives `cursor` or `limit` gets pages.

    `recursive` has no effect.
    """

    limit: Annotated[int, _RELEASED_LIMIT] | None = None


class FileMetadata(msgspec.Struct, gc=False):
    """One file. `size` is in bytes; a submodule has 0. `path_base64` has the bytes of a name that is not UTF-8."""

    path: Name
    mode: FileMode
    type: EntryType
    size: Count
    last_commit_sha: Sha
    path_base64: Base64 | UnsetType = UNSET


class LastCommitFields(msgspec.Struct):
    """One commit. `date` is that of the author."""

    author: str
    date: Timestamp
    message: str


class FileMetadataList(msgspec.Struct):
    """A listing in Git's order, with each commit that its files name."""

    files: list[FileMetadata]
    commits: dict[Sha, LastCommitFields]
    ref: Name
    has_more: bool
    next_cursor: Name | UnsetType = UNSET


async def handle_list(call: Call) -> Reply[FileMetadataList]:
    """GET …/files/metadata."""
    query = call.read_query(ListFilesMetadataQuery)
    paged = query.cursor is not None or bool(query.limit) or call.dialect is Dialect.PREFERRED
    count_max = None
    if paged:
        count_max = page_limit(
            query.limit or 0, default=limits.metadata_page_default, maximum=limits.metadata_page_max
        )
    command = ListFileMetadata(
        call.caller.repo,
        ref=query.ref,
        ephemeral=query.ephemeral,
        path=read_folder(query),
        after=b"" if query.cursor is None else parse_path_cursor(query.cursor),
        count_max=count_max,
        may_compute=False,
    )
    try:
        page = await call.operate(list_file_metadata, command)
    except LastCommitsUnknown:
        page = await call.search(list_file_metadata, replace(command, may_compute=True))
    return await call.in_thread(_reply, page)


def _reply(page: FileMetadataPage) -> Reply[FileMetadataList]:
    files = [
        FileMetadata(f.path, f.mode, f.kind, f.size_bytes, f.last_commit, encoded_path(path))
        for path, f in zip(page.paths, page.files, strict=True)
    ]
    commits: dict[str, LastCommitFields] = {
        oid: LastCommitFields(summary.author, format_timestamp(summary.authored_at), summary.message)
        for oid, summary in page.commits.items()
    }
    next_cursor = UNSET if page.last_path is None else path_cursor(page.last_path)
    answer = FileMetadataList(files, commits, page.ref, page.last_path is not None, next_cursor)
    return encode_reply(answer, is_by_id=page.is_by_id)


ROUTES = (
    reading(
        "list_files_metadata",
        of_repo("files/metadata"),
        handle_list,
        Description(
            "List files with their last commits",
            query=ListFilesMetadataQuery,
            released_query=ReleasedListFilesMetadataQuery,
        ),
    ),
)
