"""Merge previews: the result of a merge, without a change."""

from dataclasses import replace
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from packhouse.operations.commits.preview_merge import (
    Conflict,
    ConflictBlob,
    MergePreview,
    PreviewMerge,
    preview_merge,
)
from packhouse.web.api.merge import RESULT_WORDS
from packhouse.web.call import Call
from packhouse.web.json import (
    AnyRef,
    Base64,
    BranchName,
    Name,
    Sha,
    always,
    encoded_path,
    encoded_paths,
    path_text,
)
from packhouse.web.openapi.description import Description
from packhouse.web.reply import Reply, encode_reply, or_unset
from packhouse.web.routing.route import of_repo, reading

FILTERED_REASON = "max_conflict_files_exceeded"


class PreviewMergeQuery(msgspec.Struct):
    """The ref to merge and the branch to merge it into. `include_content` asks for the contents of conflicted files."""

    source_ref: AnyRef
    target_branch: BranchName
    source_is_ephemeral: bool = False
    target_is_ephemeral: bool = False
    include_content: bool = False


class ConflictBlobFields(msgspec.Struct, kw_only=True):
    """One side of a conflict. `content` is absent when the side is binary or does not exist."""

    oid: Sha | UnsetType = UNSET
    content: str | UnsetType = UNSET
    truncated: bool
    binary: bool


class ConflictFields(msgspec.Struct, kw_only=True):
    """A conflicted file: with markers in `result`, and as base, target and source have it.

    `result_path` is where git puts `result`, when that is another path. A file that stands where the other side has a
    folder goes to a temporary name.
    """

    path: Name
    path_base64: Base64 | UnsetType = UNSET
    result: ConflictBlobFields
    base: ConflictBlobFields
    ours: ConflictBlobFields
    theirs: ConflictBlobFields
    result_path: Name | UnsetType = UNSET
    result_path_base64: Base64 | UnsetType = UNSET


class FilteredConflict(msgspec.Struct, kw_only=True):
    """A conflicted file whose contents are left out."""

    path: Name
    path_base64: Base64 | UnsetType = UNSET
    reason: Annotated[str, always(FILTERED_REASON)]


class MergePreviewAnswer(msgspec.Struct, kw_only=True):
    """What a merge would do. `status` is clean or conflicted.

    `conflict_paths_base64` is there when one of the paths is no text. It has the bytes of all paths, place by place.
    """

    status: Annotated[str, always("clean", "conflicted")]
    result: Annotated[str, always("merge_commit", "fast_forward", "no_op")]
    source_branch: Name
    target_branch: Name
    source_tip_sha: Sha
    target_tip_sha: Sha
    merge_base_sha: Sha | UnsetType = UNSET
    conflict_paths: list[Name]
    conflict_paths_base64: list[Base64] | UnsetType = UNSET
    conflicts: list[ConflictFields]
    filtered_conflicts: list[FilteredConflict]


async def handle_preview(call: Call) -> Reply[MergePreviewAnswer]:
    """GET …/merge/preview."""
    query = call.read_query(PreviewMergeQuery)
    command = PreviewMerge(
        repo=call.caller.repo,
        source=query.source_ref,
        source_is_ephemeral=query.source_is_ephemeral,
        target=query.target_branch,
        target_is_ephemeral=query.target_is_ephemeral,
        include_content=query.include_content,
    )
    preview = await call.search(preview_merge, command)
    return await call.in_thread(_reply, preview, include_content=query.include_content)


def _reply(preview: MergePreview, *, include_content: bool) -> Reply[MergePreviewAnswer]:
    paths = preview.conflict_paths
    answer = MergePreviewAnswer(
        status="clean" if preview.is_clean else "conflicted",
        result=RESULT_WORDS[preview.result],
        source_branch=preview.source,
        target_branch=preview.target,
        source_tip_sha=preview.source_tip,
        target_tip_sha=preview.target_tip,
        merge_base_sha=or_unset(preview.merge_base),
        conflict_paths=[path_text(path) for path in paths],
        conflict_paths_base64=encoded_paths(paths),
        conflicts=[_conflict_fields(conflict) for conflict in preview.conflicts],
        filtered_conflicts=[
            FilteredConflict(path=path_text(path), path_base64=encoded_path(path), reason=FILTERED_REASON)
            for path in (preview.omitted_paths if include_content else [])
        ],
    )
    return encode_reply(answer)


def _conflict_fields(conflict: Conflict) -> ConflictFields:
    # The merged file is no object of the repository: its id would lead nowhere.
    fields = ConflictFields(
        path=path_text(conflict.path),
        path_base64=encoded_path(conflict.path),
        result=_blob_fields(replace(conflict.result, oid=None)),
        base=_blob_fields(conflict.base),
        ours=_blob_fields(conflict.ours),
        theirs=_blob_fields(conflict.theirs),
    )
    if conflict.merged_path != conflict.path:
        fields.result_path = path_text(conflict.merged_path)
        fields.result_path_base64 = encoded_path(conflict.merged_path)
    return fields


def _blob_fields(blob: ConflictBlob) -> ConflictBlobFields:
    return ConflictBlobFields(
        oid=UNSET if blob.is_binary else or_unset(blob.oid),
        content=UNSET if blob.content is None else blob.content.decode("utf-8", "replace"),
        truncated=blob.is_truncated,
        binary=blob.is_binary,
    )


ROUTES = (
    reading(
        "preview_merge",
        of_repo("merge/preview"),
        handle_preview,
        Description(
            "Show what a merge would do",
            query=PreviewMergeQuery,
            failures=(409, 413),
        ),
    ),
)
