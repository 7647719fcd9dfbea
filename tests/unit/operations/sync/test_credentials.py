"""Credentials for upstreams: which callers may store, change and delete them."""

import pytest

from packhouse.auth.principal import ORGANISATION_CLAIM, Principal, RepoClaimMismatch
from packhouse.auth.sealing import Sealed
from packhouse.db.credentials import find_credential_of_repo
from packhouse.db.repos import RepoNotFound
from packhouse.errors import Invalid
from packhouse.limits import credential_password_max_chars, credential_username_max_chars
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.operations.repos.delete_repo import DeleteRepo, delete_repo
from packhouse.operations.sync.create_credential import (
    CreateCredential,
    CredentialExists,
    create_credential,
)
from packhouse.operations.sync.credentials import CredentialInfo, CredentialNotFound
from packhouse.operations.sync.delete_credential import DeleteCredential, delete_credential
from packhouse.operations.sync.update_credential import UpdateCredential, update_credential
from packhouse.secret import Secret
from tests.support.builders.callers import limited_to

pytestmark = pytest.mark.quick


@pytest.fixture
def owner(node: Node, caller: Principal, repo: str) -> Principal:
    """A caller whose token is for the repository."""
    node.config.data.mkdir(parents=True)
    node.secret_keys.ensure()
    return limited_to(caller, repo)


def stored(node: Node, caller: Principal, repo: str = "r") -> tuple[str, str] | None:
    """Return user name and password that the upstream of a repository gets; None without a credential."""
    with node.database.read() as session:
        found = find_credential_of_repo(session, lookup_repo(node, caller, repo).id)
    if found is None:
        return None
    sealed = Sealed(found.sealed_password, found.sealed_with)
    secret = node.secret_keys.unseal(sealed, bound_to=f"git_credentials {found.credential_id}")
    return found.username, secret.reveal()


def test_a_credential_is_stored_changed_and_deleted(node: Node, owner: Principal) -> None:
    made = create_credential(node, owner, CreateCredential("r", Secret("first"), "bot"))
    assert made == CredentialInfo(made.credential_id, 1000)
    assert stored(node, owner) == ("bot", "first")
    node.clock = lambda: 2000
    assert update_credential(node, owner, UpdateCredential(made.credential_id, Secret("second"))) == made
    assert stored(node, owner) == ("bot", "second")
    update_credential(node, owner, UpdateCredential(made.credential_id, Secret("third"), username=""))
    assert stored(node, owner) == ("", "third")
    delete_credential(node, owner, DeleteCredential(made.credential_id))
    assert stored(node, owner) is None
    with pytest.raises(CredentialNotFound):
        delete_credential(node, owner, DeleteCredential(made.credential_id))


def test_a_password_is_stored_encrypted_and_no_command_shows_it(node: Node, owner: Principal) -> None:
    command = CreateCredential("r", Secret("hunter2"), "bot")
    create_credential(node, owner, command)
    with node.database.read() as session:
        row = find_credential_of_repo(session, lookup_repo(node, owner, "r").id)
    assert row is not None
    assert b"hunter2" not in bytes(row.sealed_password)
    assert "hunter2" not in repr(command) + repr(UpdateCredential("x", Secret("hunter2")))


def test_a_repository_has_one_credential(node: Node, owner: Principal) -> None:
    made = create_credential(node, owner, CreateCredential("r", Secret("first")))
    with pytest.raises(CredentialExists):
        create_credential(node, owner, CreateCredential("r", Secret("second")))
    assert stored(node, owner) == ("", "first")
    delete_credential(node, owner, DeleteCredential(made.credential_id))
    create_credential(node, owner, CreateCredential("r", Secret("second")))


def test_the_repository_is_named_by_its_name_or_its_public_id_on_both_sides(
    node: Node, caller: Principal, owner: Principal
) -> None:
    public_id = lookup_repo(node, caller, "r").public_id
    made = create_credential(node, owner, CreateCredential(public_id, Secret("first")))
    delete_credential(node, owner, DeleteCredential(made.credential_id))
    create_credential(node, limited_to(caller, public_id), CreateCredential("r", Secret("second")))
    assert stored(node, caller) == ("", "second")


