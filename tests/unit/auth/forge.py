"""Keys and tokens made by hand, so that tests can break every rule of the format."""

import base64
import json
from collections.abc import Mapping
from functools import cache

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from packhouse.auth.keyring import KeyRing, OrgKeys, VerificationKey
from packhouse.auth.public_keys import PublicKey, key_algorithm
from packhouse.limits import DEFAULT_LIMITS, Limits

NOW = 1_767_225_600

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def private_key(algorithm: str, number: int = 1) -> PrivateKey:
    """Return the key of that type and number; the same one each time, since RSA keys take long to make."""
    return _make_key(algorithm, number)


@cache
def _make_key(algorithm: str, _number: int) -> PrivateKey:
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    if algorithm == "RS256":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ed25519.Ed25519PrivateKey.generate()


def verification_key(
    algorithm: str = "ES256", number: int = 1, *, key_id: str = "", kid: str = ""
) -> VerificationKey:
    public: PublicKey = private_key(algorithm, number).public_key()
    return VerificationKey(key_id or f"key_{algorithm}{number}", kid, key_algorithm(public), public)


def claims(**changes: object) -> dict[str, object]:
    """Return good claims with `changes`; a change to `...` removes the claim."""
    good: dict[str, object] = {
        "iss": "northwind",
        "sub": "@pierre/storage",
        "repo": "apps/shop",
        "scopes": ["git:read"],
        "iat": NOW,
        "exp": NOW + 3600,
    }
    good.update(changes)
    return {name: value for name, value in good.items() if value is not ...}


def encode_part(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def forge(payload: object, *, header: object = None, algorithm: str = "ES256", number: int = 1) -> str:
    """Return a token with exactly this header and payload (bytes go in as they are), rightly signed."""
    parts = f"{encode_part(header or {'alg': algorithm, 'typ': 'JWT'})}.{encode_part(payload)}"
    signer = jwt.get_algorithm_by_name(algorithm)
    signature = signer.sign(parts.encode(), private_key(algorithm, number))
    return f"{parts}.{encode_part(signature)}"


class Issuers:
    """A database of issuers in memory that counts how often it is asked."""

    def __init__(self, **orgs: tuple[VerificationKey, ...]) -> None:
        self.orgs: dict[str, tuple[VerificationKey, ...]] = dict(orgs)
        self.version = 1
        self.loads = 0
        self.version_reads = 0
        self.now = 0.0

    def load_keys(self, issuer: str) -> OrgKeys | None:
        self.loads += 1
        keys = self.orgs.get(issuer)
        return None if keys is None else OrgKeys(1 + sorted(self.orgs).index(issuer), issuer, keys)

    def load_version(self) -> int:
        self.version_reads += 1
        return self.version

    def keyring(self, limits: Limits = DEFAULT_LIMITS) -> KeyRing:
        return KeyRing(
            self.load_keys,
            self.load_version,
            issuers_max=limits.cached_issuers_max,
            monotonic=lambda: self.now,
        )

    def change(self, orgs: Mapping[str, tuple[VerificationKey, ...]]) -> None:
        self.orgs.update(orgs)
        self.version += 1
