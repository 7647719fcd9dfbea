"""Credentials for upstreams, on SQLite and on PostgreSQL."""

from packhouse.auth.principal import Principal
from packhouse.auth.sealing import Sealed
from packhouse.db.credentials import find_credential_of_repo
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.operations.sync.create_credential import CreateCredential
from packhouse.operations.sync.create_credential import create_credential as create
from packhouse.operations.sync.update_credential import UpdateCredential, update_credential
from packhouse.operations.tenants.rotate_secrets import RotateSecrets, rotate_secrets
from packhouse.operations.webhooks.add_webhook import AddWebhook, add_webhook
from packhouse.repository.refs.events import PUSH
from packhouse.secret import Secret


def named(caller: Principal, repo: str) -> Principal:
    """Return the caller with a token for one repository."""
    return Principal(
        org_id=caller.org_id,
        org_name=caller.org_name,
        subject="",
        scopes=caller.scopes,
        repo_claim=repo,
        policy=caller.policy,
        expires_at=caller.expires_at,
    )


def test_a_credential_is_stored_sealed_changed_and_rotated(node: Node, caller: Principal) -> None:
    create_repo(node, caller, CreateRepo("apps/shop"))
    repo, owner = lookup_repo(node, caller, "apps/shop"), named(caller, "apps/shop")
    made = create(node, owner, CreateCredential("apps/shop", Secret("first"), "bot"))
    add_webhook(node, caller, AddWebhook("https://ci.example.com/hook", [PUSH], Secret("signing")))

    def opened() -> tuple[str, str]:
        with node.database.read() as session:
            stored = find_credential_of_repo(session, repo.id)
        assert stored is not None
        sealed = Sealed(stored.sealed_password, stored.sealed_with)
        password = node.secret_keys.unseal(sealed, bound_to=f"git_credentials {stored.credential_id}")
        assert password.reveal() not in repr(stored)
        return stored.username, password.reveal()

    assert opened() == ("bot", "first")
    update_credential(node, owner, UpdateCredential(made.credential_id, Secret("second")))
    assert opened() == ("bot", "second")
    update_credential(node, owner, UpdateCredential(made.credential_id, Secret("third"), ""))
    assert opened() == ("", "third")
    done = rotate_secrets(node, RotateSecrets(drop_old=True))
    assert (done.resealed, done.dropped) == (2, 1)
    assert opened() == ("", "third")
    node.secret_keys = type(node.secret_keys)(node.config.secret_keys_path)
    assert opened() == ("", "third")
