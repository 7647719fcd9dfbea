"""Credentials for upstreams: stored sealed, never shown again."""

from dataclasses import dataclass

from packhouse import limits
from packhouse.auth import ORGANISATION_CLAIM, Principal
from packhouse.db import (
    GitCredential,
    Repo,
    Session,
    find_credential,
    find_repo,
    find_repo_by_public_id,
    is_storable,
)
from packhouse.errors import Code, FieldInvalid, FieldMissing, NotFound
from packhouse.secret import Secret


class CredentialNotFound(NotFound):
    """There is no such credential, or it belongs to another organisation or repository."""

    code = Code.CREDENTIAL_NOT_FOUND
    credential: str


@dataclass(frozen=True, slots=True)
class CredentialInfo:
    """The facts that callers see about a credential. `created_at` is in seconds since 1970."""

    credential_id: str
    created_at: int


def sealed_name(credential_id: str) -> str:
    """Return the text to which a sealed password is bound, so that it cannot be unsealed for another row."""
    return f"git_credentials {credential_id}"


def find_owner(session: Session, org_id: int, name_or_id: str) -> Repo | None:
    """Return the organisation's repository with that name, or else with that public id; None when there is none."""
    repo = find_repo(session, org_id, name_or_id) or find_repo_by_public_id(session, name_or_id)
    if repo is None or repo.org_id != org_id or repo.deleted_at is not None:
        return None
    return repo


def read_own_credential(
    session: Session, caller: Principal, credential_id: str, *, repo: str | None
) -> GitCredential:
    """Return a credential of the caller's organisation, and of the repository that its token is limited to.

    With `repo` it must belong to that repository. Raises CredentialNotFound.
    """
    stored = find_credential(session, caller.org_id, credential_id)
    claim = caller.repo_claim
    narrowed = repo or (claim if claim != ORGANISATION_CLAIM else None)
    if stored is not None and narrowed is not None:
        owner = find_owner(session, caller.org_id, narrowed)
        stored = stored if owner is not None and owner.id == stored.repo_id else None
    if stored is None:
        raise CredentialNotFound(credential_id[:100])
    return stored


def check_username(username: str) -> str:
    """Return the user name, which may be empty; raise Invalid."""
    if len(username) > limits.credential_username_max_chars or not _is_one_line(username):
        raise FieldInvalid(field="username", reason="too long, or not one line of text")
    return username


def check_password(password: Secret) -> None:
    """Raise Invalid for a password that is empty or cannot be handed to git."""
    text = password.reveal()
    if not text:
        raise FieldMissing("password")
    if len(text) > limits.credential_password_max_chars or not _is_one_line(text):
        raise FieldInvalid(field="password", reason="too long, or not one line of text")


def _is_one_line(text: str) -> bool:
    """Tell whether the text is one line, since git passes credentials in lines (git-credential(1))."""
    return is_storable(text) and "\n" not in text and "\r" not in text
