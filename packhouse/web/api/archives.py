"""Archives of a tree: those of this API, and the download that CodeArts clients call."""

import contextlib
import re
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated, Final

import msgspec
from starlette.responses import Response

from packhouse import limits
from packhouse.auth import Scope
from packhouse.errors import Code, FieldInvalid, Invalid
from packhouse.formats import FORMATS, PathFilter, archive_prefix, compile_globs
from packhouse.git.objects import check_tree_path
from packhouse.node import ALL_REPOS
from packhouse.operations.reading.open_archive import OpenArchive, OpenedArchive, open_archive
from packhouse.operations.repos.read_numbered_repo import ReadNumberedRepo, read_numbered_repo
from packhouse.operations.tenants.find_static_reader import FindStaticReader, find_static_reader
from packhouse.web.admission.client_slot import slot_for_client
from packhouse.web.admission.slot import Slot
from packhouse.web.auth import TokenRequired, authenticate_token
from packhouse.web.call import Call
from packhouse.web.caller import Caller
from packhouse.web.edge.responses import StreamResponse
from packhouse.web.edge.streams import iter_in_threads
from packhouse.web.json import (
    AnyRef,
    Count,
    FileOrFolderPath,
    Globs,
    PathMembers,
    Verbatim,
    one_of,
    read_path,
    says,
)
from packhouse.web.openapi.description import Description
from packhouse.web.openapi.headers import ARCHIVE_REPLY
from packhouse.web.routing.route import Claim, ErrorStyle, Paths, of_repo, reading

_PARAMETER_MAX_CHARS: Final = 100_000
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")
_NAME_MAX_CHARS: Final = 150
_REPOSITORY_ID: Final = re.compile(r"0*([1-9][0-9]{0,9})")
_REPOSITORY_ID_MAX: Final = 2**31 - 1
_PREFIX: Final = says(
    maxLength=limits.archive_prefix_max_chars,
    **{"not": {"type": "string", "pattern": r"^/|\\|//|(^|/)\.{1,2}(/|$)"}},
)
_CODEARTS_PATH: Final = says(maxLength=_PARAMETER_MAX_CHARS, pattern=r"\S")


class ArchiveFormatUnknown(Invalid):
    """No archive has this format. `archive_format` is the start of the word."""

    code = Code.ARCHIVE_FORMAT_UNKNOWN
    archive_format: str


class RepositoryIdInvalid(Invalid):
    """The id of the repository is not a positive number of 31 bits, as CodeArts has them."""

    code = Code.REPOSITORY_ID_INVALID


class ParameterInvalid(Invalid):
    """A parameter has a value that it cannot have. This dialect does not say why."""

    code = Code.PARAMETER_INVALID
    field: str


class ArchiveLayout(msgspec.Struct):
    """How the archive is laid out; `prefix` is a folder that everything is put below."""

    prefix: Annotated[Verbatim, _PREFIX] | None = None


class ArchiveBody(msgspec.Struct):
    """What to archive; the default is all of the default branch."""

    ref: AnyRef | None = None
    include_globs: Globs | None = None
    exclude_globs: Globs | None = None
    max_blob_size: Count | None = None
    archive: ArchiveLayout | None = None


class CodeArtsQuery(PathMembers):
    """What to download: `sha` is a branch, tag or commit, `path` one file or folder."""

    sha: AnyRef | None = None
    path: Annotated[FileOrFolderPath, _CODEARTS_PATH] | None = None
    archive_format: Annotated[str, one_of(*FORMATS)] | None = None


async def handle_archive(call: Call) -> Response:
    """POST …/archive: a tar.gz of a ref."""
    body = await call.read_body(ArchiveBody)
    if body.max_blob_size is not None and body.max_blob_size < 0:
        raise FieldInvalid(field="max_blob_size", reason="must not be negative")
    prefix = body.archive.prefix if body.archive is not None else None
    command = OpenArchive(
        call.caller.repo,
        body.ref,
        files=PathFilter(
            include=compile_globs(body.include_globs or []), exclude=compile_globs(body.exclude_globs or [])
        ),
        blob_max_bytes=body.max_blob_size,
        prefix=archive_prefix(prefix or ""),
    )
    return await _send(call, command)


