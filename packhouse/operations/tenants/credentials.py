"""Credentials for upstreams: stored sealed, never shown again."""

from dataclasses import dataclass, field

from packhouse import limits
from packhouse.auth.principal import ORGANISATION_CLAIM, Principal, RepoClaimMismatch
from packhouse.auth.sealing import Sealed
from packhouse.db import credentials as rows
from packhouse.db.credentials import GitCredential
from packhouse.db.repos import Repo, RepoNotFound, find_repo, find_repo_by_public_id
from packhouse.db.session import Session
from packhouse.db.text import is_storable
from packhouse.errors import Conflict, Invalid, NotFound
from packhouse.ids import RepoKey, new_public_id
from packhouse.node.node import Node
from packhouse.secret import Secret


class CredentialExists(Conflict):
    """The repository has a credential already: change that one."""

    def __init__(self) -> None:
        super().__init__("repository has a credential already")


class CredentialNotFound(NotFound):
    """There is no such credential, or it belongs to somebody else."""

    def __init__(self, credential_id: str) -> None:
        super().__init__("credential not found", credential=credential_id[:100])


@dataclass(frozen=True, slots=True)
class CreateCredential:
    """`repo` is the repository's name or, from released clients, its `repo_…` id; the name counts first."""

    repo: str
    password: Secret
    username: str | None = None


@dataclass(frozen=True, slots=True)
class UpdateCredential:
    """`username` None keeps the old one, "" clears it. With `repo` the credential must be that one's."""

    credential_id: str
    password: Secret
    username: str | None = None
    repo: str | None = None


@dataclass(frozen=True, slots=True)
class CredentialInfo:
    """What is told of a credential."""

    credential_id: str
    created_at: int


@dataclass(frozen=True, slots=True)
class OpenCredential:
    """A credential as it is handed to an upstream. An empty `username` leaves it to the provider's rule."""

    username: str
    password: Secret = field(repr=False)


def create_credential(node: Node, caller: Principal, command: CreateCredential) -> CredentialInfo:
    """Store the credential of a repository that has none; it need not follow an upstream yet.

    The token's claim may be the name or the id, and must denote the same repository. Raises Invalid,
    RepoNotFound, RepoClaimMismatch and CredentialExists.
    """
    username = _check_username(command.username or "")
    _check_password(command.password)
    credential_id = new_public_id("ggc", node.random_bytes)
    sealed = node.secret_keys.seal(command.password, bound_to=_row_name(credential_id))
    now = node.clock()
    with node.database.write() as session:
        repo = _find_named(session, caller.org_id, command.repo)
        _check_claim(session, caller, repo)
        if repo is None:
            raise RepoNotFound(command.repo)
        inserted = rows.insert_credential(
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


def update_credential(node: Node, caller: Principal, command: UpdateCredential) -> CredentialInfo:
    """Replace password and, unless it is None, user name. Raises Invalid and CredentialNotFound."""
    username = None if command.username is None else _check_username(command.username)
    _check_password(command.password)
    sealed = node.secret_keys.seal(command.password, bound_to=_row_name(command.credential_id))
    with node.database.write() as session:
        stored = _find_own(session, caller, command.credential_id, command.repo)
        rows.update_credential(
            session,
            stored.id,
            username=stored.username if username is None else username,
            sealed_password=sealed.content,
            sealed_with=sealed.key_id,
            now=node.clock(),
        )
    return CredentialInfo(stored.credential_id, stored.created_at)


def delete_credential(node: Node, caller: Principal, credential_id: str, repo: str | None = None) -> None:
    """Delete a credential; with `repo` it must be that one's. Raises CredentialNotFound."""
    with node.database.write() as session:
        rows.delete_credential(session, _find_own(session, caller, credential_id, repo).id)


def open_credential(node: Node, repo_id: RepoKey) -> OpenCredential | None:
    """Return the credential of a repository for use with its upstream; None when it has none.

    Raises SealBroken when its key is missing.
    """
    with node.database.read() as session:
        stored = rows.find_credential_of_repo(session, repo_id)
    if stored is None:
        return None
    sealed = Sealed(stored.sealed_password, stored.sealed_with)
    password = node.secret_keys.unseal(sealed, bound_to=_row_name(stored.credential_id))
    return OpenCredential(stored.username, password)


def _row_name(credential_id: str) -> str:
    return f"git_credentials {credential_id}"


def _find_named(session: Session, org_id: int, name_or_id: str) -> Repo | None:
    repo = find_repo(session, org_id, name_or_id) or find_repo_by_public_id(session, name_or_id)
    if repo is None or repo.org_id != org_id or repo.deleted_at is not None:
        return None
    return repo


def _check_claim(session: Session, caller: Principal, repo: Repo | None) -> None:
    claimed = _find_named(session, caller.org_id, caller.read_repo_claim())
    if claimed != repo:
        raise RepoClaimMismatch()


def _find_own(session: Session, caller: Principal, credential_id: str, repo: str | None) -> GitCredential:
    """Return a credential of the caller's organisation, and of the repository that its token is limited to."""
    stored = rows.find_credential(session, caller.org_id, credential_id)
    claim = caller.repo_claim
    narrowed = repo or (claim if claim != ORGANISATION_CLAIM else None)
    if stored is not None and narrowed is not None:
        owner = _find_named(session, caller.org_id, narrowed)
        stored = stored if owner is not None and owner.id == stored.repo_id else None
    if stored is None:
        raise CredentialNotFound(credential_id)
    return stored


def _check_username(username: str) -> str:
    if len(username) > limits.credential_username_max_chars or not _is_one_line(username):
        raise Invalid("field does not fit", field="username", reason="too long, or not one line of text")
    return username


def _check_password(password: Secret) -> None:
    text = password.reveal()
    if not text:
        raise Invalid("field is required", field="password")
    if len(text) > limits.credential_password_max_chars or not _is_one_line(text):
        raise Invalid("field does not fit", field="password", reason="too long, or not one line of text")


def _is_one_line(text: str) -> bool:
    """Git hands credentials on in lines: a line feed would end one (git-credential(1))."""
    return is_storable(text) and "\n" not in text and "\r" not in text
