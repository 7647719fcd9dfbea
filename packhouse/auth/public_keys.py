"""Public keys of organisations: the three types that sign tokens, read from PEM and checked.

ES256 needs an EC key on P-256, RS256 an RSA key of at least 2048 bits (RFC 7518 sections 3.4 and 3.3), EdDSA
an Ed25519 key (RFC 8037 section 3.1).
"""

from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from packhouse import limits
from packhouse.errors import Code, Invalid

PublicKey = EllipticCurvePublicKey | RSAPublicKey | Ed25519PublicKey

ALGORITHMS: Final = ("ES256", "RS256", "EdDSA")
"""All values that a token's `alg` may have. Never add `none` or the HMAC family."""

RSA_BITS_MIN: Final = 2048


class KeyRejected(Invalid):
    """The text given as a key cannot sign tokens. `reason` is a sentence."""

    code = Code.KEY_REJECTED
    reason: str


def parse_public_key(pem: str) -> PublicKey:
    """Return the key in `pem`, a PEM SubjectPublicKeyInfo block (RFC 7468 section 13).

    Raises KeyRejected, with a sentence for the operator, for anything else: a private key, a certificate, a key of
    another type, curve or size.
    """
    if len(pem) > limits.key_file_max_bytes:
        raise KeyRejected(f"the file is larger than {limits.key_file_max_bytes} bytes")
    if "PRIVATE KEY-----" in pem:
        raise KeyRejected(
            "this is a private key; it must stay with you. Give the public one: "
            "openssl pkey -in PRIVATE.pem -pubout -out PUBLIC.pem"
        )
    if "-----BEGIN PUBLIC KEY-----" not in pem:
        raise KeyRejected("the file holds no PEM block 'BEGIN PUBLIC KEY' (SubjectPublicKeyInfo)")
    if pem.count("-----BEGIN ") > 1:
        raise KeyRejected("the file holds more than one PEM block; add keys one by one")
    try:
        key = load_pem_public_key(pem.encode("utf-8"))
    except (ValueError, UnsupportedAlgorithm):
        raise KeyRejected("the PEM block is damaged or of an unknown type") from None
    return check_key(key)


def key_algorithm(key: PublicKey) -> str:
    """Return the `alg` of tokens that are signed with this key."""
    if isinstance(key, EllipticCurvePublicKey):
        return "ES256"
    return "RS256" if isinstance(key, RSAPublicKey) else "EdDSA"


def encode_public_key(key: PublicKey) -> str:
    """Return the key as PEM SubjectPublicKeyInfo. Each key has one such spelling, however it was written."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")


def check_key(key: object) -> PublicKey:
    """Return `key` if its private half may sign tokens. Raises KeyRejected otherwise."""
    if isinstance(key, EllipticCurvePublicKey):
        if key.curve.name != "secp256r1":
            raise KeyRejected(f"EC keys must be on the curve P-256, this one is on {key.curve.name}")
        return key
    if isinstance(key, RSAPublicKey):
        if key.key_size < RSA_BITS_MIN:
            raise KeyRejected(f"RSA keys need at least {RSA_BITS_MIN} bits, this one has {key.key_size}")
        return key
    if isinstance(key, Ed25519PublicKey):
        return key
    raise KeyRejected("only EC P-256, RSA and Ed25519 keys can sign tokens")
