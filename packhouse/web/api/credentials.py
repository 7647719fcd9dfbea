"""Credentials for upstreams: create, change and delete them. No answer has a password."""

from collections.abc import Mapping
from typing import Annotated

import msgspec

from packhouse import limits
from packhouse.clock import format_timestamp
from packhouse.errors import FieldMissing
from packhouse.operations.sync.create_credential import CreateCredential, create_credential
from packhouse.operations.sync.credentials import CredentialInfo
from packhouse.operations.sync.delete_credential import DeleteCredential, delete_credential
from packhouse.operations.sync.update_credential import UpdateCredential, update_credential
from packhouse.secret import Secret
from packhouse.web.call import Call
from packhouse.web.json import Name, Timestamp, Verbatim, parse_object, says
from packhouse.web.openapi.description import Description
from packhouse.web.routing.match import Dialect
from packhouse.web.routing.route import Claim, Paths, changing

_Password = Annotated[Verbatim, says(minLength=1, maxLength=limits.credential_password_max_chars)]
_Username = Annotated[str, says(maxLength=limits.credential_username_max_chars)]


class CreateCredentialBody(msgspec.Struct, frozen=True, kw_only=True):
    """What the server sends to the upstream. `repo_id`, a repository's name or id, is for released paths."""

    password: _Password
    username: _Username | None = None
    repo_id: str | None = None


class ReleasedCreateCredentialBody(CreateCredentialBody, frozen=True, kw_only=True):
    """What the server sends to the upstream. Released paths need `repo_id`, the repository's name or id."""

    repo_id: str


class UpdateCredentialBody(msgspec.Struct, frozen=True, kw_only=True):
    """The new password. An absent `username` leaves the stored one as it is, and an empty one clears it."""

    password: _Password
    username: _Username | None = None


class UpdateNamedCredentialBody(UpdateCredentialBody, frozen=True, kw_only=True):
    """The id of the credential, and its new password. `username` is changed or cleared when it is there."""

    id: str


class DeleteCredentialBody(msgspec.Struct, frozen=True, kw_only=True):
    """The credential to delete."""

    id: str


class CredentialReply(msgspec.Struct, frozen=True, kw_only=True):
    """A stored credential."""

    id: Name
    created_at: Timestamp


async def handle_create(call: Call) -> CredentialReply:
    """POST …/git-credentials."""
    body = await call.read_body(CreateCredentialBody)
    repo = call.caller.repo
    if call.dialect is Dialect.RELEASED:
        if body.repo_id is None:
            raise FieldMissing("repo_id")
        repo = body.repo_id
    command = CreateCredential(repo=repo, password=Secret(body.password), username=body.username)
    return _reply(await call.operate(create_credential, command))


async def handle_update(call: Call) -> CredentialReply:
    """PUT …/git-credentials/{id}."""
    raw = await call.read_members(UpdateCredentialBody)
    body = parse_object(raw, UpdateCredentialBody, where="update_git_credential")
    command = UpdateCredential(
        call.path_values["id"], Secret(body.password), _given_username(raw, body), call.caller.repo
    )
    return _reply(await call.operate(update_credential, command))


async def handle_update_named(call: Call) -> CredentialReply:
    """PUT …/git-credentials with the id in the body."""
    raw = await call.read_members(UpdateNamedCredentialBody)
    body = parse_object(raw, UpdateNamedCredentialBody, where="update_git_credential")
    command = UpdateCredential(body.id, Secret(body.password), _given_username(raw, body))
    return _reply(await call.operate(update_credential, command))


async def handle_delete(call: Call) -> None:
    """DELETE …/git-credentials/{id}; a body is ignored."""
    await call.operate(delete_credential, DeleteCredential(call.path_values["id"], call.caller.repo))


async def handle_delete_named(call: Call) -> None:
    """DELETE …/git-credentials with the id in the body."""
    body = await call.read_body(DeleteCredentialBody)
    await call.operate(delete_credential, DeleteCredential(body.id))


def _given_username(raw: Mapping[str, object], body: UpdateCredentialBody) -> str | None:
    """Return the user name to store, or "" to clear it. In this member alone a blank text is not absence."""
    given = raw.get("username")
    return "" if isinstance(given, str) and not given.strip() else body.username


def _reply(credential: CredentialInfo) -> CredentialReply:
    return CredentialReply(id=credential.credential_id, created_at=format_timestamp(credential.created_at))


_RELEASED = "/api/v1/repos/git-credentials"
_PREFERRED = "/api/repos/{repo}/git-credentials"

ROUTES = (
    changing(
        "create_git_credential",
        Paths(released=_RELEASED, preferred=_PREFERRED),
        handle_create,
        Description(
            "Store the credential of a repository for its upstream",
            body=CreateCredentialBody,
            released_body=ReleasedCreateCredentialBody,
            status=201,
            failures=(409,),
        ),
    ),
    changing(
        "update_git_credential",
        Paths(preferred=_PREFERRED + "/{id}"),
        handle_update,
        Description("Change a credential", body=UpdateCredentialBody, failures=(404,)),
        method="PUT",
    ),
    changing(
        "update_git_credential_named_in_body",
        Paths(released=_RELEASED),
        handle_update_named,
        Description(
            "Change a credential named in the body",
            body=UpdateNamedCredentialBody,
            failures=(404,),
        ),
        method="PUT",
        claim=Claim.ORG,
    ),
    changing(
        "delete_git_credential",
        Paths(preferred=_PREFERRED + "/{id}"),
        handle_delete,
        Description("Delete a credential", status=204, failures=(404,)),
        method="DELETE",
    ),
    changing(
        "delete_git_credential_named_in_body",
        Paths(released=_RELEASED),
        handle_delete_named,
        Description(
            "Delete a credential named in the body", body=DeleteCredentialBody, status=204, failures=(404,)
        ),
        method="DELETE",
        claim=Claim.ORG,
    ),
)
