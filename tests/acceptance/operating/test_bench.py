"""`make bench` works: a section runs against the server and prints its figures."""

import subprocess
import sys
from pathlib import Path

from tests.tidy.sources import ROOT


def run_bench(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", *args], cwd=ROOT, capture_output=True, text=True, timeout=300
    )


def test_a_section_prints_figures_with_the_machine_they_belong_to(tmp_path: Path) -> None:
    done = run_bench("--quick", "--dir", str(tmp_path), "repositories")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "machine " in done.stdout
    assert "git " in done.stdout
    assert "created over HTTP, 8 clients" in done.stdout
    assert not list(tmp_path.iterdir()), "the run leaves nothing on the disk"


def test_many_repositories_are_made_and_measured(tmp_path: Path) -> None:
    done = run_bench("--quick", "--repos", "20", "--dir", str(tmp_path), "many_repositories")
    assert done.returncode == 0, done.stdout + done.stderr
    for figure in (
        "repositories created, last tenth of 20",
        "commits to new repositories, first tenth",
        "reads, first tenth",
        "growth of memory to 20 repositories",
        "start to the first answer",
        "on the disk for each repository",
        "inodes for each repository",
    ):
        assert figure in done.stdout


def test_connections_and_streams_are_measured(tmp_path: Path) -> None:
    done = run_bench("--quick", "--dir", str(tmp_path), "connections")
    assert done.returncode == 0, done.stdout + done.stderr
    for figure in ("idle connections", "streams of events", "among them", "its event on all streams"):
        assert figure in done.stdout


def test_an_unknown_section_is_refused_with_the_known_ones() -> None:
    done = run_bench("nonsense")
    assert done.returncode == 2
    for section in ("commits", "memory", "reads", "repositories", "transport"):
        assert section in done.stderr
