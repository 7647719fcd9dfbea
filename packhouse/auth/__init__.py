"""Tokens, scopes and ref policies: may this caller do this to this repository?"""

from packhouse.auth.keyring import KeyRing, OrgKeys, VerificationKey
from packhouse.auth.minting import (
    PrivateKey,
    RefRules,
    encode_private_key,
    make_private_key,
    parse_private_key,
    public_pem_of,
    refs_claim,
    sign_token,
)
from packhouse.auth.policy import KNOWN_OPS, NO_PUSH, VERIFY_SIG, PolicyDenied, RefPolicy
from packhouse.auth.principal import (
    ORGANISATION_CLAIM,
    Principal,
    RepoClaimMismatch,
    ScopeMissing,
    operator_principal,
    upstream_principal,
)
from packhouse.auth.public_keys import KeyRejected, encode_public_key, key_algorithm, parse_public_key
from packhouse.auth.scopes import Scope
from packhouse.auth.sealing import SealBroken, Sealed, SecretKeyMissing, SecretKeys
from packhouse.auth.token_refusals import TokenTooLarge
from packhouse.auth.tokens import TokenVerifier

__all__ = [
    "KNOWN_OPS",
    "NO_PUSH",
    "ORGANISATION_CLAIM",
    "VERIFY_SIG",
    "KeyRejected",
    "KeyRing",
    "OrgKeys",
    "PolicyDenied",
    "Principal",
    "PrivateKey",
    "RefPolicy",
    "RefRules",
    "RepoClaimMismatch",
    "Scope",
    "ScopeMissing",
    "SealBroken",
    "Sealed",
    "SecretKeyMissing",
    "SecretKeys",
    "TokenTooLarge",
    "TokenVerifier",
    "VerificationKey",
    "encode_private_key",
    "encode_public_key",
    "key_algorithm",
    "make_private_key",
    "operator_principal",
    "parse_private_key",
    "parse_public_key",
    "public_pem_of",
    "refs_claim",
    "sign_token",
    "upstream_principal",
]
