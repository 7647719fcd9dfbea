"""The file of fixed tokens, judged line by line."""

import os
from pathlib import Path

import pytest

from packhouse import limits
from packhouse.errors import Unavailable
from packhouse.node.token_file import TokenFile, digest_token

pytestmark = pytest.mark.quick


def read(path: Path, content: bytes) -> list[tuple[str, str]]:
    """Return (organisation, repository) of the lines that count."""
    path.write_bytes(content)
    return [(line.org, line.repo) for line in TokenFile(path).read()]


def skipped(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    """Return the fields of the log lines that tell of a bad line."""
    records = [record for record in caplog.records if "skipped" in record.message]
    return [record.fields for record in records]  # type: ignore[attr-defined]  # log_event adds it


def test_a_line_is_a_token_an_organisation_and_the_rest_a_repository(tmp_path: Path) -> None:
    for line, repo in [
        (b"t acme team/shop", "team/shop"),
        (b"  t \t acme\tteam/shop  ", "team/shop"),
        (b"t acme *\r", "*"),
        (b"t acme two  words here", "two  words here"),
        (b"t\tacme\ttab parted", "tab parted"),
        (b"\xef\xbb\xbft acme after/a/mark", "after/a/mark"),
        ("t acme wide\u00a0blank".encode(), "wide\u00a0blank"),
    ]:
        assert read(tmp_path / "tokens", line + b"\n") == [("acme", repo)], line


def test_comments_and_blank_lines_are_no_faults(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = b"# who reads\n\n \t\n  # more\nt acme r\r\nu acme s\rv acme w"
    assert read(tmp_path / "tokens", content) == [("acme", "r"), ("acme", "s"), ("acme", "w")]
    assert not skipped(caplog)


def test_a_bad_line_does_not_affect_others_and_is_logged_by_its_number_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad = [
        b"secret",
        b"secret acme",
        b"secret \xff r",
        b"secret acme a\\b",
        b"secret acme org",
        b"secret acme r.git",
    ]
    assert read(tmp_path / "tokens", b"\n".join([b"t acme first", *bad, b"u acme last"])) == [
        ("acme", "first"),
        ("acme", "last"),
    ]
    assert [fields["line"] for fields in skipped(caplog)] == [2, 3, 4, 5, 6, 7]
    assert "secret" not in caplog.text
    assert "secret" not in str(skipped(caplog))


def test_bad_lines_are_logged_once_for_each_change_of_the_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "tokens"
    path.write_bytes(b"bad\n")
    file = TokenFile(path)
    for _ in range(3):
        assert file.read() == ()
    assert len(skipped(caplog)) == 1
    path.write_bytes(b"bad\nt acme r\n")
    for _ in range(3):
        assert [line.digest for line in file.read()] == [digest_token("t")]
    assert len(skipped(caplog)) == 2


def test_a_file_of_bad_lines_does_not_flood_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert read(tmp_path / "tokens", b"bad\n" * 5000) == []
    assert len(skipped(caplog)) == limits.static_token_faults_logged_max + 1
    assert skipped(caplog)[-1]["lines"] == 5000


def test_a_file_that_is_absent_or_endless_is_unavailable(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # nobody writes to it, so opening it would wait for ever
    for path in (tmp_path / "absent", tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(Unavailable):
            TokenFile(path).read()
