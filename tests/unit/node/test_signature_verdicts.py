"""A verdict on a signature counts for its commit, its keys and a short while."""

import pytest

from packhouse import limits
from packhouse.git.oid import hash_object
from packhouse.ids import RepoKey
from packhouse.node.signature_verdicts import SignatureVerdicts

pytestmark = pytest.mark.quick

REPO = RepoKey(1)
OTHER = RepoKey(2)
OIDS = [hash_object("blob", b"%d" % number) for number in range(20)]


KEYS = frozenset({"key_1"})


def test_a_verdict_is_valid_for_a_while() -> None:
    verdicts = SignatureVerdicts(verdicts_max=10)
    verdicts.put(REPO, KEYS, OIDS[0], now=100, signed=True)
    verdicts.put(REPO, KEYS, OIDS[1], now=100, signed=False)
    last = 100 + limits.signature_verdict_max_age_s
    assert verdicts.get(REPO, KEYS, OIDS[0], now=last) is True
    assert verdicts.get(REPO, KEYS, OIDS[1], now=last) is False
    assert verdicts.get(REPO, KEYS, OIDS[0], now=last + 0.01) is None


def test_a_clock_that_goes_back_does_not_renew_a_verdict() -> None:
    verdicts = SignatureVerdicts(verdicts_max=10)
    verdicts.put(REPO, KEYS, OIDS[0], now=100, signed=True)
    assert verdicts.get(REPO, KEYS, OIDS[0], now=99.9) is None


def test_other_keys_commits_and_repositories_have_separate_verdicts() -> None:
    verdicts = SignatureVerdicts(verdicts_max=10)
    verdicts.put(REPO, KEYS, OIDS[0], now=100, signed=True)
    assert verdicts.get(REPO, frozenset({"key_1", "key_2"}), OIDS[0], now=100) is None
    assert verdicts.get(REPO, KEYS, OIDS[1], now=100) is None
    assert verdicts.get(OTHER, KEYS, OIDS[0], now=100) is None


def test_verdicts_are_bounded_in_number() -> None:
    verdicts = SignatureVerdicts(verdicts_max=2)
    for oid in OIDS[:3]:
        verdicts.put(REPO, KEYS, oid, now=100, signed=True)
    assert verdicts.get(REPO, KEYS, OIDS[0], now=100) is None
