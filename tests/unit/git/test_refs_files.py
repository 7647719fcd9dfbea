"""HEAD and packed-refs are what git itself would have written, and never older than what is there."""

import re
import threading
from pathlib import Path

import pytest

from packhouse.git.oid import Oid
from packhouse.git.refname import EPHEMERAL, PERSISTENT, RefName
from packhouse.git.refs_files import RefsState, StoredRef, are_current, write_ref_files
from tests.support.clients.git import Git

pytestmark = pytest.mark.quick

MAIN = RefName(b"refs/heads/main")
JOIN_MAX_S = 30


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


def state(version: int, *refs: StoredRef, head: RefName = MAIN, number: int = 5) -> RefsState:
    """Return refs at a version, and at the same random state unless another is given."""
    return RefsState(version, number, head, refs)


def test_git_reads_the_refs_of_both_namespaces(git: Git, bare: Path) -> None:
    commit = Oid(git.run("rev-parse", "main", cwd=bare))
    tag = Oid(git.run("rev-parse", "v1", cwd=bare))
    (bare / "packed-refs").unlink()
    refs: list[StoredRef] = [
        (PERSISTENT, RefName(b"refs/tags/v1"), tag, commit),
        (PERSISTENT, MAIN, commit, None),
        (EPHEMERAL, MAIN, commit, None),
    ]
    write_ref_files(bare, lambda: state(7, *refs))
    assert git.run("for-each-ref", "--format=%(refname)", cwd=bare).split() == [
        "refs/heads/main",
        "refs/namespaces/ephemeral/refs/heads/main",
        "refs/tags/v1",
    ]
    assert git.run("show-ref", "-d", "--tags", cwd=bare).splitlines()[1] == f"{commit} refs/tags/v1^{{}}"
    assert git.run("rev-parse", "HEAD", cwd=bare) == commit
    git.run("fsck", "--strict", cwd=bare)


def test_files_are_current_only_for_the_state_that_they_were_written_from(bare: Path) -> None:
    write_ref_files(bare, lambda: state(7))
    assert are_current(bare, state(7))
    assert not are_current(bare, state(6))
    assert not are_current(bare, state(8))
    assert not are_current(bare, state(7, head=RefName(b"refs/heads/other")))


def test_a_version_that_is_repeated_after_a_restore_is_not_current(git: Git, bare: Path) -> None:
    commit = Oid(git.run("rev-parse", "main", cwd=bare))
    write_ref_files(bare, lambda: state(7, (PERSISTENT, MAIN, commit, None)))
    assert not are_current(bare, state(7, number=6))
    write_ref_files(bare, lambda: state(7, number=6))
    assert git.run("for-each-ref", "--format=%(refname)", cwd=bare) == ""


def test_files_that_git_wrote_are_not_current(bare: Path) -> None:
    assert not are_current(bare, state(0))


def test_files_of_the_release_before_are_not_current(bare: Path) -> None:
    write_ref_files(bare, lambda: state(7, number=0))
    packed = bare / "packed-refs"
    packed.write_bytes(packed.read_bytes().replace(b" refs-state=0", b""))
    assert not are_current(bare, state(7, number=0))


def test_older_refs_do_not_replace_newer_ones(git: Git, bare: Path) -> None:
    commit = Oid(git.run("rev-parse", "main", cwd=bare))
    newest = [state(8)]
    inside, go_on = threading.Event(), threading.Event()

    def read_slowly() -> RefsState:
        read = newest[0]
        inside.set()
        assert go_on.wait(JOIN_MAX_S)
        return read

    slow = threading.Thread(target=write_ref_files, args=(bare, read_slowly))
    slow.start()
    assert inside.wait(JOIN_MAX_S)
    newest[0] = state(9, (PERSISTENT, MAIN, commit, None))
    fast = threading.Thread(target=write_ref_files, args=(bare, lambda: newest[0]))
    fast.start()  # waits for the slow one, which has read older refs
    go_on.set()
    for writer in (slow, fast):
        writer.join(JOIN_MAX_S)
    assert git.run("for-each-ref", "--format=%(refname)", cwd=bare) == "refs/heads/main"
    assert are_current(bare, newest[0])


def test_current_files_are_not_written_again(bare: Path) -> None:
    write_ref_files(bare, lambda: state(7))
    before = (bare / "packed-refs").stat().st_ino
    write_ref_files(bare, lambda: state(7))
    assert (bare / "packed-refs").stat().st_ino == before


def test_files_from_before_a_restart_of_the_machine_are_written_anew(bare: Path) -> None:
    write_ref_files(bare, lambda: state(7))
    packed = bare / "packed-refs"
    packed.write_bytes(re.sub(rb"boot=\S+", b"boot=another", packed.read_bytes()))
    assert not are_current(bare, state(7))
