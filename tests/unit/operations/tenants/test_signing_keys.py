"""The keys that sign an organisation's commits."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from packhouse.auth.principal import Principal
from packhouse.errors import Invalid, LimitExceeded
from packhouse.git.commands.signatures.signing_keys import SigningKeyKind, SigningKeyRejected
from packhouse.limits import key_text_max_chars, signing_keys_max
from packhouse.node.node import Node
from packhouse.operations.refs.signed_updates import load_signing_keys
from packhouse.operations.tenants.add_signing_key import AddSigningKey, SigningKeyExists, add_signing_key
from packhouse.operations.tenants.list_signing_keys import ListSigningKeys, list_signing_keys
from packhouse.operations.tenants.orgs import OrgNotFound
from packhouse.operations.tenants.revoke_signing_key import (
    RevokeSigningKey,
    SigningKeyNotFound,
    revoke_signing_key,
)
from tests.support.servers.programs import need_programs

pytestmark = pytest.mark.quick


@pytest.fixture(autouse=True)
def _ssh_keygen() -> None:
    need_programs("ssh-keygen")


def public_key() -> str:
    """Return a new SSH public key as one line."""
    key = Ed25519PrivateKey.generate().public_key()
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def test_a_key_is_added_listed_loaded_and_revoked_for_good(node: Node, caller: Principal) -> None:
    line = public_key()
    row = add_signing_key(node, AddSigningKey("acme", line, label="laptop"))
    assert (row.kind, row.label, row.created_at) == (SigningKeyKind.SSH.value, "laptop", 1000)
    assert list_signing_keys(node, ListSigningKeys("acme")) == [row]
    loaded = load_signing_keys(node, caller.org_id)
    assert list(loaded) == [row.signing_key_id]
    assert loaded[row.signing_key_id].text.endswith(line)
    for now in (2000, 3000):
        node.clock = lambda now=now: now  # type: ignore[misc]  # a clock without arguments
        assert revoke_signing_key(node, RevokeSigningKey("acme", row.signing_key_id)).revoked_at == 2000
    assert load_signing_keys(node, caller.org_id) == {}
    assert [key.revoked_at for key in list_signing_keys(node, ListSigningKeys("acme"))] == [2000]


def test_one_key_is_active_once_in_any_spelling(node: Node, caller: Principal) -> None:
    line = public_key()
    first = add_signing_key(node, AddSigningKey("acme", line))
    for text in (f"{line} ada@example.test", f"ada@example.test {line}", f"# of ada\n{line}\n"):
        with pytest.raises(SigningKeyExists) as refused:
            add_signing_key(node, AddSigningKey("acme", text))
        assert refused.value.fields == {"key_id": first.signing_key_id}
    revoke_signing_key(node, RevokeSigningKey("acme", first.signing_key_id))
    assert add_signing_key(node, AddSigningKey("acme", line)).signing_key_id != first.signing_key_id


def test_organisations_have_keys_of_their_own(node: Node, caller: Principal, stranger: Principal) -> None:
    line = public_key()
    row = add_signing_key(node, AddSigningKey("acme", line))
    assert list_signing_keys(node, ListSigningKeys("elsewhere")) == []
    assert load_signing_keys(node, stranger.org_id) == {}
    with pytest.raises(SigningKeyNotFound):
        revoke_signing_key(node, RevokeSigningKey("elsewhere", row.signing_key_id))
    add_signing_key(node, AddSigningKey("elsewhere", line))


@pytest.mark.parametrize("text", ["", "no key", "ssh-ed25519 AAAA", "\ud800", "a\0b"])
def test_other_text_is_refused_as_a_key(node: Node, caller: Principal, text: str) -> None:
    with pytest.raises(Invalid):
        add_signing_key(node, AddSigningKey("acme", text))
    assert list_signing_keys(node, ListSigningKeys("acme")) == []


def test_a_private_key_and_two_keys_at_once_are_refused(node: Node, caller: Principal) -> None:
    for text in ("-----BEGIN OPENSSH PRIVATE KEY-----", f"{public_key()}\n{public_key()}"):
        with pytest.raises(SigningKeyRejected):
            add_signing_key(node, AddSigningKey("acme", text))


@pytest.mark.parametrize("label", ["x" * (key_text_max_chars + 1), "a\0", "\ud800"])
def test_a_label_is_short_text_that_can_be_stored(node: Node, caller: Principal, label: str) -> None:
    with pytest.raises(Invalid):
        add_signing_key(node, AddSigningKey("acme", public_key(), label=label))


def test_active_keys_are_counted(node: Node, caller: Principal) -> None:
    rows = [add_signing_key(node, AddSigningKey("acme", public_key())) for _ in range(signing_keys_max)]
    with pytest.raises(LimitExceeded):
        add_signing_key(node, AddSigningKey("acme", public_key()))
    revoke_signing_key(node, RevokeSigningKey("acme", rows[0].signing_key_id))
    add_signing_key(node, AddSigningKey("acme", public_key()))


def test_an_unknown_organisation_is_not_found(node: Node) -> None:
    for attempt in (
        lambda: add_signing_key(node, AddSigningKey("nobody", public_key())),
        lambda: list_signing_keys(node, ListSigningKeys("nobody")),
        lambda: revoke_signing_key(node, RevokeSigningKey("nobody", "skey_1")),
    ):
        with pytest.raises(OrgNotFound):
            attempt()
