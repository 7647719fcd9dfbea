"""Which tokens are believed, and which sentence tells that one is not."""

import base64
import hashlib
import hmac
import json
from contextlib import suppress

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.auth.principal import Principal
from packhouse.auth.public_keys import encode_public_key
from packhouse.auth.scopes import Scope
from packhouse.auth.token_refusals import TokenRefused
from packhouse.auth.tokens import TokenVerifier
from packhouse.errors import Unauthenticated
from tests.unit.auth.forge import (
    NOW,
    Issuers,
    claims,
    encode_part,
    forge,
    private_key,
    verification_key,
)

pytestmark = pytest.mark.quick

ALGORITHMS = ["ES256", "RS256", "EdDSA"]


def make_verifier(*, now: int = NOW, issuers: Issuers | None = None) -> TokenVerifier:
    if issuers is None:
        issuers = Issuers(northwind=tuple(verification_key(name) for name in ALGORITHMS))
    return TokenVerifier(issuers.keyring(), clock=lambda: now)


def verify(token: str, *, now: int = NOW) -> Principal:
    return make_verifier(now=now).verify(token)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_token_of_each_algorithm_gives_its_principal(algorithm: str) -> None:
    principal = verify(forge(claims(), algorithm=algorithm))
    assert principal.org_name == "northwind"
    assert principal.subject == "@pierre/storage"
    assert principal.scopes == {Scope.GIT_READ}
    assert principal.repo_claim == "apps/shop"
    assert principal.expires_at == NOW + 3600
    assert principal.key_id == f"key_{algorithm}1"


def test_a_token_that_pyjwt_encodes_is_accepted() -> None:
    token = jwt.encode(claims(), private_key("ES256"), algorithm="ES256")
    assert verify(token).org_name == "northwind"


def test_git_write_includes_git_read_and_no_other_scope_includes_another() -> None:
    assert verify(forge(claims(scopes=["git:write"]))).scopes == {Scope.GIT_WRITE, Scope.GIT_READ}
    assert verify(forge(claims(scopes=["repo:write"]))).scopes == {Scope.REPO_WRITE}
    assert verify(forge(claims(scopes=["org:read"]))).scopes == {Scope.ORG_READ}


def test_unknown_scopes_are_ignored() -> None:
    token = forge(claims(scopes=["deployment:write", 7, None, ["git:write"], "git:read"]))
    assert verify(token).scopes == {Scope.GIT_READ}


def test_the_lifetime_of_a_token_has_no_limit() -> None:
    assert verify(forge(claims(exp=NOW + 366 * 86400))).org_name == "northwind"
    assert verify(forge(claims(exp=10**300))).org_name == "northwind"
    assert verify(forge(claims(exp=1e300))).org_name == "northwind"


def test_other_claims_and_typ_are_ignored() -> None:
    header = {"alg": "ES256", "typ": "at+jwt", "kid": 17}
    token = forge(claims(aud="elsewhere", jti="1", sub=["x"]), header=header)
    assert verify(token).subject == ""


def test_a_subject_is_made_into_text_that_logs_and_databases_accept() -> None:
    assert verify(forge(claims(sub="a\0b\n\x1b[31mc\u202e"))).subject == "a\ufffdb\ufffd\ufffd[31mc\ufffd"
    assert verify(forge(claims(sub="Ad\u00e8le"))).subject == "Ad\u00e8le"


