"""Storing the credential of a repository for its upstream."""

from dataclasses import dataclass

from packhouse.auth import Principal, RepoClaimMismatch
from packhouse.db import Repo, RepoNotFound, Session, insert_credential
from packhouse.errors import Code, Conflict
from packhouse.ids import new_public_id
from packhouse.node import Node
from packhouse.operations.sync.credentials import (
    CredentialInfo,
    check_password,
    check_username,
    find_owner,
    sealed_name,
)
from packhouse.secret import Secret


class CredentialExists(Conflict):
    """The repository has a credential already. Change that one."""

    code = Code.CREDENTIAL_EXISTS


@dataclass(frozen=True, slots=True)
class CreateCredential:
    """The credential to store. `repo` is the repository's name or its `repo_…` id; a repository of that name wins."""

    repo: str
    password: Secret
    username: str | None = None


def create_credential(node: Node, caller: Principal, command: CreateCredential) -> CredentialInfo:
    """Store the credential of a repository that has none. The repository need not follow an upstream yet.

    The token's claim may be the name or the id, and must mean the same repository. Raises Invalid, RepoNotFound,
    RepoClaimMismatch and CredentialExists.
    """
    username = check_username(command.username or "")
    check_password(command.password)
    credential_id = new_public_id("ggc", node.random_bytes)
    sealed = node.secret_keys.seal(command.password, bound_to=sealed_name(credential_id))
    now = node.clock()
    with node.database.write() as session:
        repo = find_owner(session, caller.org_id, command.repo)
        _check_claim(session, caller, repo)
        if repo is None:
            raise RepoNotFound(command.repo)
        inserted = insert_credential(
            session,
            credential_id=credential_id,
            org_id=caller.org_id,
            repo_id=repo.id,
            username=username,
            sealed_password=sealed.content,
            sealed_with=sealed.key_id,
            now=now,
        )
    if not inserted:
        raise CredentialExists()
    return CredentialInfo(credential_id, now)


def _check_claim(session: Session, caller: Principal, repo: Repo | None) -> None:
    claimed = find_owner(session, caller.org_id, caller.read_repo_claim())
    if claimed != repo:
        raise RepoClaimMismatch()
