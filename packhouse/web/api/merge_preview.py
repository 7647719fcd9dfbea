"""What a merge would do."""

from typing import Annotated, Any

import msgspec
from starlette.responses import Response

from packhouse.operations.commits.preview_merge import Conflict, ConflictBlob, MergePreview, preview_merge
from packhouse.web.call import Call
from packhouse.web.edge.responses import json_response
from packhouse.web.json.paths import path_list_members, path_members
from packhouse.web.json.types import AnyRef, Base64, BranchName, Name, Sha, always
from packhouse.web.openapi.description import Description
from packhouse.web.routing.dialects import without_nulls
from packhouse.web.routing.route import of_repo, reading

FILTERED_REASON = "max_conflict_files_exceeded"


class PreviewMergeQuery(msgspec.Struct):
    """What to merge into which branch; `include_content` asks for the contents of conflicted files."""

    source_ref: AnyRef
    target_branch: BranchName
    source_is_ephemeral: bool = False
    target_is_ephemeral: bool = False
    include_content: bool = False


class ConflictBlobFields(msgspec.Struct):
    """One side of a conflict; without `content` when it is binary or does not exist."""

    truncated: bool
    binary: bool
    oid: Sha | msgspec.UnsetType = msgspec.UNSET
    content: str | msgspec.UnsetType = msgspec.UNSET


class ConflictFields(msgspec.Struct):
    """A conflicted file: with markers, and as base, target and source have it.

    `result_path` is where git puts `result`, when that is not `path`: a file that stands where the other side has a
    folder goes to a temporary name.
    """

    path: Name
    result: ConflictBlobFields
    base: ConflictBlobFields
    ours: ConflictBlobFields
    theirs: ConflictBlobFields
    result_path: Name | msgspec.UnsetType = msgspec.UNSET
    path_base64: Base64 | msgspec.UnsetType = msgspec.UNSET
    result_path_base64: Base64 | msgspec.UnsetType = msgspec.UNSET


class FilteredConflict(msgspec.Struct):
    """A conflicted file whose contents are left out."""

    path: Name
    reason: Annotated[str, always(FILTERED_REASON)]
    path_base64: Base64 | msgspec.UnsetType = msgspec.UNSET


class MergePreviewAnswer(msgspec.Struct):
    """What a merge would do: `status` is clean or conflicted.

    `conflict_paths_base64` is there when one of the paths is no text, and has the bytes of all, place by place.
    """

    status: Annotated[str, always("clean", "conflicted")]
    result: Annotated[str, always("merge_commit", "fast_forward", "no_op")]
    source_branch: Name
    target_branch: Name
    source_tip_sha: Sha
    target_tip_sha: Sha
    conflict_paths: list[Name]
    conflicts: list[ConflictFields]
    filtered_conflicts: list[FilteredConflict]
    merge_base_sha: Sha | msgspec.UnsetType = msgspec.UNSET
    conflict_paths_base64: list[Base64] | msgspec.UnsetType = msgspec.UNSET


async def handle_preview(call: Call) -> Response:
    """GET …/merge/preview."""
    query = call.read_query(PreviewMergeQuery)
    preview = await call.search(
        preview_merge,
        call.caller.repo,
        source=query.source_ref,
        source_is_ephemeral=query.source_is_ephemeral,
        target=query.target_branch,
        target_is_ephemeral=query.target_is_ephemeral,
        include_content=query.include_content,
    )
    return await call.in_thread(_answer, preview, include_content=query.include_content)


def _answer(preview: MergePreview, *, include_content: bool) -> Response:
    omitted = preview.omitted_paths if include_content else []
    fields: dict[str, Any] = {
        "status": "clean" if preview.is_clean else "conflicted",
        "result": preview.result,
        "source_branch": preview.source,
        "target_branch": preview.target,
        "source_tip_sha": preview.source_tip,
        "target_tip_sha": preview.target_tip,
        "merge_base_sha": preview.merge_base,
        **path_list_members(preview.conflict_paths, "conflict_paths"),
        "conflicts": [_conflict_fields(conflict) for conflict in preview.conflicts],
        "filtered_conflicts": [{**path_members(path), "reason": FILTERED_REASON} for path in omitted],
    }
    return json_response(without_nulls(fields))


def _conflict_fields(conflict: Conflict) -> dict[str, Any]:
    # The merged file is no object of the repository: its id would lead nowhere.
    result = {name: value for name, value in _blob_fields(conflict.result).items() if name != "oid"}
    fields: dict[str, Any] = {
        **path_members(conflict.path),
        "result": result,
        "base": _blob_fields(conflict.base),
        "ours": _blob_fields(conflict.ours),
        "theirs": _blob_fields(conflict.theirs),
    }
    if conflict.merged_path != conflict.path:
        fields |= path_members(conflict.merged_path, "result_path")
    return fields


def _blob_fields(blob: ConflictBlob) -> dict[str, Any]:
    fields = {
        "oid": None if blob.is_binary else blob.oid,
        "content": None if blob.content is None else blob.content.decode("utf-8", "replace"),
        "truncated": blob.is_truncated,
        "binary": blob.is_binary,
    }
    return without_nulls(fields)


ROUTES = (
    reading(
        "preview_merge",
        of_repo("merge/preview"),
        handle_preview,
        Description(
            "Show what a merge would do",
            query=PreviewMergeQuery,
            reply=MergePreviewAnswer,
            failures=(409, 413),
        ),
    ),
)