@pytest.mark.parametrize("missing", ["sub", "repo", "iat"])
def test_optional_claims_may_be_absent(missing: str) -> None:
    assert verify(forge(claims(**{missing: ...}))).org_name == "northwind"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"exp": ...}, "token has no expiry time"),
        ({"exp": None}, "token time is not a number"),
        ({"exp": True}, "token time is not a number"),
        ({"exp": str(NOW + 60)}, "token time is not a number"),
        ({"exp": [NOW + 60]}, "token time is not a number"),
        ({"exp": NOW - 60}, "token expired"),
        ({"exp": NOW - 60.5}, "token expired"),
        ({"exp": -(10**300)}, "token expired"),
        ({"exp": 0}, "token expired"),
        ({"nbf": NOW + 61}, "token is not yet valid"),
        ({"nbf": "soon"}, "token time is not a number"),
        ({"iat": NOW + 61}, "token was issued in the future"),
        ({"iat": False}, "token time is not a number"),
        ({"iss": ...}, "token has no issuer"),
        ({"iss": 7}, "token has no issuer"),
        ({"iss": "contoso"}, "token issuer is unknown"),
        ({"iss": "Northwind"}, "token issuer is unknown"),
        ({"iss": ""}, "token issuer is unknown"),
        ({"iss": "north\0wind"}, "token issuer is unknown"),
        ({"iss": "n" * 5000}, "token issuer is unknown"),
        ({"scopes": ...}, "token scopes are missing or not a list"),
        ({"scopes": "git:read"}, "token scopes are missing or not a list"),
        ({"scopes": {"git:read": True}}, "token scopes are missing or not a list"),
        ({"repo": None}, "token repo claim is not a string"),
        ({"repo": ["apps/shop"]}, "token repo claim is not a string"),
    ],
)
def test_a_wrong_claim_is_refused_with_its_sentence(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(TokenRefused) as refusal:
        verify(forge(claims(**change)))
    assert str(refusal.value) == sentence


def test_times_have_sixty_seconds_of_leeway() -> None:
    assert verify(forge(claims(exp=NOW - 59))).org_name == "northwind"
    assert verify(forge(claims(nbf=NOW + 60, iat=NOW + 60))).org_name == "northwind"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b'"text"',
        b"{",
        b"\xff\xfe{}",
        b"[" * 9000,
        b'{"a":' * 1500 + b"1" + b"}" * 1500,
        b'{"exp":1e999}',
        b'{"exp":NaN}',
        b'{"exp":Infinity}',
        b'{"exp":' + b"9" * 5000 + b"}",
        b'{"repo":"\\ud800"}',
        b'{"\\udc00":1}',
        json.dumps(claims()).encode("utf-16"),
    ],
)
def test_undecodable_claims_are_refused(payload: bytes) -> None:
    with pytest.raises(TokenRefused):
        verify(forge(payload))


def good_with(name: str, value: str) -> bytes:
    return json.dumps(claims(**{name: "PLACE"})).replace('"PLACE"', value).encode()


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
def test_a_time_that_is_not_a_finite_number_is_refused(name: str, value: str) -> None:
    with pytest.raises(TokenRefused):
        verify(forge(good_with(name, value)))


@pytest.mark.parametrize(
    "token", ["", ".", "..", "a.b", "a.b.c.d", "a.b.c.d.e", "é.b.c", "a b.c.d", "a=.b.c"]
)
def test_text_that_is_not_a_token_is_refused(token: str) -> None:
    with pytest.raises(TokenRefused):
        verify(token)


@pytest.mark.parametrize("addition", ["\n", " ", "=", "\ud800", "+", "é"])
def test_a_token_with_added_bytes_is_refused(addition: str) -> None:
    token = forge(claims())
    assert verify(token).repo_claim == "apps/shop"
    for spoiled in (token + addition, addition + token, token.replace(".", addition + ".", 1)):
        with pytest.raises(TokenRefused):
            verify(spoiled)


def test_a_token_above_sixteen_kib_is_refused_before_it_is_read() -> None:
    fitting = forge(claims(sub="x" * 11_500))
    assert len(fitting) <= 16 * 1024
    assert len(verify(fitting).subject) == 255
    with pytest.raises(TokenRefused, match="too large"):
        verify(forge(claims(sub="x" * 12_500)))


@pytest.mark.parametrize(
    "alg", ["none", "None", "NONE", "", "HS256", "ES384", "PS256", "Ed25519", None, 1, ["ES256"]]
)
def test_an_algorithm_outside_the_list_is_refused_before_any_key_is_chosen(alg: object) -> None:
    issuers = Issuers(northwind=(verification_key(),))
    with pytest.raises(TokenRefused, match="algorithm"):
        make_verifier(issuers=issuers).verify(forge(claims(), header={"alg": alg}))
    assert issuers.loads == 0


def test_a_token_without_signature_is_refused() -> None:
    head, body, _ = forge(claims()).split(".")
    with pytest.raises(TokenRefused):
        verify(f"{head}.{body}.")
    with pytest.raises(TokenRefused):
        verify(f"{encode_part({'alg': 'none'})}.{body}.")


