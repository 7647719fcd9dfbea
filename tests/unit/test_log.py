"""Lines of the log: one JSON object each, with the request that they belong to."""

import json
import logging
import subprocess
import sys
from datetime import datetime

import pytest

from packhouse.log import format_time
from tests.tidy.sources import ROOT

pytestmark = pytest.mark.quick

PROGRAM = """
import logging
from packhouse.log import configure_logging, is_logged, log_event, request_id
configure_logging({level!r})
{body}
"""


def lines(body: str, level: str = "info") -> list[dict[str, object]]:
    """Return the lines that a process of its own logs."""
    program = PROGRAM.format(level=level, body=body)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=True, text=True
    )
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_a_line_has_time_level_message_and_fields() -> None:
    (line,) = lines('log_event("push refused", repo_id="repo_1", count=2)')
    moment = datetime.strptime(str(line.pop("time")), "%Y-%m-%dT%H:%M:%S%z")
    assert moment.tzinfo is not None
    assert line == {
        "level": "info",
        "logger": "packhouse",
        "message": "push refused",
        "repo_id": "repo_1",
        "count": 2,
    }


def test_lines_of_a_request_have_its_id() -> None:
    found = lines('log_event("one")\nrequest_id.set("req_7")\nlog_event("two")')
    assert [line.get("request_id") for line in found] == [None, "req_7"]


def test_a_value_that_json_does_not_know_is_its_text() -> None:
    (line,) = lines('log_event("x", at={1, 1}, what=b"a\\nb")')
    assert line["at"] == "{1}"
    assert line["what"] == "b'a\\nb'"


def test_an_exception_stands_in_the_line_of_its_failure() -> None:
    body = 'try:\n    1 // 0\nexcept ZeroDivisionError:\n    log_event("failed", level=logging.ERROR, exc_info=True)'
    (line,) = lines(body)
    assert str(line["exception"]).splitlines()[-1].startswith("ZeroDivisionError")


@pytest.mark.parametrize(
    ("level", "seen"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_lines_below_the_level_are_not_written(level: str, seen: list[str]) -> None:
    body = "for name in ('debug', 'info', 'warning', 'error'):\n" + (
        "    log_event(name, level=getattr(logging, name.upper()))"
    )
    assert [line["message"] for line in lines(body, level)] == seen
    asked = "log_event(str(is_logged(logging.INFO)), level=logging.ERROR)"
    assert lines(asked, level)[0]["message"] == str(level != "error")


def test_libraries_log_only_warnings_and_errors_at_every_level() -> None:
    body = (
        "logger = logging.getLogger('some.library')\nlogger.setLevel('DEBUG')\n"
        "logger.info('address and headers')\nlogger.warning('trouble')"
    )
    assert [line["message"] for line in lines(body, "debug")] == ["trouble"]


def test_a_time_is_local_with_its_offset() -> None:
    for at in (0, 1_767_225_600.9, 1_767_225_601.0):
        read = datetime.strptime(format_time(at), "%Y-%m-%dT%H:%M:%S%z")
        assert read.timestamp() == int(at)


def test_the_level_of_a_line_is_that_of_its_event() -> None:
    (line,) = lines('log_event("x", level=logging.WARNING)')
    assert line["level"] == logging.getLevelName(logging.WARNING).lower()
