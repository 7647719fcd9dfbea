"""Differences: of a commit, of a branch."""

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from starlette.responses import Response

from packhouse import limits
from packhouse.operations.reading.diff import (
    BranchDiff,
    CommitDiff,
    FileDiff,
    RefInput,
    diff_branch,
    diff_commit,
)
from packhouse.web.call import Call
from packhouse.web.edge.responses import StreamResponse, cacheable
from packhouse.web.edge.streams import iter_in_threads
from packhouse.web.json.paths import path_members, read_paths
from packhouse.web.json.types import (
    AnyRef,
    Base64,
    BranchName,
    Count,
    EncodedPath,
    FileOrFolderPath,
    Name,
    Sha,
    ShaOrBlank,
    always,
    says,
)
from packhouse.web.openapi.description import Description
from packhouse.web.routing.route import of_repo, reading

_PIECE_BYTES = 256 * limits.KIB
_MEMBERS_BYTES = 256  # about what a file's other members take
_Paths = Annotated[list[FileOrFolderPath], says(maxItems=limits.query_fields_max)]
_EncodedPaths = Annotated[list[EncodedPath], says(maxItems=limits.query_fields_max)]


class CommitDiffQuery(msgspec.Struct):
    """Which commit against which base, for showing or for `git apply`; paths may be repeated."""

    ref: AnyRef
    base_ref: AnyRef | None = None
    git_apply_compatible: bool = False
    ref_is_ephemeral: bool = False
    base_is_ephemeral: bool = False
    path: _Paths = []
    path_base64: _EncodedPaths = []


class BranchDiffQuery(msgspec.Struct):
    """Which branch against which, by default the default branch; paths may be repeated."""

    branch: BranchName
    base: BranchName | None = None
    ephemeral: bool = False
    ephemeral_base: bool = False
    path: _Paths = []
    path_base64: _EncodedPaths = []


class DiffStats(msgspec.Struct):
    """Counts over shown and filtered files together."""

    files: Count
    additions: Count
    deletions: Count
    changes: Count


class FilteredFile(msgspec.Struct, kw_only=True):
    """A changed file without its patch; `bytes` is what the patch, or the binary file, would take.

    `path_base64` and `old_path_base64` have the bytes of names that are no text.
    """

    path: Name
    state: Annotated[str, always("A", "M", "D", "R", "C", "T")]
    old_path: str
    bytes: Count
    is_eof: bool
    path_base64: Base64 | msgspec.UnsetType = msgspec.UNSET
    old_path_base64: Base64 | msgspec.UnsetType = msgspec.UNSET


class ShownFile(FilteredFile, kw_only=True):
    """A changed file; `bytes` is the length of `raw`, `state` one of A, M, D, R, C and T."""

    additions: Count
    deletions: Count
    raw: str


class CommitDiffAnswer(msgspec.Struct):
    """The changes of a commit."""

    sha: Sha
    base_sha: ShaOrBlank
    stats: DiffStats
    files: list[ShownFile]
    filtered_files: list[FilteredFile]
    merge_base_sha: ShaOrBlank | msgspec.UnsetType = msgspec.UNSET


class BranchDiffAnswer(msgspec.Struct):
    """The changes of a branch since it left its base."""

    branch: Name
    base: Name
    stats: DiffStats
    files: list[ShownFile]
    filtered_files: list[FilteredFile]
    merge_base_sha: Sha | msgspec.UnsetType = msgspec.UNSET


async def handle_commit_diff(call: Call) -> Response:
    """GET …/diff."""
    query = call.read_query(CommitDiffQuery)
    diff = await call.search(
        diff_commit,
        call.caller.repo,
        ref=RefInput(query.ref, query.ref_is_ephemeral),
        base=None if query.base_ref is None else RefInput(query.base_ref, query.base_is_ephemeral),
        applicable=query.git_apply_compatible,
        paths=read_paths(query.path, query.path_base64),
    )
    members = _commit_members(diff, named_base=query.base_ref is not None)
    return cacheable(_answer(call, members, diff.files), is_by_id=diff.is_by_id)


