"""The lists of faults agree with each other and with the git that is installed."""

import re
from pathlib import Path

import pytest

from packhouse.fault_names import (
    ALWAYS_ALLOWED,
    CONTENT_FAULTS,
    FATAL,
    IMPORT_ALLOWED,
    MAY_BE_ALLOWED,
    NEVER_ALLOWED,
    ONLY_WARNED_OF,
)
from tests.support.clients.git import Git

pytestmark = pytest.mark.quick

KNOWN = MAY_BE_ALLOWED | NEVER_ALLOWED


def test_no_fault_is_both_allowed_and_never_allowed() -> None:
    assert not MAY_BE_ALLOWED & NEVER_ALLOWED
    assert {*ALWAYS_ALLOWED, *IMPORT_ALLOWED} <= MAY_BE_ALLOWED
    assert not set(ALWAYS_ALLOWED) & set(IMPORT_ALLOWED)


def test_the_narrower_lists_are_of_faults_that_are_never_allowed() -> None:
    assert ONLY_WARNED_OF | FATAL | CONTENT_FAULTS <= NEVER_ALLOWED
    assert not ONLY_WARNED_OF & FATAL


def test_no_two_names_differ_in_case_alone() -> None:
    # Settings take a name in any case.
    assert len({name.lower() for name in KNOWN}) == len(KNOWN)


def test_every_fault_that_the_installed_git_knows_is_in_a_list(git: Git) -> None:
    listed = git.try_run("help", "--config-for-completion").stdout.decode()
    names = set(re.findall(r"^fsck\.(\w+)$", listed, re.MULTILINE)) - {"skipList"}
    known = {name.lower() for name in KNOWN}
    assert {name for name in names if name.lower() not in known} == set()


@pytest.mark.parametrize("name", sorted(ALWAYS_ALLOWED))
def test_git_accepts_the_name_of_each_always_allowed_fault(git: Git, tmp_path: Path, name: str) -> None:
    git.run("init", "--quiet", "--bare", tmp_path / "bare")
    pack = git.try_run("pack-objects", "--stdout", "-q", cwd=tmp_path / "bare", stdin=b"").stdout
    git.run("index-pack", "--stdin", f"--strict={name}=ignore", cwd=tmp_path / "bare", stdin=pack)