async def handle_codearts(call: Call) -> Response:
    """GET /v4/repositories/{repository_id}/repository/archive."""
    token = call.wire.headers.get("x-auth-token", "").strip()
    if not token or len(token) > _PARAMETER_MAX_CHARS:
        raise TokenRequired()
    static_reader = await call.in_thread(find_static_reader, call.node, FindStaticReader(token))
    principal = static_reader or await authenticate_token(call, token)
    call.principal = principal
    number = _parse_number(call.path_values["repository_id"])
    query = call.read_query(CodeArtsQuery)
    path = _read_path(call, query)
    archive_format = query.archive_format or "tar.gz"
    if archive_format not in FORMATS:
        raise ArchiveFormatUnknown(archive_format[:80])
    repo = await call.in_thread(read_numbered_repo, call.node, principal, ReadNumberedRepo(number))
    principal.require_scope(Scope.GIT_READ)
    if static_reader is None or static_reader.repo_claim != ALL_REPOS:
        principal.require_repo(repo.name)
    call.authorised = Caller(principal, repo.name)
    top = f"{_safe_name(repo.name.rpartition('/')[2])}-{_safe_name(query.sha or repo.default_branch)}/"
    return await _send(
        call,
        OpenArchive(repo.name, query.sha, format=archive_format, path=path, prefix=top.encode("ascii")),
    )


def _parse_number(text: str) -> int:
    match = _REPOSITORY_ID.fullmatch(text)
    if match is None or int(match[1]) > _REPOSITORY_ID_MAX:
        raise RepositoryIdInvalid()
    return int(match[1])


def _read_path(call: Call, query: CodeArtsQuery) -> bytes:
    """Return the path of the file or folder to archive, empty for the whole tree."""
    for name, text in (("path", query.path), ("path_base64", query.path_base64)):
        # Elsewhere a blank parameter is an absent one; here it is refused, rather than the whole tree sent.
        is_blank = not text.strip() if text is not None else name in call.wire.query_params
        if is_blank or len(text or "") > _PARAMETER_MAX_CHARS:
            raise ParameterInvalid(name)
    path = read_path(query)
    if path is None:
        return b""
    if len(path) > limits.tree_path_max_bytes:
        return path  # no tree has so long a path, so the answer is 404 and not 400
    return check_tree_path(path, deletes=True)


async def _send(call: Call, command: OpenArchive) -> Response:
    """Stream an archive while it is made.

    It counts as a git transfer until the last byte, or until the client leaves.
    """
    archive = await call.operate(open_archive, command)
    async with contextlib.AsyncExitStack() as stack:
        holder = (call.caller.principal.org_id, call.caller.repo)
        reads = call.admission.transfers.reads
        slot = await stack.enter_async_context(slot_for_client(call.wire, reads, holder))
        cleanup = stack.pop_all().aclose
    headers = {
        "Cache-Control": "no-store",
        "Content-Disposition": f'attachment; filename="{_file_name(command, archive)}"',
        "X-Content-Type-Options": "nosniff",
    }
    _make, media_type = FORMATS[command.format]
    pieces = _relay(iter_in_threads(call, archive.pieces), slot)
    return StreamResponse(pieces, 200, headers, media_type=media_type, cleanup=cleanup)


def _file_name(command: OpenArchive, archive: OpenedArchive) -> str:
    """Return `<repo>-<ref>.<format>`."""
    return f"{_safe_name(command.repo)}-{_safe_name(archive.ref)}.{command.format}"


def _safe_name(text: str) -> str:
    """Return `text` with everything but letters, digits, dots, dashes and underscores made a dash."""
    return _UNSAFE.sub("-", text)[:_NAME_MAX_CHARS].strip("-.") or "archive"


async def _relay(pieces: AsyncGenerator[bytes], slot: Slot) -> AsyncIterator[bytes]:
    """Yield the pieces. The slot is parked while the client takes none for long."""
    async with contextlib.aclosing(pieces):
        async for piece in pieces:
            async with slot.parked_for_client():
                yield piece


ROUTES = (
    reading(
        "archive",
        of_repo("archive"),
        handle_archive,
        Description(
            "Download a tree as tar.gz",
            body=ArchiveBody,
            reply_media="application/gzip",
            reply_headers=ARCHIVE_REPLY,
        ),
        method="POST",
    ),
    reading(
        "codearts_archive",
        Paths(preferred="/v4/repositories/{repository_id}/repository/archive"),
        handle_codearts,
        Description(
            "Download a tree in the manner of CodeArts Repo",
            query=CodeArtsQuery,
            reply_media="application/zip, application/gzip, application/x-bzip2, application/x-tar",
            reply_headers=ARCHIVE_REPLY,
        ),
        claim=Claim.HANDLER,
        errors=ErrorStyle.CODEARTS,
    ),
)