async def handle_branch_diff(call: Call) -> Response:
    """GET …/branches/diff."""
    query = call.read_query(BranchDiffQuery)
    diff = await call.search(
        diff_branch,
        call.caller.repo,
        branch=RefInput(query.branch, query.ephemeral),
        base=None if query.base is None else RefInput(query.base, query.ephemeral_base),
        base_is_ephemeral=query.ephemeral_base,
        paths=read_paths(query.path, query.path_base64),
    )
    return _answer(call, _branch_members(diff), diff.files)


def _commit_members(diff: CommitDiff, *, named_base: bool) -> dict[str, Any]:
    members: dict[str, Any] = {"sha": diff.commit, "base_sha": diff.base or ""}
    if not named_base:
        members["merge_base_sha"] = ""
    elif diff.merge_base is not None:
        members["merge_base_sha"] = diff.merge_base
    return members


def _branch_members(diff: BranchDiff) -> dict[str, Any]:
    members: dict[str, Any] = {"branch": diff.branch, "base": diff.base}
    if diff.merge_base is not None:
        members["merge_base_sha"] = diff.merge_base
    return members


def _answer(call: Call, members: dict[str, Any], files: list[FileDiff]) -> Response:
    """Return a large answer piece by piece: as text and as JSON, patches take several times their size."""
    if sum(len(file.raw or b"") + _MEMBERS_BYTES for file in files) <= _PIECE_BYTES:
        return Response(b"".join(_iter_answer(members, files)), media_type="application/json")
    pieces = _join_pieces(_iter_answer(members, files))
    return StreamResponse(iter_in_threads(call, pieces), media_type="application/json")


def _iter_answer(members: dict[str, Any], files: list[FileDiff]) -> Iterator[bytes]:
    encode = msgspec.json.encode
    shown = [file for file in files if file.raw is not None]
    filtered = [file for file in files if file.raw is None]
    additions, deletions = sum(f.additions for f in files), sum(f.deletions for f in files)
    members["stats"] = DiffStats(len(files), additions, deletions, additions + deletions)
    yield encode(members)[:-1] + b',"files":['
    for number, file in enumerate(shown):
        yield (b"," if number else b"") + encode(_shown_file(file))
    yield b'],"filtered_files":['
    for number, file in enumerate(filtered):
        yield (b"," if number else b"") + encode(FilteredFile(**_common(file), bytes=file.size_bytes))
    yield b"]}"


def _join_pieces(parts: Iterator[bytes]) -> Iterator[bytes]:
    waiting: list[bytes] = []
    size = 0
    for part in parts:
        waiting.append(part)
        size += len(part)
        if size >= _PIECE_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)


def _shown_file(file: FileDiff) -> ShownFile:
    raw = (file.raw or b"").decode("utf-8", "replace")
    return ShownFile(
        **_common(file),
        bytes=len(raw.encode("utf-8")),
        additions=file.additions,
        deletions=file.deletions,
        raw=raw,
    )


def _common(file: FileDiff) -> dict[str, Any]:
    entry = file.entry
    return {
        **path_members(entry.path),
        **path_members(entry.old_path, "old_path"),
        "state": entry.status,
        "is_eof": file.ends_with_newline,
    }


ROUTES = (
    reading(
        "commit_diff",
        of_repo("diff"),
        handle_commit_diff,
        Description(
            "Show what a commit changed", query=CommitDiffQuery, reply=CommitDiffAnswer, failures=(413,)
        ),
    ),
    reading(
        "branch_diff",
        of_repo("branches/diff"),
        handle_branch_diff,
        Description(
            "Show what a branch changed", query=BranchDiffQuery, reply=BranchDiffAnswer, failures=(413,)
        ),
    ),
)
