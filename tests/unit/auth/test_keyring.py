"""The keys of issuers are kept while the database says that none has changed."""

import pytest

from packhouse import limits
from packhouse.auth.keyring import OrgKeys
from tests.unit.auth.forge import Issuers, verification_key

pytestmark = pytest.mark.quick

KEY = verification_key(number=1)
OTHER = verification_key(number=2)
AGE_MAX_S = limits.keys_version_max_age_s


@pytest.fixture
def issuers() -> Issuers:
    return Issuers(acme=(KEY,), globex=())


def test_an_issuer_is_read_once_and_then_remembered(issuers: Issuers) -> None:
    ring = issuers.keyring()
    found = ring.find("acme")
    assert found == OrgKeys(1, "acme", (KEY,))
    assert ring.find("acme") is found
    assert (issuers.loads, issuers.version_reads) == (1, 1)


def test_an_organisation_knows_the_ids_of_its_keys() -> None:
    assert OrgKeys(1, "acme", (KEY, OTHER)).key_ids == {KEY.key_id, OTHER.key_id}


def test_unknown_issuers_are_remembered_too(issuers: Issuers) -> None:
    ring = issuers.keyring()
    assert [ring.find("nobody") for _ in range(3)] == [None] * 3
    assert issuers.loads == 1


def test_the_version_is_read_again_when_it_is_old(issuers: Issuers) -> None:
    ring = issuers.keyring()
    ring.find("acme")
    issuers.now = AGE_MAX_S - 0.001
    ring.find("acme")
    assert issuers.version_reads == 1
    issuers.now = AGE_MAX_S
    ring.find("acme")
    assert (issuers.version_reads, issuers.loads) == (2, 1)


def test_a_new_version_makes_every_entry_stale(issuers: Issuers) -> None:
    ring = issuers.keyring()
    ring.find("acme")
    ring.find("nobody")
    issuers.change({"acme": (OTHER,), "nobody": (KEY,)})
    issuers.now = AGE_MAX_S
    found, born = ring.find("acme"), ring.find("nobody")
    assert found is not None and found.keys == (OTHER,)
    assert born is not None and born.keys == (KEY,)


def test_a_change_is_seen_only_after_the_age_bound(issuers: Issuers) -> None:
    ring = issuers.keyring()
    ring.find("acme")
    issuers.change({"acme": ()})
    before = ring.find("acme")
    assert before is not None and before.keys == (KEY,)
    issuers.now = AGE_MAX_S
    after = ring.find("acme")
    assert after is not None and after.keys == ()


class RevokedMeanwhile(Issuers):
    """A database that is slow once: a key is revoked while its keys are read."""

    def load_keys(self, issuer: str) -> OrgKeys | None:
        found = super().load_keys(issuer)
        if self.loads == 1:
            self.change({issuer: ()})
        return found


def test_keys_read_while_one_is_revoked_are_not_believed_afterwards() -> None:
    issuers = RevokedMeanwhile(acme=(KEY,))
    ring = issuers.keyring()
    ring.find("acme")
    issuers.now = AGE_MAX_S
    found = ring.find("acme")
    assert found is not None and found.keys == ()


def test_a_recall_makes_no_query(issuers: Issuers) -> None:
    ring = issuers.keyring()
    assert ring.recall("acme") is None
    assert (issuers.loads, issuers.version_reads) == (0, 0)
    found = ring.find("acme")
    assert ring.recall("acme") is found
    issuers.now = AGE_MAX_S
    assert ring.recall("acme") is None
    assert (issuers.loads, issuers.version_reads) == (1, 1)


def test_the_number_of_issuers_has_a_bound(issuers: Issuers) -> None:
    ring = issuers.keyring(limits.Limits(cached_issuers_max=2))
    for name in ("a", "b", "acme", "a"):
        ring.find(name)
    assert issuers.loads == 4
    ring.find("acme")
    assert issuers.loads == 4
