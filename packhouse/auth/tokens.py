"""Verifying tokens: JSON Web Tokens (RFC 7519) that an organisation signs with its own private key.

The order of the checks is part of the contract: form, algorithm, issuer, key, signature, times, claims. The algorithm
is checked before a key is chosen. Otherwise a token could choose how it is verified.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, Protocol

import jwt

from packhouse import limits
from packhouse.auth.compact_token import CompactToken, parse_compact_token
from packhouse.auth.keyring import KeyRing, OrgKeys, VerificationKey
from packhouse.auth.policy import RefPolicy
from packhouse.auth.principal import Principal
from packhouse.auth.public_keys import ALGORITHMS
from packhouse.auth.scopes import parse_scopes
from packhouse.auth.token_refusals import (
    TokenAlgorithmUnknown,
    TokenExpired,
    TokenHasCriticalExtensions,
    TokenHasNoExpiry,
    TokenHasNoIssuer,
    TokenIssuedInFuture,
    TokenIssuerHasNoKey,
    TokenIssuerUnknown,
    TokenNotYetValid,
    TokenRepoNotText,
    TokenScopesMalformed,
    TokenSignatureWrong,
    TokenTimeNotANumber,
)
from packhouse.bounded_cache import BoundedCache
from packhouse.clock import TIMESTAMP_MAX, Clock, system_clock
from packhouse.limits import DEFAULT_LIMITS

LEEWAY_S: Final = 60
"""How far the clocks of issuers may differ from ours."""


_PRINCIPAL_BYTES: Final = 512
_RULE_BYTES: Final = 400


class _Algorithm(Protocol):
    def verify(self, msg: bytes, key: object, sig: bytes) -> bool: ...


_VERIFIERS: Final[Mapping[str, _Algorithm]] = {name: jwt.get_algorithm_by_name(name) for name in ALGORITHMS}


@dataclass(frozen=True, slots=True)
class _Verified:
    principal: Principal
    issuer: str
    size_bytes: int


class TokenVerifier:
    """Turns tokens into principals, and remembers good tokens.

    A remembered token is good until it expires, or until its key is no longer active. The key ring learns that within
    seconds. Tokens are remembered by their SHA-256, so a dump of this memory contains no usable token. Safe to share
    between threads.
    """

    def __init__(
        self,
        keyring: KeyRing,
        *,
        clock: Clock = system_clock,
        memory_max_bytes: int = DEFAULT_LIMITS.verified_tokens_max_bytes,
    ) -> None:
        self._keyring = keyring
        self._clock = clock
        self._verified = BoundedCache[bytes, _Verified](
            weight_max=memory_max_bytes,
            entry_weight_max=memory_max_bytes,
            weigh=attrgetter("size_bytes"),
        )

    def verify(self, token: str) -> Principal:
        """Return the signer of `token` and what the token allows. Raises TokenRefused (Unauthenticated) if in doubt."""
        digest = _digest(token)
        known = self._verified.get(digest)
        if known is not None and _key_is_active(known, self._keyring.find(known.issuer)):
            _check_not_expired(known.principal.expires_at, self._clock())
            return known.principal
        verified = self._verify(token)
        self._verified.put(digest, verified)
        return verified.principal

    def recall(self, token: str) -> Principal | None:
        """Return the result of `verify` if that needs neither a query nor a signature check, else None.

        After None, call `verify` in a thread that may wait: the token may be good or bad.
        """
        known = self._verified.get(_digest(token))
        if known is None or not _key_is_active(known, self._keyring.recall(known.issuer)):
            return None
        expired = _is_expired(known.principal.expires_at, self._clock())
        return None if expired else known.principal

    def _verify(self, token: str) -> _Verified:
        parsed = parse_compact_token(token)
        algorithm = _read_algorithm(parsed.header)
        issuer = _read_issuer(parsed.claims)
        org = self._keyring.find(issuer)
        if org is None:
            raise TokenIssuerUnknown()
        key = _find_signing_key(parsed, algorithm, org)
        expires_at = _check_times(parsed.claims, self._clock())
        principal = _make_principal(parsed.claims, org, key, expires_at)
        return _Verified(principal, issuer, _estimate_size(token, principal))


def _estimate_size(token: str, principal: Principal) -> int:
    """Return the estimated memory of a principal in bytes. Its texts are at most as long as the token."""
    return _PRINCIPAL_BYTES + len(token) + _RULE_BYTES * len(principal.policy.rules)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _key_is_active(known: _Verified, org: OrgKeys | None) -> bool:
    principal = known.principal
    return org is not None and org.org_id == principal.org_id and principal.key_id in org.key_ids


def _read_algorithm(header: Mapping[str, object]) -> str:
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in _VERIFIERS:
        raise TokenAlgorithmUnknown()
    if "crit" in header:
        # RFC 7515 section 4.1.11: refuse an extension that the signer marks as critical and that we do not know.
        raise TokenHasCriticalExtensions()
    return algorithm


def _read_issuer(claims: Mapping[str, object]) -> str:
    issuer = claims.get("iss")
    if not isinstance(issuer, str):
        raise TokenHasNoIssuer()
    if not issuer or len(issuer) > limits.org_name_max_chars or not issuer.isprintable():
        raise TokenIssuerUnknown()
    return issuer


def _find_signing_key(token: CompactToken, algorithm: str, org: OrgKeys) -> VerificationKey:
    """Return the active key that made the signature. The key that `kid` names is tried first, then newest first."""
    kid = token.header.get("kid")
    usable = [key for key in org.keys if key.algorithm == algorithm]
    usable.sort(key=lambda key: not (isinstance(kid, str) and kid and kid in (key.kid, key.key_id)))
    if not usable:
        raise TokenIssuerHasNoKey()
    verifier = _VERIFIERS[algorithm]
    for key in usable:
        if verifier.verify(token.signed_bytes, key.public_key, token.signature):
            return key
    raise TokenSignatureWrong()


def _check_times(claims: Mapping[str, object], now: int) -> int:
    """Return the token's expiry in seconds since 1970. Raises TokenRefused unless the token is valid `now`."""
    if "exp" not in claims:
        raise TokenHasNoExpiry()
    expires_at = _read_time(claims["exp"])
    _check_not_expired(expires_at, now)
    if "nbf" in claims and _read_time(claims["nbf"]) > now + LEEWAY_S:
        raise TokenNotYetValid()
    if "iat" in claims and _read_time(claims["iat"]) > now + LEEWAY_S:
        raise TokenIssuedInFuture()
    return expires_at


