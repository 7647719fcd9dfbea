"""Only the needed members of JSON are decoded."""

import json
import tracemalloc

import pytest

from packhouse.errors import Invalid
from packhouse.web.json.text import decode_json, decode_members, split_object

pytestmark = pytest.mark.quick

MANY = b"[" + b"[]," * 400_000 + b"1]"


def test_members_that_nobody_needs_are_skipped_without_being_built() -> None:
    text = b'{"later":' + MANY + b',"known":[1,{"a":"b"}]}'
    tracemalloc.start()
    members = decode_members(text, ("known", "absent"))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert members == {"known": [1, {"a": "b"}]}
    assert peak_bytes < 4 * len(text)  # decoded objects would take more than twenty times as much


def test_a_member_holds_a_bounded_number_of_values() -> None:
    with pytest.raises(Invalid, match="too many values"):
        decode_members(b'{"known":' + MANY + b"}", ("known",))
    assert len(decode_json(b"[" + b"1," * 9 + b"1]", values_max=10)) == 10
    with pytest.raises(Invalid, match="too many values"):
        decode_json(b"[" + b"1," * 10 + b"1]", values_max=10)


def test_a_text_is_one_value_whatever_it_holds() -> None:
    text = "[{,}]" * 100_000
    assert decode_members(json.dumps({"note": text}).encode(), ("note",)) == {"note": text}


def test_names_are_compared_after_their_escapes_and_the_last_of_equal_ones_counts() -> None:
    text = rb'{"caf\u00e9":1,"caf\u00e9":2,"n":null}'
    assert split_object(text, ("caf\u00e9", "n")) == {"caf\u00e9": b"2", "n": b"null"}


@pytest.mark.parametrize("text", [b"[]", b"null", b'"x"', b"1", b"true"])
def test_text_that_is_not_a_json_object_is_refused(text: bytes) -> None:
    assert split_object(text, ("a",)) is None
    with pytest.raises(Invalid, match="expected a JSON object"):
        decode_members(text, ("a",))


@pytest.mark.parametrize(
    "skipped", [b'"\xff"', b'"\\ud800"', b"NaN", b"01", b"tru", b'"\n"', b"[1,]", b"[" * 5000]
)
def test_skipped_members_must_be_json_too(skipped: bytes) -> None:
    with pytest.raises(Invalid, match="request body"):
        split_object(b'{"later":' + skipped + b"}", ("a",))
