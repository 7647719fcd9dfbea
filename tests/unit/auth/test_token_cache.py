"""What a server remembers about tokens and keys, and when it stops believing that."""

import pytest

from packhouse import limits
from packhouse.auth.token_refusals import TokenRefused
from packhouse.auth.tokens import TokenVerifier
from packhouse.limits import DEFAULT_LIMITS, Limits
from tests.unit.auth.forge import NOW, Issuers, claims, forge, verification_key

pytestmark = pytest.mark.quick


class Server:
    """A verifier with a clock that tests move."""

    def __init__(self, issuers: Issuers, limits: Limits = DEFAULT_LIMITS) -> None:
        self.now = NOW
        self.issuers = issuers
        self.verifier = TokenVerifier(
            issuers.keyring(limits),
            clock=lambda: self.now,
            memory_max_bytes=limits.verified_tokens_max_bytes,
        )

    def pass_time(self, seconds: float) -> None:
        self.issuers.now += seconds
        self.now += int(seconds)

    def accepts(self, token: str) -> bool:
        try:
            self.verifier.verify(token)
        except TokenRefused:
            return False
        return True


def test_a_verified_token_gives_the_same_principal_with_one_query() -> None:
    issuers = Issuers(northwind=(verification_key(),))
    server = Server(issuers)
    token = forge(claims())
    first = server.verifier.verify(token)
    assert all(server.verifier.verify(token) is first for _ in range(1000))
    assert (issuers.loads, issuers.version_reads) == (1, 1)


def test_a_remembered_token_expires() -> None:
    server = Server(Issuers(northwind=(verification_key(),)))
    token = forge(claims(exp=NOW + 100))
    assert server.accepts(token)
    server.pass_time(159)
    assert server.accepts(token)
    server.pass_time(1)
    with pytest.raises(TokenRefused, match="expired"):
        server.verifier.verify(token)


def test_a_revoked_key_is_noticed_within_the_bound() -> None:
    issuers = Issuers(northwind=(verification_key(),))
    server = Server(issuers)
    token = forge(claims())
    assert server.accepts(token)
    issuers.change({"northwind": ()})
    server.pass_time(limits.keys_version_max_age_s)
    assert not server.accepts(token)


def test_an_added_key_is_noticed_within_the_bound() -> None:
    issuers = Issuers(northwind=(verification_key(),))
    server = Server(issuers)
    token = forge(claims(), number=2)
    assert not server.accepts(token)
    issuers.change({"northwind": (verification_key(number=2), verification_key())})
    server.pass_time(limits.keys_version_max_age_s)
    assert server.accepts(token)


def test_an_organisation_made_later_is_noticed_within_the_bound() -> None:
    issuers = Issuers()
    server = Server(issuers)
    assert not server.accepts(forge(claims()))
    issuers.change({"northwind": (verification_key(),)})
    server.pass_time(limits.keys_version_max_age_s)
    assert server.accepts(forge(claims()))


def test_a_new_key_of_another_organisation_does_not_void_remembered_tokens() -> None:
    issuers = Issuers(northwind=(verification_key(),))
    server = Server(issuers)
    first = server.verifier.verify(forge(claims()))
    token = forge(claims(sub="other"))
    second = server.verifier.verify(token)
    issuers.change({"zenith": (verification_key(number=2),)})
    server.pass_time(limits.keys_version_max_age_s)
    assert server.verifier.verify(token) is second
    assert first is not second


def test_tokens_of_an_organisation_are_void_for_a_new_one_with_its_name() -> None:
    issuers = Issuers(northwind=(verification_key(),))
    server = Server(issuers)
    token = forge(claims())
    old = server.verifier.verify(token)
    issuers.change({"aaa": ()})  # gives northwind another id in this double
    server.pass_time(limits.keys_version_max_age_s)
    assert server.verifier.verify(token).org_id != old.org_id


def test_many_tokens_of_unknown_issuers_make_few_queries() -> None:
    issuers = Issuers(northwind=(verification_key(),))
    server = Server(issuers)
    for number in range(500):
        assert not server.accepts(forge(claims(iss="nobody", sub=str(number % 5))))
    assert (issuers.loads, issuers.version_reads) == (1, 1)


def test_the_version_is_read_at_most_once_in_its_bound() -> None:
    issuers = Issuers(northwind=(verification_key(),))
    server = Server(issuers)
    token = forge(claims())
    for _ in range(100):
        server.accepts(token)
        server.pass_time(limits.keys_version_max_age_s / 10)
    assert issuers.version_reads <= 11


def test_keys_read_while_one_was_being_revoked_are_not_believed_later() -> None:
    issuers = Issuers(northwind=(verification_key(),))
    keyring = issuers.keyring()
    keyring.find("warm-up")
    stale = issuers.load_keys("northwind")

    def load_slowly(issuer: str) -> object:
        # While this thread holds what it read, the key is revoked and another thread learns the new version.
        issuers.change({"northwind": ()})
        issuers.now += limits.keys_version_max_age_s
        keyring._load_keys = issuers.load_keys
        assert keyring.find("northwind") is not None
        return stale

    keyring._load_keys = load_slowly  # type: ignore[assignment]  # the double returns what it read before
    assert keyring.find("northwind") is stale
    found = keyring.find("northwind")
    assert found is not None
    assert found.keys == ()


def test_the_memory_of_tokens_is_bounded() -> None:
    tokens = [forge(claims(sub=f"caller {number:02}")) for number in range(10)]
    issuers = Issuers(northwind=(verification_key(),))
    bounds = Limits(verified_tokens_max_bytes=3 * (len(tokens[0]) + 512), cached_issuers_max=2)
    server = Server(issuers, bounds)
    assert all(server.accepts(token) for token in tokens * 2)
    assert len(server.verifier._verified) == 3
    rules = [[f"branch{number}", []] for number in range(100)]
    large = forge(claims(refs=rules))
    assert server.accepts(large)
    assert server.verifier.recall(large) is None, "one that takes more memory than all may is not remembered"
    for number in range(10):
        server.accepts(forge(claims(iss=f"nobody{number}")))
    assert len(server.verifier._keyring._entries) == 2


def test_no_token_is_kept_in_clear_text() -> None:
    server = Server(Issuers(northwind=(verification_key(),)))
    token = forge(claims())
    server.accepts(token)
    remembered = server.verifier._verified._entries
    assert remembered
    assert token.encode() not in b"".join(remembered)
    assert all(token not in repr(entry) for entry in remembered.values())


def test_a_verified_token_is_recalled_without_a_query_until_a_key_may_have_changed() -> None:
    issuers = Issuers(northwind=(verification_key(),))
    server = Server(issuers)
    token = forge(claims(exp=NOW + 1))
    assert server.verifier.recall(token) is None
    principal = server.verifier.verify(token)
    assert server.verifier.recall(token) is principal
    server.pass_time(limits.keys_version_max_age_s)
    assert server.verifier.recall(token) is None
    assert server.verifier.verify(token) is principal
    assert server.verifier.recall(token) is principal
    server.now = NOW + 61
    assert server.verifier.recall(token) is None
    assert not server.accepts(token)
    server.now = NOW
    issuers.change({"northwind": ()})
    server.pass_time(limits.keys_version_max_age_s)
    assert not server.accepts(token)
    assert server.verifier.recall(token) is None
