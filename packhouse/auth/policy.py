"""Ref policies: ordered rules in a token about which refs it may change, and how.

The claim `refs` is an ordered list of `[pattern, [op, …]]`. The first pattern that matches a ref decides. An empty list
of ops allows everything, and so does no match. The claim `ops` is the older form: ops for every ref. docs/howto/keys.md
tells the same to issuers of tokens.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from packhouse.errors import Code, Denied
from packhouse.git import EPHEMERAL, Oid, RefName, is_refname

NO_PUSH: Final = "no-push"
NO_FORCE_PUSH: Final = "no-force-push"
VERIFY_SIG: Final = "verify-sig"

KNOWN_OPS = frozenset({NO_PUSH, NO_FORCE_PUSH, VERIFY_SIG})
_PRINTABLE_OP = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_NO_OPS: Final[frozenset[str]] = frozenset()
_EVERYTHING: Final = b"*"
_SYMBOLIC_HEAD: Final = b"HEAD"
_EPHEMERAL_PREFIX: Final = b"refs/namespaces/" + EPHEMERAL.encode("ascii") + b"/"


class RefChange(Enum):
    """The effect of an update on its ref. A moved tag is FORCED unless the new target descends from the old one."""

    CREATE = "create"
    FAST_FORWARD = "fast-forward"
    FORCED = "forced"
    DELETE = "delete"


class PolicyDenied(Denied):
    """The token's ref policy refuses this change of this ref.

    The sentence for users starts with `denied by policy`, which clients look for. `op` has no character that could
    break a protocol line, whatever the token says.
    """

    code = Code.POLICY_DENIED
    refname: str
    op: str

    def __init__(self, refname: bytes, op: str) -> None:
        self.refname = refname.decode("utf-8", "replace")
        self.op = op if _PRINTABLE_OP.fullmatch(op) else "unknown operation"


class PolicyUnusable(Denied):
    """The token's `refs` or `ops` claim is malformed, so the token may not write at all."""

    code = Code.POLICY_UNUSABLE
    reason: str


@dataclass(frozen=True, slots=True)
class RefRule:
    """One entry of the policy. `pattern` is `*`, `HEAD`, a full refname, or a prefix that ends in `/*`."""

    pattern: bytes
    ops: frozenset[str]

    def matches(self, name: bytes) -> bool:
        """Tell whether the rule is for the full refname `name`. `HEAD` matches no ref that can change."""
        if self.pattern == _EVERYTHING:
            return True
        if self.pattern.endswith(b"/*"):
            return name.startswith(self.pattern[:-1])
        return name == self.pattern and name != _SYMBOLIC_HEAD


