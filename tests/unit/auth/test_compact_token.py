"""The form of a token is read exactly; PyJWT agrees about what a token holds."""

import base64
import contextlib
import json

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse import limits
from packhouse.auth.compact_token import parse_compact_token
from packhouse.auth.token_refusals import TokenRefused
from tests.unit.auth.forge import claims, encode_part, forge, private_key

pytestmark = pytest.mark.quick

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=6), JSON, max_size=4)


@given(OBJECTS, OBJECTS, st.binary(min_size=1, max_size=70))
def test_a_parsed_token_has_the_header_and_claims_that_were_encoded(
    header: dict[str, object], payload: dict[str, object], signature: bytes
) -> None:
    signed = f"{encode_part(header)}.{encode_part(payload)}"
    token = parse_compact_token(f"{signed}.{encode_part(signature)}")
    assert (token.header, token.claims) == (header, payload)
    assert (token.signed_bytes, token.signature) == (signed.encode(), signature)


def test_pyjwt_parses_a_token_alike() -> None:
    text = forge(claims(sub="é\u2028"))
    token = parse_compact_token(text)
    assert token.claims == jwt.decode(
        text, private_key("ES256").public_key(), algorithms=["ES256"], options={"verify_exp": False}
    )
    assert token.header == jwt.get_unverified_header(text)


@given(st.text(max_size=40))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    # Any other failure than the one that is an answer would be a bug.
    with contextlib.suppress(TokenRefused):
        parse_compact_token(text)


PARTS = (encode_part({"alg": "ES256"}), encode_part({"iss": "acme"}), encode_part(b"signature"))


@pytest.mark.parametrize(
    ("token", "sentence"),
    [
        ("", "three parts"),
        (".".join(PARTS[:2]), "three parts"),
        (".".join((*PARTS, "x")), "three parts"),
        (".".join((*PARTS[:2], "")), "base64url"),
        (".".join((PARTS[0] + "=", *PARTS[1:])), "base64url"),
        (".".join((PARTS[0] + "\n", *PARTS[1:])), "base64url"),
        (".".join((PARTS[0], "+/+/", PARTS[2])), "base64url"),
        (".".join((PARTS[0], "é", PARTS[2])), "base64url"),
        (".".join(("A", *PARTS[1:])), "base64url"),
        (".".join((encode_part([1]), *PARTS[1:])), "JSON object"),
        (".".join((PARTS[0], encode_part(b"{"), PARTS[2])), "valid JSON"),
        (".".join((PARTS[0], encode_part(b"\xff"), PARTS[2])), "valid JSON"),
        (".".join((PARTS[0], encode_part(b'{"exp": NaN}'), PARTS[2])), "valid JSON"),
        (".".join((PARTS[0], encode_part(b'{"exp": -Infinity}'), PARTS[2])), "valid JSON"),
        (".".join((PARTS[0], encode_part(b'{"sub": "\\ud800"}'), PARTS[2])), "valid JSON"),
        (".".join((PARTS[0], encode_part(b"[" * 3000), PARTS[2])), "valid JSON"),
    ],
)
def test_a_malformed_token_is_refused_with_the_failed_check(token: str, sentence: str) -> None:
    with pytest.raises(TokenRefused, match=sentence):
        parse_compact_token(token)


def test_an_escaped_surrogate_pair_is_accepted_as_text() -> None:
    payload = encode_part(b'{"sub": "\\ud83d\\ude00"}')
    assert parse_compact_token(".".join((PARTS[0], payload, PARTS[2]))).claims == {"sub": "\U0001f600"}


def test_the_size_bound_is_checked_before_anything_is_decoded() -> None:
    filler = json.dumps({"x": "a" * limits.token_max_bytes}).encode()
    long = ".".join((PARTS[0], base64.urlsafe_b64encode(filler).decode().rstrip("="), PARTS[2]))
    with pytest.raises(TokenRefused, match="too large"):
        parse_compact_token(long)
    with pytest.raises(TokenRefused, match="three parts"):
        parse_compact_token("a" * limits.token_max_bytes)
