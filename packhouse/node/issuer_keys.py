"""Turns key rows into keys that verify tokens."""

import logging

from packhouse.auth import (
    KeyRejected,
    KeyRing,
    OrgKeys,
    TokenVerifier,
    VerificationKey,
    key_algorithm,
    parse_public_key,
)
from packhouse.clock import Clock
from packhouse.db import Key, find_org, get_keys_version, list_keys
from packhouse.db.engines.database import Database
from packhouse.limits import Limits
from packhouse.log import log_event


def make_token_verifier(database: Database, clock: Clock, limits: Limits) -> TokenVerifier:
    """Return a verifier that trusts the active keys in `database`. It notices a change within seconds."""
    return TokenVerifier(
        KeyRing(
            lambda issuer: load_org_keys(database, issuer),
            lambda: _load_keys_version(database),
            issuers_max=limits.cached_issuers_max,
        ),
        clock=clock,
        memory_max_bytes=limits.verified_tokens_max_bytes,
    )


def load_org_keys(database: Database, org_name: str) -> OrgKeys | None:
    """Return the organisation's active keys, newest first; None if there is no such organisation."""
    with database.snapshot() as session:
        org = find_org(session, org_name)
        if org is None:
            return None
        rows = list_keys(session, org.id, active_only=True)
    keys = (_make_verification_key(row) for row in rows)
    return OrgKeys(org.id, org.name, tuple(key for key in keys if key is not None))


def _load_keys_version(database: Database) -> int:
    with database.read() as session:
        return get_keys_version(session)


def _make_verification_key(row: Key) -> VerificationKey | None:
    try:
        public_key = parse_public_key(row.public_pem)
    except KeyRejected as fault:
        # Keys are checked when they are added. This one was added under other rules, or by hand.
        log_event("key can not be used", level=logging.WARNING, key_id=row.key_id, reason=fault.reason)
        return None
    return VerificationKey(row.key_id, row.kid, key_algorithm(public_key), public_key)
