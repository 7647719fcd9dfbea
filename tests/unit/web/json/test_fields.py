"""Reading queries and JSON objects by the rules that all endpoints share."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.errors import Invalid
from packhouse.web.json.fields import Verbatim, page_limit, parse_object, parse_query
from packhouse.web.json.text import decode_json
from packhouse.web.sentences import write_sentence

pytestmark = pytest.mark.quick


class Person(msgspec.Struct, kw_only=True):
    name: str
    date: str | None = None


class Sample(msgspec.Struct, kw_only=True):
    ref: str = ""
    path: Verbatim = ""
    paths: list[str] = []
    ephemeral: bool = False
    limit: int = 0
    author: Person | None = None


class Needy(msgspec.Struct, kw_only=True):
    target_branch: str
    target_is_ephemeral: bool = False


def query(text: str, where: str = "") -> Sample:
    return parse_query(text.encode(), Sample, where=where)


def body(raw: Any, where: str = "") -> Sample:
    return parse_object(raw, Sample, where=where)


def sentence(error: pytest.ExceptionInfo[Invalid]) -> str:
    return write_sentence(error.value)


def test_text_is_trimmed_and_blank_text_is_absent() -> None:
    assert body({"ref": " main\t"}).ref == "main"
    assert query("ref=+main%0a").ref == "main"
    assert body({"ref": "  "}).ref == ""


def test_paths_are_not_trimmed() -> None:
    assert body({"path": " a "}).path == " a "
    assert query("path=+a").path == " a"


def test_null_is_absent() -> None:
    assert body({"ref": None, "paths": None, "ephemeral": None, "limit": None, "author": None}) == Sample()


def test_unknown_members_are_ignored() -> None:
    assert body({"color": {"deep": [1]}}) == query("color=1&color=2") == Sample()


@pytest.mark.parametrize(
    ("word", "value"), [("true", True), ("TRUE", True), ("1", True), ("False", False), ("0", False)]
)
def test_query_booleans_are_words(word: str, value: bool) -> None:
    assert query(f"ephemeral={word}").ephemeral is value


def test_a_blank_query_boolean_is_absent() -> None:
    assert query("ephemeral=") == query("ephemeral=+") == Sample()
    needy = parse_query(b"target_branch=b&target_is_ephemeral=&ephemeral=true", Needy, where="create_commit")
    assert needy.target_is_ephemeral is True


@pytest.mark.parametrize("word", ["yes", "2", "truee", "null", "on", "01"])
def test_other_words_are_refused_as_booleans(word: str) -> None:
    with pytest.raises(Invalid) as error:
        query(f"ephemeral={word}")
    assert "ephemeral must be true or false" in sentence(error)


@pytest.mark.parametrize("word", ["", "x", "1.0", "1e3", "0x10", "1_000", "--1", "٣"])
def test_numbers_are_decimal_digits(word: str) -> None:
    with pytest.raises(Invalid) as error:
        query(f"limit={word}")
    assert "limit must be a whole number" in sentence(error)


def test_the_first_of_repeated_parameters_counts_and_lists_take_all() -> None:
    parsed = query("ref=a&ref=b&paths=x&paths=&paths=y")
    assert (parsed.ref, parsed.paths) == ("a", ["x", "y"])


def test_json_members_must_have_their_type() -> None:
    for raw, reason in [
        ({"ref": 5}, "field ref: expected string, got integer"),
        ({"ephemeral": "true"}, "field ephemeral: expected boolean, got string"),
        ({"limit": 1.5}, "field limit: expected integer, got float"),
        ({"author": []}, "expected a JSON object in author"),
        ({"author": {}}, "field author.name is required"),
        ({"author": {"name": " "}}, "field author.name is required"),
        ({"author": {"name": "A", "date": 1}}, "field author.date: expected string, got integer"),
        ([], "expected a JSON object"),
        ("x", "expected a JSON object"),
    ]:
        with pytest.raises(Invalid) as error:
            body(raw)
        assert sentence(error).startswith(reason), sentence(error)


def test_a_blank_required_field_is_missing() -> None:
    for raw in ({}, {"target_branch": None}, {"target_branch": " "}):
        with pytest.raises(Invalid) as error:
            parse_object(raw, Needy, where="")
        assert sentence(error) == "field target_branch is required"


def test_the_standard_name_wins_also_when_it_is_false() -> None:
    raw = {"target_branch": "x", "target_is_ephemeral": False, "ephemeral": True}
    assert parse_object(raw, Needy, where="create_commit").target_is_ephemeral is False


def test_an_old_name_stands_in_for_an_absent_or_blank_standard_one() -> None:
    for raw in ({"name": " b "}, {"target_branch": "  ", "name": "b"}, {"target_branch": None, "name": "b"}):
        assert parse_object(raw, Needy, where="delete_branch").target_branch == "b"
    assert query("ref=+&branch=b", "list_commits").ref == "b"
    assert query("ref=r&branch=b", "list_commits").ref == "r"


def test_old_names_belong_to_their_operation() -> None:
    assert query("branch=b", "get_commit").ref == ""
    assert query("sha=b", "get_commit").ref == "b"


def test_the_page_limit_is_clamped() -> None:
    assert [page_limit(n) for n in (0, 1, 100, 101, 10**29)] == [20, 1, 100, 100, 100]
    with pytest.raises(Invalid):
        page_limit(-1)


def test_a_query_that_is_not_utf8_or_too_long_is_refused() -> None:
    for text in ("ref=%ff", "ref=%ed%a0%80", "&".join(["a=1"] * 201)):
        with pytest.raises(Invalid):
            query(text)


@given(st.binary(max_size=200))
def test_any_query_is_read_or_refused(text: bytes) -> None:
    try:
        parse_query(text, Sample, where="list_commits")
    except Invalid:
        return


words = st.text("ab \t\0\u00e9\u2028\U0001f600", max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(["ref", "paths", "limit", "author"], json_values)))
def test_any_object_is_read_or_refused(raw: dict[str, Any]) -> None:
    try:
        body(raw, "list_commits")
    except Invalid as error:
        write_sentence(error).encode()  # a sentence that cannot be encoded could not be sent


@pytest.mark.parametrize(
    "text",
    [
        b"{",
        b"nul",
        b'{"a":1,}',
        b"{} {}",
        b'{"a":"\\ud800"}',
        b'{"a":"\\udc00"}',
        b'{"a":"\\ud800\\u0041"}',
        b'{"a":"\xff"}',
        b'{"a":"\xed\xa0\x80"}',
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"a":' + b"9" * 10_000 + b"}",
        b'{"a":1e999}',
        b'{"a":NaN}',
        b"\xef\xbb\xbf{}",
        b"\x00",
        b'{"a":"\n"}',
    ],
)
def test_text_that_is_not_json_or_too_large_is_refused(text: bytes) -> None:
    with pytest.raises(Invalid, match="request body"):
        decode_json(text)


def test_the_last_of_duplicate_members_counts() -> None:
    assert decode_json(b'{"a":1,"a":2}') == {"a": 2}


@given(st.binary(max_size=100))
def test_any_bytes_are_json_or_refused(text: bytes) -> None:
    try:
        decode_json(text)
    except Invalid:
        return