def test_a_token_signed_with_the_public_key_as_a_secret_is_refused() -> None:
    pem = encode_public_key(private_key("RS256").public_key()).encode()
    parts = f"{encode_part({'alg': 'HS256'})}.{encode_part(claims())}"
    signature = base64.urlsafe_b64encode(hmac.new(pem, parts.encode(), hashlib.sha256).digest()).rstrip(b"=")
    with pytest.raises(TokenRefused, match="algorithm"):
        verify(f"{parts}.{signature.decode()}")


@pytest.mark.parametrize("said", ALGORITHMS)
@pytest.mark.parametrize("signed", ALGORITHMS)
def test_the_key_must_fit_the_algorithm_that_the_header_names(said: str, signed: str) -> None:
    issuers = Issuers(northwind=(verification_key(signed),))
    token = forge(claims(), header={"alg": said}, algorithm=signed)
    if said == signed:
        assert make_verifier(issuers=issuers).verify(token).key_id == f"key_{signed}1"
    else:
        with pytest.raises(TokenRefused):
            make_verifier(issuers=issuers).verify(token)


def test_an_embedded_key_and_critical_extensions_are_refused() -> None:
    with pytest.raises(TokenRefused, match="critical"):
        verify(forge(claims(), header={"alg": "ES256", "crit": ["b64"], "b64": False}))
    foreign = jwt.get_algorithm_by_name("ES256").to_jwk(private_key("ES256", 9).public_key(), as_dict=True)
    with pytest.raises(TokenRefused, match="no active key"):
        verify(forge(claims(), header={"alg": "ES256", "jwk": foreign}, number=9))


def test_another_key_or_a_changed_claim_does_not_verify() -> None:
    with pytest.raises(TokenRefused, match="no active key"):
        verify(forge(claims(), number=2))
    head, _, signature = forge(claims()).split(".")
    with pytest.raises(TokenRefused, match="no active key"):
        verify(f"{head}.{encode_part(claims(scopes=['git:write']))}.{signature}")


def test_a_key_of_one_organisation_does_not_verify_tokens_of_another() -> None:
    issuers = Issuers(northwind=(verification_key(number=1),), contoso=(verification_key(number=2),))
    verifier = make_verifier(issuers=issuers)
    assert verifier.verify(forge(claims(iss="contoso"), number=2)).org_name == "contoso"
    with pytest.raises(TokenRefused):
        verifier.verify(forge(claims(iss="contoso"), number=1))


@pytest.mark.parametrize("kid", ["second", "unknown", "", "key_ES2563", None])
def test_all_keys_are_tried_whatever_the_kid_says(kid: str | None) -> None:
    keys = tuple(verification_key(number=n, kid=name) for n, name in [(1, ""), (2, "second"), (3, "third")])
    verifier = make_verifier(issuers=Issuers(northwind=keys))
    for number in (1, 2, 3):
        token = forge(claims(), header={"alg": "ES256", "kid": kid}, number=number)
        assert verifier.verify(token).key_id == f"key_ES256{number}"


def test_the_key_that_the_kid_names_is_tried_first() -> None:
    same = [verification_key(number=1, key_id=name, kid=name) for name in ("new", "old")]
    verifier = make_verifier(issuers=Issuers(northwind=tuple(same)))
    assert verifier.verify(forge(claims())).key_id == "new"
    assert verifier.verify(forge(claims(), header={"alg": "ES256", "kid": "old"})).key_id == "old"


def test_a_token_of_an_organisation_without_keys_is_refused_with_that_reason() -> None:
    with pytest.raises(TokenRefused, match="no active key"):
        make_verifier(issuers=Issuers(northwind=())).verify(forge(claims()))


@given(st.text(max_size=300))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(Unauthenticated):
        verify(text)


@given(
    st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists, max_leaves=9)
)
def test_no_value_of_a_claim_causes_a_crash(value: object) -> None:
    for name in ("iss", "exp", "nbf", "iat", "scopes", "repo", "refs", "ops", "sub"):
        with suppress(TokenRefused):
            verify(forge(claims(**{name: value})))


def test_no_refusal_repeats_the_token() -> None:
    token = forge(claims(exp=1))
    with pytest.raises(TokenRefused) as refusal:
        verify(token)
    assert not any(part in str(refusal.value) for part in token.split("."))
