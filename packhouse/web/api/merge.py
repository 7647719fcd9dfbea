"""Merging into a branch."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from packhouse.errors import Code, Invalid
from packhouse.git import EPHEMERAL, PERSISTENT, branch_refname, short_name
from packhouse.git.objects import clean_message
from packhouse.operations.commits.merge import Merge, Merged, MergeResult, MergeStrategy, merge
from packhouse.web.api.commits import PersonFields, read_person
from packhouse.web.call import Call
from packhouse.web.json import (
    OLD_NAME,
    AnyRef,
    Base64,
    BranchName,
    Count,
    Guard,
    Name,
    Sha,
    WithOldNames,
    always,
    old_name_of,
    one_of,
)
from packhouse.web.openapi.description import Description
from packhouse.web.prepared_write import BranchWrite
from packhouse.web.reply import or_unset
from packhouse.web.routing.route import of_repo, writing_branch

ResultWord = Literal["merge_commit", "fast_forward", "no_op", "squash"]

RESULT_WORDS: Final[Mapping[MergeResult, ResultWord]] = {
    MergeResult.MERGE_COMMIT: "merge_commit",
    MergeResult.FAST_FORWARD: "fast_forward",
    MergeResult.NO_OP: "no_op",
    MergeResult.SQUASH: "squash",
}
"""The member `result` of a merge and of its preview."""

_FF_ONLY: Final = "ff_only"
_STRATEGIES: Final[Mapping[str, MergeStrategy]] = {
    "merge": MergeStrategy.MERGE,
    _FF_ONLY: MergeStrategy.FF_ONLY,
    "ff_prefer": MergeStrategy.FF_PREFER,
}


class MergeStrategyUnknown(Invalid):
    """No merge has this strategy. `strategy` is the start of the word."""

    code = Code.MERGE_STRATEGY_UNKNOWN
    strategy: str


class SquashForbidden(Invalid):
    """The request asks for a squash, which makes a commit, and forbids commits with `ff_only`."""

    code = Code.SQUASH_FORBIDDEN
    field: str


class MergeBody(msgspec.Struct):
    """The ref to merge, the branch to merge it into, and how. `source_branch` is the old name of `source_ref`.

    `strategy` is `merge`, `ff_only` or `ff_prefer`.
    """

    source_ref: AnyRef
    target_branch: BranchName
    strategy: Annotated[str, one_of(*_STRATEGIES)]
    source_is_ephemeral: bool = False
    target_is_ephemeral: bool = False
    expected_target_sha: Guard | None = None
    commit_message: str | None = None
    author: PersonFields | None = None
    committer: PersonFields | None = None
    allow_unrelated_histories: bool = False
    squash: bool = False


class MergeSourceFields(WithOldNames, frozen=True):
    """What was merged; `branch` is the old name of `ref`."""

    ref: Name
    ephemeral: bool
    sha: Sha
    branch: Annotated[Name, old_name_of("ref")] = OLD_NAME


class MergeTargetFields(msgspec.Struct):
    """The target branch, before and after the merge."""

    branch: Name
    ephemeral: bool
    old_sha: Sha
    new_sha: Sha


class MergeAnswer(msgspec.Struct, kw_only=True):
    """What the merge did; `promoted_commits` counts what the target gained from the source."""

    result: ResultWord
    commit_sha: Sha
    tree_sha: Sha
    source: MergeSourceFields
    target: MergeTargetFields
    merge_base_sha: Sha | UnsetType = UNSET
    promoted_commits: Count


class MergeProblem(msgspec.Struct):
    """The members that a 409 of a merge adds to the problem.

    All but `conflict_type` come with a conflict of files only.

    `conflict_paths_base64` is there when one of the paths is no text. It has the bytes of all paths, place by place.
    """

    conflict_type: Annotated[str, always("merge_conflict", "target_moved", "repo_changed")] | UnsetType = (
        UNSET
    )
    conflict_paths: list[Name] | UnsetType = UNSET
    merge_base_sha: Sha | UnsetType = UNSET
    conflict_paths_base64: list[Base64] | UnsetType = UNSET


async def handle_merge(call: Call) -> BranchWrite[MergeAnswer]:
    """POST …/merge."""
    body = await call.read_body(MergeBody)
    command = _read_command(call, body)
    return call.prepare_branch_write(
        merge,
        command,
        lambda merged: _answer(command, merged),
        namespace=EPHEMERAL if command.target_is_ephemeral else PERSISTENT,
        refname=command.target,
    )


def _read_command(call: Call, body: MergeBody) -> Merge:
    """Return the body as a command; raise Invalid for members that do not go together."""
    strategy = _STRATEGIES.get(body.strategy)
    if strategy is None:
        raise MergeStrategyUnknown(body.strategy[:80])
    if body.squash and strategy is MergeStrategy.FF_ONLY:
        raise SquashForbidden("squash")
    now = call.node.clock()
    author = None if body.author is None else read_person(body.author, now=now)
    return Merge(
        repo=call.caller.repo,
        source=body.source_ref,
        source_is_ephemeral=body.source_is_ephemeral,
        target=branch_refname(body.target_branch),
        target_is_ephemeral=body.target_is_ephemeral,
        strategy=strategy,
        expected=body.expected_target_sha,
        message=None if body.commit_message is None else clean_message(body.commit_message),
        author=author,
        committer=None if body.committer is None else read_person(body.committer, now=now),
        allow_unrelated=body.allow_unrelated_histories,
        squash=body.squash,
    )


def _answer(command: Merge, merged: Merged) -> MergeAnswer:
    return MergeAnswer(
        result=RESULT_WORDS[merged.result],
        commit_sha=merged.commit,
        tree_sha=merged.tree,
        source=MergeSourceFields(
            ref=merged.source.label, ephemeral=command.source_is_ephemeral, sha=merged.source.commit
        ),
        target=MergeTargetFields(
            branch=short_name(command.target),
            ephemeral=command.target_is_ephemeral,
            old_sha=merged.old_oid,
            new_sha=merged.commit,
        ),
        merge_base_sha=or_unset(merged.merge_base),
        promoted_commits=merged.promoted,
    )


_SQUASH_MAKES_A_COMMIT: Final = {
    "not": {
        "required": ["squash", "strategy"],
        "properties": {
            "squash": {"const": True},
            "strategy": {"type": "string", "pattern": rf"^\s*{_FF_ONLY}\s*$"},
        },
    }
}

ROUTES = (
    writing_branch(
        "merge",
        of_repo("merge"),
        handle_merge,
        Description(
            "Merge into a branch",
            body=MergeBody,
            body_rules=(_SQUASH_MAKES_A_COMMIT,),
            failures=(409, 413),
            failure_members=MergeProblem,
        ),
    ),
)
