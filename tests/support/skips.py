"""Reports skipped tests and their reasons at the end of a run. `--fail-on-skip` makes them fail it, as in .ci/run.

pytest calls the functions of this module. tests/conftest.py passes them on.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final

import pytest
from _pytest.terminal import TerminalReporter

from tests.support.servers.programs import NOT_INSTALLED, PACKAGES

NOT_PERMITTED: Final = "not permitted here: "
"""The user or the kernel does not permit a test. Nobody can install that, so it is reported and fails nothing."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of this project's tests."""
    parser.addoption(
        "--write-examples",
        action="store_true",
        help="write the answers that the examples of the documents get onto their pages",
    )
    parser.addoption(
        "--fail-on-skip",
        action="store_true",
        help="fail the run when a test was skipped, unless its user or the kernel does not permit what it does",
    )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if skips are not allowed."""
    if session.config.getoption("--fail-on-skip") and _avoidable(_reasons(session.config)):
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: TerminalReporter, config: pytest.Config) -> None:
    """Print one line for each missing program and each other reason, with the number of tests."""
    reasons = _reasons(config)
    if not reasons:
        return
    terminalreporter.section("skipped")
    for line in summary_lines(reasons):
        terminalreporter.line(line)
    if config.getoption("--fail-on-skip") and _avoidable(reasons):
        terminalreporter.line("Skipped tests fail this run (--fail-on-skip).", red=True)


def _avoidable(reasons: Iterable[str]) -> list[str]:
    return [reason for reason in reasons if not reason.startswith(NOT_PERMITTED)]


def summary_lines(reasons: Iterable[str]) -> list[str]:
    """Return the lines for the reasons of all skipped tests. One reason may name several missing programs."""
    programs: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for reason in reasons:
        if reason.startswith(NOT_INSTALLED):
            programs.update(reason.removeprefix(NOT_INSTALLED).split(", "))
        else:
            others[reason] += 1
    return [
        *(
            f"{_tests(count)}: {name} is not installed (Debian: {PACKAGES[name]})"
            for name, count in sorted(programs.items())
        ),
        *(f"{_tests(count)}: {reason}" for reason, count in sorted(others.items())),
    ]


def _tests(count: int) -> str:
    return f"{count} test{'' if count == 1 else 's'}"


def _reasons(config: pytest.Config) -> list[str]:
    """Return the reason of each skipped test; nothing in a worker process, whose parent reports its results."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return []
    return [_reason(report) for report in reporter.stats.get("skipped", [])]


def _reason(report: pytest.TestReport) -> str:
    # A skip is represented as (path, line, "Skipped: reason").
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")
