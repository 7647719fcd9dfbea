"""Diffs: the changes of a commit, and those of a branch."""

from collections.abc import Sequence
from typing import Annotated, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from packhouse import limits
from packhouse.operations.reading.file_diffs import FileDiff, RefInput
from packhouse.operations.reading.read_branch_diff import BranchDiff, ReadBranchDiff, read_branch_diff
from packhouse.operations.reading.read_commit_diff import CommitDiff, ReadCommitDiff, read_commit_diff
from packhouse.web.call import Call
from packhouse.web.edge.streams import iter_in_threads
from packhouse.web.json import (
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
    encoded_path,
    iter_pieces,
    path_text,
    read_paths,
    says,
)
from packhouse.web.openapi.description import Description
from packhouse.web.reply import Reply, encode_reply, or_unset
from packhouse.web.routing.route import of_repo, reading

_PIECE_BYTES = 256 * limits.KIB
_MEMBERS_BYTES = 256  # about what a file's other members take
_Paths = Annotated[list[FileOrFolderPath], says(maxItems=limits.query_fields_max)]
_EncodedPaths = Annotated[list[EncodedPath], says(maxItems=limits.query_fields_max)]


class CommitDiffQuery(msgspec.Struct):
    """The commit and the base to compare it with, for showing or for `git apply`. Paths may be repeated."""

    ref: AnyRef
    base_ref: AnyRef | None = None
    git_apply_compatible: bool = False
    ref_is_ephemeral: bool = False
    base_is_ephemeral: bool = False
    path: _Paths = []
    path_base64: _EncodedPaths = []


class BranchDiffQuery(msgspec.Struct):
    """The branch and the base to compare it with, by default the default branch. Paths may be repeated."""

    branch: BranchName
    base: BranchName | None = None
    ephemeral: bool = False
    ephemeral_base: bool = False
    path: _Paths = []
    path_base64: _EncodedPaths = []


class DiffStats(msgspec.Struct):
    """Counts of shown and filtered files together."""

    files: Count
    additions: Count
    deletions: Count
    changes: Count


class FilteredFile(msgspec.Struct, kw_only=True):
    """A changed file without its patch. `bytes` is the size of the patch, or of the file when it is binary.

    `path_base64` and `old_path_base64` have the bytes of names that are not UTF-8.
    """

    path: Name
    state: Annotated[str, always("A", "M", "D", "R", "C", "T")]
    old_path: str
    bytes: Count
    is_eof: bool
    path_base64: Base64 | UnsetType = UNSET
    old_path_base64: Base64 | UnsetType = UNSET


class ShownFile(FilteredFile, kw_only=True):
    """A changed file. `bytes` is the length of `raw`. `state` is one of A, M, D, R, C and T."""

    additions: Count
    deletions: Count
    raw: str


class CommitDiffAnswer(msgspec.Struct, kw_only=True):
    """The changes of a commit."""

    sha: Sha
    base_sha: ShaOrBlank
    merge_base_sha: ShaOrBlank | UnsetType = UNSET
    stats: DiffStats
    files: list[ShownFile]
    filtered_files: list[FilteredFile]


class BranchDiffAnswer(msgspec.Struct, kw_only=True):
    """The changes of a branch since it left its base."""

    branch: Name
    base: Name
    merge_base_sha: Sha | UnsetType = UNSET
    stats: DiffStats
    files: list[ShownFile]
    filtered_files: list[FilteredFile]


A = TypeVar("A", CommitDiffAnswer, BranchDiffAnswer)


async def handle_commit_diff(call: Call) -> Reply[CommitDiffAnswer]:
    """GET …/diff."""
    query = call.read_query(CommitDiffQuery)
    command = ReadCommitDiff(
        call.caller.repo,
        RefInput(query.ref, query.ref_is_ephemeral),
        base=None if query.base_ref is None else RefInput(query.base_ref, query.base_is_ephemeral),
        applicable=query.git_apply_compatible,
        paths=read_paths(query.path, query.path_base64),
    )
    diff = await call.search(read_commit_diff, command)
    return await call.in_thread(_commit_reply, call, diff, has_named_base=query.base_ref is not None)


