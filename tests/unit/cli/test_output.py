"""The output of commands: tables for people, JSON for programs, and no control character of stored text."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.auth.public_keys import KeyRejected
from packhouse.cli.output import Record, print_outcome, print_record, print_table, time_text
from packhouse.cli.sentences import describe, one_line
from packhouse.config_errors import SwitchInvalid
from packhouse.cursors import BadCursor
from packhouse.db.session import DatabaseAway
from packhouse.errors import PackhouseError
from packhouse.node.repo_name import RepoNameInvalid
from packhouse.operations.commits.commit_target import GuardMismatch
from packhouse.operations.tenants.orgs import OrgNotFound

pytestmark = pytest.mark.quick

RECORDS: list[Record] = [
    {"key_id": "key_1", "label": "Ada's", "revoked_at": None, "tags": ["a", "b"], "count": 0},
    {"key_id": "key_22", "label": "", "revoked_at": "2026-01-01", "tags": [], "count": 12},
]


def test_a_table_has_a_heading_and_aligned_columns(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(RECORDS, ["key_id", "label", "revoked_at", "tags", "count"], as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "KEY ID  LABEL  REVOKED AT  TAGS  COUNT",
        "key_1   Ada's  -           a b   0",
        "key_22  -      2026-01-01  -     12",
    ]


def test_a_table_without_rows_is_its_heading(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([], ["key_id", "label"], as_json=False)
    assert capsys.readouterr().out == "KEY ID  LABEL\n"


def test_a_column_that_a_record_lacks_is_empty(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([{"a": 1}], ["a", "b"], as_json=False)
    assert capsys.readouterr().out.splitlines()[1] == "1  -"


def test_the_outcome_of_a_change_is_its_sentence_or_its_record(capsys: pytest.CaptureFixture[str]) -> None:
    record = {"key_id": "key_1", "revoked_at": time_text(0)}
    print_outcome(record, "revoked key_1", as_json=False)
    assert capsys.readouterr().out == "revoked key_1\n"
    print_outcome(record, "revoked key_1", as_json=True)
    assert capsys.readouterr().out == '{"key_id": "key_1", "revoked_at": "1970-01-01T00:00:00Z"}\n'


def test_an_absent_time_has_no_text() -> None:
    assert time_text(None) is None
    assert time_text(1_000_000_000) == "2001-09-09T01:46:40Z"


def test_a_record_is_a_line_for_each_field(capsys: pytest.CaptureFixture[str]) -> None:
    print_record({"id": "x", "created_at": "2026", "events": ("push", "tag")}, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "id          x",
        "created at  2026",
        "events      push tag",
    ]


def test_json_holds_every_field_unchanged(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(RECORDS, ["key_id"], as_json=True)
    assert json.loads(capsys.readouterr().out) == RECORDS
    print_record({"name": "größe\n"}, as_json=True)
    assert capsys.readouterr().out == '{"name": "größe\\n"}\n'


@given(st.text())
def test_stored_text_stays_on_its_line_and_controls_no_terminal(text: str) -> None:
    line = one_line(text)
    assert len(line) == len(text)
    assert line.isprintable()
    assert all(shown == stored for shown, stored in zip(line, text, strict=True) if stored.isprintable())


def test_a_cell_of_stored_text_cannot_add_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([{"label": "a\nb\x1b[31m"}], ["label"], as_json=False)
    assert capsys.readouterr().out.splitlines() == ["LABEL", "a b [31m"]


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (BadCursor(), "unreadable cursor"),
        (KeyRejected("it is short"), "key not accepted: it is short"),
        (SwitchInvalid(setting="x", value=7), "setting must be 0 or 1 (setting x, value 7)"),
        (
            RepoNameInvalid(repo="a", reason="it is odd"),
            "invalid repository name: it is odd (repo a)",
        ),
        (
            GuardMismatch(branch="b", expected="x", actual=None),
            "branch is not at the expected commit (branch b, expected x)",
        ),
        (OrgNotFound("a\nb"), "organisation not found (org a b)"),
        (DatabaseAway(), "database not available"),
    ],
)
def test_an_error_is_one_sentence_with_its_reason_or_its_values(error: PackhouseError, sentence: str) -> None:
    assert describe(error) == sentence
