"""Branches: list, get, create, promote and delete."""

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from packhouse.clock import format_timestamp
from packhouse.errors import FieldMissing
from packhouse.git import branch_refname, exact_branch_refname, short_name
from packhouse.operations.refs.create_branch import CreateBranch, create_branch
from packhouse.operations.refs.delete_branch import DeleteBranch, delete_branch
from packhouse.operations.refs.list_branches import ListBranches, list_branches
from packhouse.operations.refs.read_branch import ReadBranch, read_branch
from packhouse.web.call import Call
from packhouse.web.json import (
    OLD_NAME,
    AnyRef,
    BranchName,
    EncodedCursor,
    Name,
    PageLimit,
    PlainBranchName,
    Sha,
    Timestamp,
    WithOldNames,
    needs,
    old_name_of,
    page_limit,
)
from packhouse.web.openapi.description import Description
from packhouse.web.prepared_write import PreparedWrite
from packhouse.web.routing.route import of_repo, reading, writing


class ListBranchesQuery(msgspec.Struct):
    """The namespace, and the page to return."""

    cursor: EncodedCursor | None = None
    limit: PageLimit = 0
    ephemeral: bool = False


class GetBranchQuery(msgspec.Struct):
    """The exact name, without `refs/heads/`."""

    name: PlainBranchName
    ephemeral: bool = False


class BranchFields(msgspec.Struct):
    """One branch; `created_at` is when this server first saw it."""

    name: Name
    head_sha: Sha
    created_at: Timestamp


class ListedBranch(msgspec.Struct):
    """One branch of a page."""

    cursor: Name
    name: Name
    head_sha: Sha
    created_at: Timestamp


class BranchList(msgspec.Struct):
    """A page of branches, in the order of creation."""

    branches: list[ListedBranch]
    has_more: bool
    next_cursor: Name | UnsetType = UNSET


class BranchAnswer(msgspec.Struct):
    """One branch."""

    branch: BranchFields


class CreateBranchBody(msgspec.Struct):
    """The branch, and the ref that it is put on.

    `base_branch` is the old form of `base_ref` and names a branch only.
    """

    target_branch: BranchName
    base_ref: AnyRef | None = None
    base_branch: Annotated[BranchName, old_name_of("base_ref")] | None = None
    base_is_ephemeral: bool = False
    target_is_ephemeral: bool = False
    force: bool = False


class CreatedBranch(msgspec.Struct):
    """Where the branch is now."""

    message: Name
    target_branch: Name
    target_is_ephemeral: bool
    commit_sha: Sha


class DeleteBranchBody(msgspec.Struct):
    """The branch to delete. The default branch can be deleted in the ephemeral namespace only."""

    target_branch: PlainBranchName
    ephemeral: bool = False


class DeletedBranch(WithOldNames, frozen=True):
    """The branch that is gone, under its new and its old member."""

    target_branch: Name
    message: Name
    ephemeral: bool
    name: Annotated[Name, old_name_of("target_branch")] = OLD_NAME


async def handle_list(call: Call) -> BranchList:
    """GET …/branches."""
    query = call.read_query(ListBranchesQuery)
    page = await call.operate(
        list_branches,
        ListBranches(call.caller.repo, query.ephemeral, query.cursor, page_limit(query.limit)),
    )
    branches = [
        ListedBranch(cursor, branch.name, branch.head, format_timestamp(branch.created_at))
        for branch, cursor in page.branches
    ]
    return BranchList(branches, page.has_more, branches[-1].cursor if page.has_more else UNSET)


async def handle_get(call: Call) -> BranchAnswer:
    """GET …/branch."""
    query = call.read_query(GetBranchQuery)
    branch = await call.operate(
        read_branch, ReadBranch(call.caller.repo, exact_branch_refname(query.name), query.ephemeral)
    )
    return BranchAnswer(BranchFields(branch.name, branch.head, format_timestamp(branch.created_at)))


async def handle_create(call: Call) -> PreparedWrite[CreatedBranch]:
    """POST …/branches/create."""
    body = await call.read_body(CreateBranchBody)
    if body.base_ref is None and body.base_branch is None:
        raise FieldMissing("base_ref")
    command = CreateBranch(
        repo=call.caller.repo,
        refname=branch_refname(body.target_branch),
        ephemeral=body.target_is_ephemeral,
        base_ref=body.base_ref,
        base_refname=None if body.base_branch is None else branch_refname(body.base_branch),
        base_is_ephemeral=body.base_is_ephemeral,
        force=body.force,
    )
    return call.prepare_write(
        create_branch,
        command,
        lambda branch: CreatedBranch(
            message="branch created",
            target_branch=short_name(branch.refname),
            target_is_ephemeral=branch.ephemeral,
            commit_sha=branch.tip,
        ),
    )


async def handle_delete(call: Call) -> PreparedWrite[DeletedBranch]:
    """DELETE …/branches."""
    body = await call.read_body(DeleteBranchBody)
    refname = exact_branch_refname(body.target_branch)
    command = DeleteBranch(call.caller.repo, refname, body.ephemeral)
    reply = DeletedBranch(short_name(refname), "branch deleted", body.ephemeral)
    return call.prepare_write(delete_branch, command, lambda _: reply)


ROUTES = (
    reading(
        "list_branches",
        of_repo("branches"),
        handle_list,
        Description("List branches", query=ListBranchesQuery),
    ),
    reading(
        "get_branch",
        of_repo("branch"),
        handle_get,
        Description("Get a branch by name", query=GetBranchQuery),
    ),
    writing(
        "create_branch",
        of_repo("branches/create"),
        handle_create,
        Description(
            "Create a branch, or promote an ephemeral one",
            body=CreateBranchBody,
            body_rules=(needs("base_ref", "base_branch"),),
            failures=(409,),
        ),
    ),
    writing(
        "delete_branch",
        of_repo("branches"),
        handle_delete,
        Description("Delete a branch", body=DeleteBranchBody, failures=(409,)),
        method="DELETE",
    ),
)
