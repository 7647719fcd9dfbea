"""The sentences that users read: their values, and how values look."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.auth.policy import PolicyDenied
from packhouse.db.repos import RepoNotFound
from packhouse.errors import FieldInvalid, WithRetry
from packhouse.git.refname import BranchNameInvalid, branch_refname
from packhouse.web.edge.serve import ListenRefused
from packhouse.web.sentences import SENTENCE_MAX_CHARS, SENTENCES, VALUE_MAX_CHARS, show_value, write_sentence
from tests.support.errors import code_of, error_classes, examples

pytestmark = pytest.mark.quick


def test_every_field_of_a_sentence_is_a_field_of_the_class_with_its_code() -> None:
    fields = {code_of(kind): examples(kind)[0].fields.keys() for kind in error_classes()}
    for code, row in SENTENCES.items():
        named = {name for _, name, _, _ in string.Formatter().parse(row) if name is not None}
        assert named <= fields[code], code


def test_every_error_has_a_sentence_of_one_line() -> None:
    for kind in error_classes():
        for error in examples(kind):
            sentence = write_sentence(error)
            assert sentence.strip() and sentence.isprintable(), kind


def test_an_error_without_a_row_has_a_sentence_of_its_text_and_fields() -> None:
    refused = ListenRefused(listen="a\nb", reason=None)
    assert write_sentence(refused) == "address cannot be listened on (listen a\ufffdb, reason nothing)"


def test_a_row_whose_fact_is_absent_gives_way_to_the_text() -> None:
    assert write_sentence(RepoNotFound("r")) == "repository not found: r"
    assert write_sentence(RepoNotFound()) == "repository not found"


def test_the_time_to_wait_stands_in_a_header_and_in_no_sentence() -> None:
    told = [error for kind in error_classes() for error in examples(kind) if isinstance(error, WithRetry)]
    assert told
    assert [error for error in told if "retry_after_s" in write_sentence(error)] == []


def test_sentences_name_the_values() -> None:
    denied = PolicyDenied(branch_refname("main"), "no-push")
    assert write_sentence(denied) == "denied by policy: no-push (refs/heads/main)"


def test_sentences_are_one_bounded_line() -> None:
    for value in ("x" * 10_000, "a\r\nb\u2028c\x85", b"\xff\n" * 1000, ["a", "b\n"], {"k": "v\n"}, "\ud800"):
        error = FieldInvalid(field=value, reason=value)  # type: ignore[arg-type]  # a field may hold any value
        text = write_sentence(error)
        assert len(text) <= SENTENCE_MAX_CHARS
        assert len(text.splitlines()) == 1
        text.encode("utf-8")


@given(st.text(st.characters(codec=None, categories=None, max_codepoint=0x2100), max_size=20))
def test_values_may_hold_braces_and_any_other_characters(value: str) -> None:
    assert write_sentence(BranchNameInvalid(value)).startswith("invalid branch name ")


def test_a_value_is_shown_as_users_know_it() -> None:
    assert show_value(b"refs/heads/main") == "main"
    assert show_value("refs/heads/main") == "refs/heads/main"
    assert show_value(b"refs/tags/v1") == "refs/tags/v1"
    assert show_value(["git:read", "git:write"]) == "git:read or git:write"
    assert show_value(None) == "nothing"
    assert show_value(b"a\xff") == "a\ufffd"
    assert len(show_value("x" * 1000)) == VALUE_MAX_CHARS
