"""HEAD and packed-refs are what git itself would have written, and never older than what is there."""

import re
from pathlib import Path

import pytest

from packhouse.git.oid import Oid
from packhouse.git.refname import EPHEMERAL, PERSISTENT, RefName
from packhouse.git.refs_files import are_current, write_ref_files
from tests.support.git import Git

pytestmark = pytest.mark.quick

MAIN = RefName(b"refs/heads/main")


@pytest.fixture
def git(tmp_path: Path) -> Git:
    return Git(tmp_path / "home")


@pytest.fixture
def bare(git: Git, tmp_path: Path) -> Path:
    work = git.init(tmp_path / "work")
    git.commit(work, {"a": b"1"})
    git.run("tag", "-a", "v1", "-m", "v1", cwd=work)
    git.run("clone", "--quiet", "--bare", work, tmp_path / "bare")
    return tmp_path / "bare"


def test_git_reads_the_refs_of_both_namespaces(git: Git, bare: Path) -> None:
    commit = Oid(git.run("rev-parse", "main", cwd=bare))
    tag = Oid(git.run("rev-parse", "v1", cwd=bare))
    (bare / "packed-refs").unlink()
    write_ref_files(
        bare,
        [
            (PERSISTENT, RefName(b"refs/tags/v1"), tag, commit),
            (PERSISTENT, MAIN, commit, None),
            (EPHEMERAL, MAIN, commit, None),
        ],
        refs_version=7,
        head_target=MAIN,
    )
    assert git.run("for-each-ref", "--format=%(refname)", cwd=bare).split() == [
        "refs/heads/main",
        "refs/namespaces/ephemeral/refs/heads/main",
        "refs/tags/v1",
    ]
    assert git.run("show-ref", "-d", "--tags", cwd=bare).splitlines()[1] == f"{commit} refs/tags/v1^{{}}"
    assert git.run("rev-parse", "HEAD", cwd=bare) == commit
    git.run("fsck", "--strict", cwd=bare)


def test_files_of_a_version_serve_it_and_older_ones(bare: Path) -> None:
    write_ref_files(bare, [], refs_version=7, head_target=MAIN)
    assert are_current(bare, refs_version=7, head_target=MAIN)
    assert are_current(bare, refs_version=6, head_target=MAIN)
    assert not are_current(bare, refs_version=8, head_target=MAIN)
    assert not are_current(bare, refs_version=7, head_target=RefName(b"refs/heads/other"))


def test_files_that_git_wrote_are_not_taken_for_ours(bare: Path) -> None:
    assert not are_current(bare, refs_version=0, head_target=MAIN)


def test_older_refs_do_not_replace_newer_ones(git: Git, bare: Path) -> None:
    commit = Oid(git.run("rev-parse", "main", cwd=bare))
    write_ref_files(bare, [(PERSISTENT, MAIN, commit, None)], refs_version=9, head_target=MAIN)
    write_ref_files(bare, [], refs_version=8, head_target=MAIN)
    assert git.run("for-each-ref", "--format=%(refname)", cwd=bare) == "refs/heads/main"


def test_files_from_before_a_restart_of_the_machine_are_written_anew(bare: Path) -> None:
    write_ref_files(bare, [], refs_version=7, head_target=MAIN)
    packed = bare / "packed-refs"
    packed.write_bytes(re.sub(rb"boot=\S+", b"boot=another", packed.read_bytes()))
    assert not are_current(bare, refs_version=7, head_target=MAIN)