def test_a_token_for_another_repository_stores_and_finds_nothing(
    node: Node, caller: Principal, owner: Principal
) -> None:
    create_repo(node, caller, CreateRepo("other"))
    other = limited_to(caller, "other")
    with pytest.raises(RepoClaimMismatch):
        create_credential(node, other, CreateCredential("r", Secret("first")))
    made = create_credential(node, owner, CreateCredential("r", Secret("first")))
    with pytest.raises(CredentialNotFound):
        update_credential(node, other, UpdateCredential(made.credential_id, Secret("second")))
    with pytest.raises(CredentialNotFound):
        delete_credential(node, other, DeleteCredential(made.credential_id))
    assert stored(node, owner) == ("", "first")


def test_a_token_of_the_organisation_changes_every_credential_and_creates_none(
    node: Node, caller: Principal, owner: Principal
) -> None:
    made = create_credential(node, owner, CreateCredential("r", Secret("first")))
    for claim in (None, ORGANISATION_CLAIM):
        org = limited_to(caller, claim) if claim else caller
        with pytest.raises(RepoClaimMismatch):
            create_credential(node, org, CreateCredential("r", Secret("second")))
        update_credential(node, org, UpdateCredential(made.credential_id, Secret("third")))
    assert stored(node, owner) == ("", "third")
    with pytest.raises(CredentialNotFound):
        delete_credential(node, caller, DeleteCredential(made.credential_id, repo="elsewhere"))
    delete_credential(node, caller, DeleteCredential(made.credential_id, repo="r"))


def test_another_organisation_finds_no_credential(node: Node, stranger: Principal, owner: Principal) -> None:
    made = create_credential(node, owner, CreateCredential("r", Secret("first")))
    create_repo(node, stranger, CreateRepo("r"))
    thief = limited_to(stranger, "r")
    with pytest.raises(CredentialNotFound):
        update_credential(node, thief, UpdateCredential(made.credential_id, Secret("second")))
    with pytest.raises(CredentialNotFound):
        delete_credential(node, stranger, DeleteCredential(made.credential_id))
    create_credential(node, thief, CreateCredential("r", Secret("theirs")))
    assert (stored(node, owner), stored(node, thief)) == (("", "first"), ("", "theirs"))


def test_a_missing_or_deleted_repository_has_no_credential(
    node: Node, caller: Principal, owner: Principal
) -> None:
    with pytest.raises(RepoNotFound):
        create_credential(node, limited_to(caller, "nowhere"), CreateCredential("nowhere", Secret("x")))
    delete_repo(node, caller, DeleteRepo("r"))
    with pytest.raises(RepoNotFound):
        create_credential(node, owner, CreateCredential("r", Secret("x")))


@pytest.mark.parametrize(
    "password", ["", "a\nb", "a\rb", "a\0b", "\ud800", "x" * (credential_password_max_chars + 1)]
)
def test_a_password_is_one_line_that_git_can_be_given(node: Node, owner: Principal, password: str) -> None:
    with pytest.raises(Invalid):
        create_credential(node, owner, CreateCredential("r", Secret(password)))
    made = create_credential(node, owner, CreateCredential("r", Secret("good")))
    with pytest.raises(Invalid):
        update_credential(node, owner, UpdateCredential(made.credential_id, Secret(password)))
    assert stored(node, owner) == ("", "good")


@pytest.mark.parametrize(
    "username", ["a\nb", "a\rb", "a\0b", "\ud800", "x" * (credential_username_max_chars + 1)]
)
def test_a_user_name_is_one_line_that_git_can_be_given(node: Node, owner: Principal, username: str) -> None:
    with pytest.raises(Invalid):
        create_credential(node, owner, CreateCredential("r", Secret("good"), username))
    made = create_credential(node, owner, CreateCredential("r", Secret("good"), "bot"))
    with pytest.raises(Invalid):
        update_credential(node, owner, UpdateCredential(made.credential_id, Secret("good"), username))
    assert stored(node, owner) == ("bot", "good")


def test_an_id_of_any_length_is_not_found(node: Node, owner: Principal) -> None:
    for credential_id in ("", "ggc_1", "x" * 100_000, "a\0b"):
        with pytest.raises(CredentialNotFound):
            delete_credential(node, owner, DeleteCredential(credential_id))