@dataclass(frozen=True, slots=True)
class RefPolicy:
    """The rules of a token, in order. With an `invalid` reason the token may read but not write."""

    rules: tuple[RefRule, ...] = ()
    invalid: str = ""

    @classmethod
    def parse(cls, claims: Mapping[str, object]) -> "RefPolicy":
        """Return the policy of the claims `refs` and `ops`. Malformed claims give an invalid policy.

        Never raises. Reads ignore policies, so a malformed one matters only when the caller writes.
        """
        try:
            rules = _parse_refs(claims["refs"]) if "refs" in claims else []
            if "ops" in claims:
                rules = _merge_legacy_ops(rules, _parse_ops(claims["ops"]))
        except _Malformed as fault:
            return cls(invalid=fault.reason)
        return cls(rules=tuple(rules)) if rules else _WITHOUT_RULES

    def require_usable(self) -> None:
        """Check that the token may write at all. Raises PolicyUnusable if its claims are malformed."""
        if self.invalid:
            raise PolicyUnusable(self.invalid)

    def ops_for(self, namespace: str, refname: RefName) -> frozenset[str]:
        """Return the ops of the first rule that matches the ref; no ops if no rule matches.

        A ref of the ephemeral namespace matches by the name that clients see (`refs/heads/x`) or by the stored name
        (`refs/namespaces/ephemeral/refs/heads/x`). Raises PolicyUnusable.
        """
        self.require_usable()
        stored = _EPHEMERAL_PREFIX + refname if namespace == EPHEMERAL else refname
        for rule in self.rules:
            if rule.matches(refname) or rule.matches(stored):
                return rule.ops
        return _NO_OPS

    def check_update(
        self,
        namespace: str,
        refname: RefName,
        *,
        old_oid: Oid | None,
        new_oid: Oid | None,
        is_fast_forward: Callable[[], bool],
        signatures_verify: Callable[[], bool] | None = None,
    ) -> None:
        """Check that the ref may go from one value to another. Raises PolicyDenied or PolicyUnusable.

        None as a value means that the ref does not exist. `is_fast_forward` tells whether the new value descends from
        the old one. It is called only if there is a rule for the ref and both values exist. See decide().
        """
        if not self.ops_for(namespace, refname):
            return
        if new_oid is None:
            change = RefChange.DELETE
        elif old_oid is None:
            change = RefChange.CREATE
        else:
            change = RefChange.FAST_FORWARD if is_fast_forward() else RefChange.FORCED
        self.decide(namespace, refname, change, signatures_verify=signatures_verify)

    def decide(
        self,
        namespace: str,
        refname: RefName,
        change: RefChange,
        *,
        signatures_verify: Callable[[], bool] | None = None,
    ) -> None:
        """Check that the change is allowed. Raises PolicyDenied or PolicyUnusable.

        `signatures_verify` tells whether each commit that the update introduces has a signature of a registered key. It
        is called only if a rule needs it. Without it, a ref with such a rule cannot be written: commits that the server
        makes are unsigned. A deletion introduces no commit. An unknown op refuses the change, so that a rule of a newer
        release also protects on an older server.
        """
        ops = self.ops_for(namespace, refname)
        if NO_PUSH in ops:
            raise PolicyDenied(refname, NO_PUSH)
        unknown = sorted(ops - KNOWN_OPS)
        if unknown:
            raise PolicyDenied(refname, unknown[0])
        # A deletion counts as forced: otherwise deleting and recreating the ref would get round the rule.
        if NO_FORCE_PUSH in ops and change in (RefChange.FORCED, RefChange.DELETE):
            raise PolicyDenied(refname, NO_FORCE_PUSH)
        if VERIFY_SIG not in ops or change is RefChange.DELETE:
            return
        if signatures_verify is None or not signatures_verify():
            raise PolicyDenied(refname, VERIFY_SIG)


_WITHOUT_RULES: Final = RefPolicy()
"""The policy of most tokens: one object for thousands of remembered tokens."""


class _Malformed(Exception):
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _parse_refs(claim: object) -> list[RefRule]:
    if not isinstance(claim, list):
        raise _Malformed("refs is not a list")
    rules = []
    for entry in claim:
        if not isinstance(entry, list) or len(entry) != 2:
            raise _Malformed("an entry of refs is not a pair of pattern and operations")
        rules.append(RefRule(_parse_pattern(entry[0]), _parse_ops(entry[1])))
    return rules


def _parse_ops(claim: object) -> frozenset[str]:
    if not isinstance(claim, list) or not all(isinstance(op, str) for op in claim):
        raise _Malformed("operations are not a list of strings")
    return frozenset(claim)


def _parse_pattern(pattern: object) -> bytes:
    if not isinstance(pattern, str):
        raise _Malformed("a pattern of refs is not a string")
    if pattern in ("*", "HEAD"):
        return pattern.encode("ascii")
    full = pattern if pattern.startswith("refs/") else f"refs/heads/{pattern}"
    try:
        encoded = full.encode("utf-8")
    except UnicodeEncodeError:
        raise _Malformed("a pattern of refs is not valid Unicode") from None
    # A pattern that no ref can match would silently protect nothing. The issuer meant something else.
    example = encoded[:-1] + b"x" if encoded.endswith(b"/*") else encoded
    if not is_refname(example):
        raise _Malformed("a pattern of refs is neither a ref name nor a prefix that ends in /*")
    return encoded


def _merge_legacy_ops(rules: list[RefRule], ops: frozenset[str]) -> list[RefRule]:
    """Return `rules` with `ops` added to the entry for `*`, or in a new last entry if there is none."""
    for position, rule in enumerate(rules):
        if rule.pattern == _EVERYTHING:
            merged = RefRule(rule.pattern, rule.ops | ops)
            return [*rules[:position], merged, *rules[position + 1 :]]
    return [*rules, RefRule(_EVERYTHING, ops)]
