"""The report on skipped tests, and when they fail a run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.servers.programs import PACKAGES
from tests.support.skips import NOT_PERMITTED, summary_lines
from tests.tidy.sources import ROOT

pytestmark = pytest.mark.quick

CONFTEST = "from tests.support.skips import pytest_addoption, pytest_sessionfinish, pytest_terminal_summary\n"


def run_pytest(folder: Path, reasons: list[str], *options: str) -> tuple[int, list[str]]:
    """Run one passing test and one that skips itself for each reason; return status and the lines printed."""
    (folder / "conftest.py").write_text(CONFTEST)
    tests = [f"def test_{number}():\n    pytest.skip({reason!r})\n" for number, reason in enumerate(reasons)]
    (folder / "test_it.py").write_text("import pytest\n\ndef test_passes():\n    pass\n\n" + "\n".join(tests))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, *options, folder],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout.splitlines()


def test_a_missing_program_is_one_line_with_the_number_of_its_tests_and_its_package() -> None:
    assert summary_lines(
        ["not installed: gpg, curl", "not installed: gpg", "mounting a disk needs root"]
    ) == [
        "1 test: curl is not installed (Debian: curl)",
        "2 tests: gpg is not installed (Debian: gnupg)",
        "1 test: mounting a disk needs root",
    ]


@pytest.mark.parametrize("options", [(), ("-n", "2")])
def test_skipped_tests_are_listed_and_fail_a_run_only_on_request(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    reasons = ["not installed: fcgiwrap", "not installed: fcgiwrap"]
    status, lines = run_pytest(tmp_path, reasons, *options)
    assert status == 0
    assert "2 tests: fcgiwrap is not installed (Debian: fcgiwrap)" in lines
    status, lines = run_pytest(tmp_path, reasons, "--fail-on-skip", *options)
    assert status == 1
    assert "2 tests: fcgiwrap is not installed (Debian: fcgiwrap)" in lines
    assert "Skipped tests fail this run (--fail-on-skip)." in lines


def test_skips_for_lack_of_permission_are_listed_and_never_fail_a_run(tmp_path: Path) -> None:
    reason = NOT_PERMITTED + "mounting a disk needs root"
    status, lines = run_pytest(tmp_path, [reason], "--fail-on-skip")
    assert status == 0
    assert f"1 test: {reason}" in lines


def test_a_run_without_skips_lists_none(tmp_path: Path) -> None:
    status, lines = run_pytest(tmp_path, [], "--fail-on-skip")
    assert status == 0
    assert not [line for line in lines if "skip" in line.lower()]


def test_continuous_integration_installs_each_program_that_a_test_may_miss() -> None:
    script = (ROOT / ".ci/run").read_text("utf-8")
    for package in set(PACKAGES.values()):
        assert f"\nneed {package} " in script, package
    assert script.rstrip().endswith("TEST_OPTIONS=--fail-on-skip")


def step(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ROOT / ".ci/step", "Working", *command], capture_output=True, text=True)


def test_a_long_step_is_one_line_that_grows() -> None:
    done = step("sh", "-c", "echo noise; sleep 2.5")
    assert done.returncode == 0
    assert done.stdout.startswith("Working .")
    assert done.stdout.count("\n") == 1
    assert "noise" not in done.stdout + done.stderr


def test_a_failed_step_shows_what_was_printed_and_keeps_its_status() -> None:
    done = step("sh", "-c", "echo the reason; exit 7")
    assert done.returncode == 7
    assert "failed" in done.stdout
    assert done.stderr == "the reason\n"
