"""Key pairs and tokens, made with the libraries that the SDKs use."""

import time
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

_ALGORITHMS = {"ec": "ES256", "rsa": "RS256", "ed25519": "EdDSA"}


@dataclass(frozen=True)
class KeyPair:
    """PEM texts of one key pair, and the algorithm of its tokens."""

    private_pem: str
    public_pem: str
    algorithm: str


def make_key_pair(kind: str = "ec") -> KeyPair:
    """Return a new pair; `kind` is ec (P-256), rsa (2048 bits) or ed25519."""
    key: PrivateKey
    if kind == "rsa":
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    elif kind == "ed25519":
        key = ed25519.Ed25519PrivateKey.generate()
    else:
        key = ec.generate_private_key(ec.SECP256R1())
    private_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public_pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return KeyPair(private_pem.decode(), public_pem.decode(), _ALGORITHMS[kind])


def sign_token(pair: KeyPair, claims: dict[str, Any], headers: dict[str, Any] | None = None) -> str:
    """Return a token with exactly these claims. A claim given as None is left out."""
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(kept, pair.private_pem, algorithm=pair.algorithm, headers=headers)


def usual_claims(org: str, repo: str | None, scopes: list[str]) -> dict[str, Any]:
    """Return the claims that every SDK sends, valid for an hour from now."""
    now = int(time.time())
    return {
        "iss": org,
        "sub": "@pierre/storage",
        "repo": repo,
        "scopes": scopes,
        "iat": now,
        "exp": now + 3600,
    }
