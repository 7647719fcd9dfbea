"""Making key pairs and signing tokens, as a customer's program does.

The server holds only public keys and does not need this to serve. The command line does, for operators who try a server
out or make a token for a script.
"""

from collections.abc import Mapping, Sequence

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from packhouse.auth.public_keys import KeyRejected, check_key, encode_public_key, key_algorithm
from packhouse.auth.scopes import Scope

PrivateKey = EllipticCurvePrivateKey | RSAPrivateKey | Ed25519PrivateKey

RefRules = Sequence[tuple[str, Sequence[str]]]
"""Ordered rules of a ref policy: a pattern, and the operations it names."""


def make_private_key() -> PrivateKey:
    """Return a new key on P-256, the type that every official client can use."""
    return generate_private_key(SECP256R1())


def encode_private_key(key: PrivateKey) -> str:
    """Return the key as unencrypted PKCS#8 PEM. Keep it where only its owner can read it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")


def public_pem_of(key: PrivateKey) -> str:
    """Return the public half as PEM SubjectPublicKeyInfo, the form in which keys are registered."""
    return encode_public_key(key.public_key())


def parse_private_key(pem: bytes) -> PrivateKey:
    """Return the key in an unencrypted PEM file (PKCS#8, SEC1 or PKCS#1).

    Raises KeyRejected for anything that cannot sign tokens. The error repeats nothing of the file.
    """
    if b"-----BEGIN PUBLIC KEY-----" in pem:
        raise KeyRejected("this is a public key; tokens are signed with the private one")
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:
        raise KeyRejected("the private key is encrypted; decrypt it first: openssl pkey -in FILE") from None
    except (ValueError, UnsupportedAlgorithm):
        raise KeyRejected("the file holds no PEM private key") from None
    check_key(key.public_key())
    assert isinstance(key, PrivateKey), "the public half was checked"
    return key


def sign_token(
    key: PrivateKey,
    *,
    issuer: str,
    subject: str,
    repo: str,
    scopes: Sequence[Scope],
    issued_at: int,
    ttl_s: int,
    rules: RefRules = (),
) -> str:
    """Return a token of organisation `issuer` for the repository `repo`, valid for `ttl_s` seconds."""
    claims: dict[str, object] = {
        "iss": issuer,
        "sub": subject,
        "repo": repo,
        "scopes": [scope.value for scope in scopes],
        "iat": issued_at,
        "exp": issued_at + ttl_s,
    }
    if rules:
        claims.update(refs_claim(rules))
    return jwt.encode(claims, key, algorithm=key_algorithm(key.public_key()))


def refs_claim(rules: RefRules) -> Mapping[str, object]:
    """Return the `refs` claim with these rules, in order."""
    return {"refs": [[pattern, list(ops)] for pattern, ops in rules]}
