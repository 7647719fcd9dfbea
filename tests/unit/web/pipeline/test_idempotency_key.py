"""The Idempotency-Key field: a string in quotes or bare text."""

import pytest

from packhouse.errors import Invalid
from packhouse.repository.refs.receipts import KeyTaken
from packhouse.web.errors import describe_failure
from packhouse.web.pipeline.idempotency_key import read_key
from packhouse.web.pipeline.writes import KeyReused

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("field", "key"),
    [
        ('"8e03978e-40d5-43dd-bc93-6894a57f9324"', "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ('\t "k" ', "k"),
        ('"a, b; c"', "a, b; c"),
        (r'"say \"yes\" \\ no"', r'say "yes" \ no'),
        ('"k";ttl=60; mode="x";flag', "k"),
        ("order-12/retry:3 of 4", "order-12/retry:3 of 4"),
        ("a;b=c", "a;b=c"),
        ("k" * 255, "k" * 255),
        ('"' + r"\"" * 255 + '"', '"' * 255),
    ],
)
def test_a_key_is_a_string_in_quotes_or_the_bare_text(field: str, key: str) -> None:
    assert read_key([field]) == key


def test_a_request_without_the_field_has_no_key() -> None:
    assert read_key([]) is None


@pytest.mark.parametrize(
    "field",
    [
        "",
        " ",
        '""',
        '"  "',
        '"',
        '"open',
        'open"',
        '"a" b',
        '"a", "b"',
        "a, b",
        r'"\x"',
        '"a";',
        '"a";=1',
        "caf\xe9",
        '"caf\xe9"',
        "a\tb",
        "k" * 256,
        '"' + "k" * 256 + '"',
    ],
)
def test_any_other_value_is_refused(field: str) -> None:
    with pytest.raises(Invalid):
        read_key([field])


def test_two_fields_are_refused() -> None:
    with pytest.raises(Invalid):
        read_key(["a", "a"])


def test_a_key_in_use_is_answered_409_and_a_key_of_another_request_422() -> None:
    busy, reused = describe_failure(KeyTaken()), describe_failure(KeyReused())
    assert (busy.status, busy.result_status) == (409, "conflict")
    assert busy.sentence == "a request with this Idempotency-Key is in progress, please retry"
    assert (reused.status, reused.result_status) == (422, "invalid")
    assert reused.sentence == "this Idempotency-Key was used for another request, use a new one"