def _check_not_expired(expires_at: int, now: int) -> None:
    if _is_expired(expires_at, now):
        raise TokenExpired()


def _is_expired(expires_at: int, now: int) -> bool:
    return now >= expires_at + LEEWAY_S


def _read_time(value: object) -> int:
    """Return a NumericDate (RFC 7519 section 2) in whole seconds, clamped to the years that dates can have."""
    # In Python a bool is an int; in JSON it is not.
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(_as_float(value)):
        raise TokenTimeNotANumber()
    return int(min(max(value, -TIMESTAMP_MAX), TIMESTAMP_MAX))


def _as_float(value: int | float) -> float:
    # An integer beyond the range of float is still a number. It is clamped.
    return 0.0 if isinstance(value, int) else value


def _make_principal(
    claims: Mapping[str, object], org: OrgKeys, key: VerificationKey, expires_at: int
) -> Principal:
    scopes = claims.get("scopes")
    if not isinstance(scopes, list):
        raise TokenScopesMalformed()
    repo = claims.get("repo")
    if "repo" in claims and not isinstance(repo, str):
        raise TokenRepoNotText()
    return Principal(
        org_id=org.org_id,
        org_name=org.org_name,
        subject=_read_subject(claims.get("sub")),
        scopes=parse_scopes(scopes),
        repo_claim=repo if isinstance(repo, str) else None,
        policy=RefPolicy.parse(claims),
        expires_at=expires_at,
        key_id=key.key_id,
    )


def _read_subject(claim: object) -> str:
    """Return the subject as text that logs, terminals and both SQL engines accept."""
    text = claim[: limits.subject_max_chars] if isinstance(claim, str) else ""
    if text.isprintable():  # as nearly every subject is
        return text
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
