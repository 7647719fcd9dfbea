"""Creating a lightweight tag."""

from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.db import RefMismatch, RefUpdate
from packhouse.errors import Code, Conflict
from packhouse.git import PERSISTENT, RefName, check_new_name, short_name
from packhouse.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.refs.signed_updates import verify_introduced
from packhouse.operations.refs.tags import Tag
from packhouse.repository import Receipt, RefWriter, bind, open_view, resolve_ref


class TagExists(Conflict):
    """The repository has a tag of that name, wherever it points."""

    code = Code.TAG_EXISTS
    tag: str


@dataclass(frozen=True, slots=True)
class CreateTag:
    """The tag to create. `ref` is any ref input; the tag is put on the commit that it leads to."""

    repo: str
    refname: RefName
    ref: str


def create_tag(
    node: Node, caller: Principal, command: CreateTag, *, receipt: Receipt[Tag] | None = None
) -> Tag:
    """Create the tag and return it with its commit.

    Raises RepoNotFound, NewNameRefused, Invalid and RefNotFound for the ref, TagExists, RefNameConflict,
    PolicyDenied.
    """
    repo = lookup_repo(node, caller, command.repo)
    check_new_name(command.refname)
    with open_view(node, repo) as view:
        commit = resolve_ref(view, command.ref).commit
    tag = Tag(short_name(command.refname), commit)
    update = RefUpdate(PERSISTENT, command.refname, None, commit)
    writer = RefWriter(node, caller, repo, action="create-tag")
    allowed = writer.allow(
        update,
        is_fast_forward=lambda: True,
        signatures_verify=lambda: verify_introduced(node, caller, repo, update),
    )
    try:
        writer.move([allowed], receipt=bind(receipt, lambda: tag))
    except RefMismatch:
        raise TagExists(short_name(command.refname)) from None
    return tag
