"""Keys and tokens made here are believed here, and by PyJWT."""

from collections.abc import Callable

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from packhouse.auth.keyring import VerificationKey
from packhouse.auth.minting import (
    PrivateKey,
    encode_private_key,
    make_private_key,
    parse_private_key,
    public_pem_of,
    refs_claim,
    sign_token,
)
from packhouse.auth.policy import RefPolicy
from packhouse.auth.public_keys import KeyRejected, key_algorithm, parse_public_key
from packhouse.auth.scopes import Scope
from packhouse.auth.tokens import TokenVerifier
from packhouse.git.refname import RefName
from tests.unit.auth.forge import NOW, Issuers, private_key

pytestmark = pytest.mark.quick

KEYS = ["ES256", "RS256", "EdDSA"]


def sign(key: PrivateKey, **changes: object) -> str:
    """Return a token of acme for apps/shop, valid for a minute."""
    usual: dict[str, object] = {
        "issuer": "acme",
        "subject": "script",
        "repo": "apps/shop",
        "scopes": [Scope.GIT_WRITE],
        "issued_at": NOW,
        "ttl_s": 60,
    }
    return sign_token(key, **{**usual, **changes})  # type: ignore[arg-type]  # each is of its own type


def verifier(key: PrivateKey, *, now: int = NOW) -> TokenVerifier:
    """Return one that believes this key alone."""
    public = parse_public_key(public_pem_of(key))
    known = VerificationKey("key_1", "", key_algorithm(public), public)
    return TokenVerifier(Issuers(acme=(known,)).keyring(), clock=lambda: now)


@pytest.mark.parametrize("kind", KEYS)
def test_a_token_is_verified_by_the_public_half_of_its_key(kind: str) -> None:
    key = private_key(kind)
    principal = verifier(key).verify(sign(key))
    assert (principal.org_name, principal.subject, principal.repo_claim) == ("acme", "script", "apps/shop")
    assert principal.scopes == {Scope.GIT_WRITE, Scope.GIT_READ}
    assert principal.expires_at == NOW + 60


def test_a_token_of_another_key_is_refused() -> None:
    with pytest.raises(Exception, match="signature"):
        verifier(private_key("ES256", 1)).verify(sign(private_key("ES256", 2)))


def test_pyjwt_sees_exactly_the_claims_that_were_asked_for() -> None:
    key = make_private_key()
    seen = jwt.decode(
        sign(key), key.public_key(), algorithms=["ES256"], options={"verify_exp": False, "verify_iat": False}
    )
    assert seen == {
        "iss": "acme",
        "sub": "script",
        "repo": "apps/shop",
        "scopes": ["git:write"],
        "iat": NOW,
        "exp": NOW + 60,
    }


def test_rules_become_the_ref_policy_in_their_order() -> None:
    rules = [("refs/heads/main", ["no-push"]), ("refs/heads/*", [])]
    key = make_private_key()
    policy = verifier(key).verify(sign(key, rules=rules)).policy
    assert policy.ops_for("", RefName(b"refs/heads/main")) == {"no-push"}
    assert policy.ops_for("", RefName(b"refs/heads/dev")) == set()
    assert RefPolicy.parse(refs_claim(rules)) == policy


@pytest.mark.parametrize("kind", KEYS)
def test_a_private_key_is_read_back_from_its_file(kind: str) -> None:
    key = private_key(kind)
    again = parse_private_key(encode_private_key(key).encode())
    assert public_pem_of(again) == public_pem_of(key)
    assert verifier(key).verify(sign(again)).org_name == "acme"


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_older_forms_of_a_key_file_are_read(form: PrivateFormat) -> None:
    for key in (private_key("ES256"), private_key("RS256")):
        pem = key.private_bytes(Encoding.PEM, form, NoEncryption())
        assert public_pem_of(parse_private_key(pem)) == public_pem_of(key)


def test_each_new_key_differs() -> None:
    assert encode_private_key(make_private_key()) != encode_private_key(make_private_key())


def pem(key: PrivateKey) -> bytes:
    """Return a key file."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def locked(key: PrivateKey) -> bytes:
    """Return a key file with a password."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))


UNUSABLE: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "no PEM private key"),
    "cut off": (lambda: pem(ed25519.Ed25519PrivateKey.generate())[:80], "no PEM private key"),
    "public": (lambda: public_pem_of(private_key("ES256")).encode(), "public key"),
    "encrypted": (lambda: locked(private_key("ES256")), "encrypted"),
    "other curve": (lambda: pem(ec.generate_private_key(ec.SECP384R1())), "P-256"),
    "short": (lambda: pem(rsa.generate_private_key(public_exponent=65537, key_size=1024)), "2048 bits"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_file_that_cannot_sign_is_refused_with_its_reason_and_without_its_content(name: str) -> None:
    make, reason = UNUSABLE[name]
    content = make()
    with pytest.raises(KeyRejected, match=reason) as caught:
        parse_private_key(content)
    for line in content.decode().splitlines()[1:-1]:
        assert line not in str(caught.value)