async def handle_branch_diff(call: Call) -> Reply[BranchDiffAnswer]:
    """GET …/branches/diff."""
    query = call.read_query(BranchDiffQuery)
    command = ReadBranchDiff(
        call.caller.repo,
        RefInput(query.branch, query.ephemeral),
        base=None if query.base is None else RefInput(query.base, query.ephemeral_base),
        base_is_ephemeral=query.ephemeral_base,
        paths=read_paths(query.path, query.path_base64),
    )
    diff = await call.search(read_branch_diff, command)
    return await call.in_thread(_branch_reply, call, diff)


def _commit_reply(call: Call, diff: CommitDiff, *, has_named_base: bool) -> Reply[CommitDiffAnswer]:
    answer = CommitDiffAnswer(
        sha=diff.commit,
        base_sha=diff.base or "",
        merge_base_sha=or_unset(diff.merge_base) if has_named_base else "",
        stats=_count(diff.files),
        files=[],
        filtered_files=[],
    )
    return _with_files(call, answer, diff.files, is_by_id=diff.is_by_id)


def _branch_reply(call: Call, diff: BranchDiff) -> Reply[BranchDiffAnswer]:
    answer = BranchDiffAnswer(
        branch=diff.branch,
        base=diff.base,
        merge_base_sha=or_unset(diff.merge_base),
        stats=_count(diff.files),
        files=[],
        filtered_files=[],
    )
    return _with_files(call, answer, diff.files, is_by_id=False)


def _count(files: Sequence[FileDiff]) -> DiffStats:
    additions, deletions = sum(file.additions for file in files), sum(file.deletions for file in files)
    return DiffStats(len(files), additions, deletions, additions + deletions)


def _with_files(call: Call, answer: A, files: Sequence[FileDiff], *, is_by_id: bool) -> Reply[A]:
    """Return the reply with these files. The JSON of a large one is made in pieces, while it is sent.

    As text and as JSON, patches take several times their size.
    """
    shown = (_shown_file(file, file.raw) for file in files if file.raw is not None)
    filtered = (_filtered_file(file) for file in files if file.raw is None)
    if sum(len(file.raw or b"") + _MEMBERS_BYTES for file in files) <= _PIECE_BYTES:
        whole = msgspec.structs.replace(answer, files=list(shown), filtered_files=list(filtered))
        return encode_reply(whole, is_by_id=is_by_id)
    pieces = iter_pieces(answer, {"files": shown, "filtered_files": filtered}, piece_bytes=_PIECE_BYTES)
    return Reply(answer, is_by_id=is_by_id, pieces=iter_in_threads(call, pieces))


def _shown_file(file: FileDiff, patch: bytes) -> ShownFile:
    entry = file.entry
    raw = patch.decode("utf-8", "replace")
    return ShownFile(
        path=path_text(entry.path),
        state=entry.status,
        old_path=path_text(entry.old_path),
        bytes=len(raw.encode("utf-8")),
        is_eof=file.ends_with_newline,
        path_base64=encoded_path(entry.path),
        old_path_base64=encoded_path(entry.old_path),
        additions=file.additions,
        deletions=file.deletions,
        raw=raw,
    )


def _filtered_file(file: FileDiff) -> FilteredFile:
    entry = file.entry
    return FilteredFile(
        path=path_text(entry.path),
        state=entry.status,
        old_path=path_text(entry.old_path),
        bytes=file.size_bytes,
        is_eof=file.ends_with_newline,
        path_base64=encoded_path(entry.path),
        old_path_base64=encoded_path(entry.old_path),
    )


ROUTES = (
    reading(
        "commit_diff",
        of_repo("diff"),
        handle_commit_diff,
        Description("Show what a commit changed", query=CommitDiffQuery, failures=(413,)),
    ),
    reading(
        "branch_diff",
        of_repo("branches/diff"),
        handle_branch_diff,
        Description("Show what a branch changed", query=BranchDiffQuery, failures=(413,)),
    ),
)
