"""Packs that arrive: which are taken, which are refused, and git's reasons."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from packhouse.git.commands.fault_log import FaultLog
from packhouse.git.commands.index_pack import (
    NoRoomForPack,
    PackRefused,
    find_unread_files,
    index_stream,
    judge_pack,
    make_idx,
    start_unpacking,
    unpack_failure,
)
from packhouse.git.commands.kill_switch import KillSwitch
from packhouse.git.commands.pack_objects import iter_pack
from packhouse.git.commands.pump import Deadline, GitTookTooLong
from packhouse.git.commands.rev_list import Revisions
from packhouse.git.commands.run import GitFailed, collect
from packhouse.git.oid import EMPTY_TREE_OID, Oid
from packhouse.git.packs.idx import PackIdx
from tests.support.clients.git import Git
from tests.support.clients.git_runner import DamageTold, FakeGit, WorkTree

pytestmark = pytest.mark.quick

FAULTY = f"tree {EMPTY_TREE_OID}\nauthor A 5 +0000\ncommitter C <c@x> 5 +0000\n\nm\n".encode()
"""A commit whose author has no email."""


@pytest.fixture
def taking(tmp_path: Path) -> WorkTree:
    """An empty repository that takes packs."""
    return WorkTree(Git(tmp_path / "home"), tmp_path / "taking")


def pack_of(work: WorkTree, *wanted: Oid) -> bytes:
    return b"".join(iter_pack(work, wanted, timeout_s=60, switch=KillSwitch()))


def take(taking: WorkTree, pack: bytes, *, allowed: tuple[str, ...] = (), max_bytes: int = 10**8) -> None:
    index_stream(
        taking,
        [pack],
        allowed=allowed,
        max_bytes=max_bytes,
        time_left=Deadline(60).time_left,
        switch=KillSwitch(),
    )


def stored(work: WorkTree) -> set[Oid]:
    """Return the objects in the packs of a repository."""
    packs = work.folder / ".git" / "objects" / "pack"
    return {oid for path in packs.glob("*.idx") for oid in oids_of(path)}


def oids_of(path: Path) -> set[Oid]:
    """Return the objects that an idx lists."""
    with PackIdx(path) as idx:
        return set(idx.iter_oids())


def unpack(
    taking: WorkTree, pack: bytes, *, allowed: tuple[str, ...] = (), max_bytes: int = 10**8
) -> tuple[int, bytes, bytes]:
    """Feed a pack as a client sends it; return the exit code, the output and the messages."""
    with start_unpacking(taking, allowed=allowed, max_bytes=max_bytes, shows_progress=False) as git:
        stdout, stderr = collect(git, [pack], Deadline(60).time_left, output_max_bytes=10**6)
        return git.wait(60), stdout, stderr


def test_the_whole_pack_of_a_client_is_taken(work: WorkTree, taking: WorkTree) -> None:
    commit = work.commit({"a": b"a\n"})
    wanted = [commit, work.oid("HEAD^{tree}"), work.oid("HEAD:a")]
    code, stdout, stderr = unpack(taking, pack_of(work, *wanted))
    assert (code, stderr) == (0, b"")
    assert stdout.startswith(b"pack\t")
    assert stored(taking) == set(wanted)


def test_a_thin_pack_is_completed(work: WorkTree, taking: WorkTree) -> None:
    text = b"".join(b"line %d\n" % number for number in range(2000))
    base = work.commit({"a": text})
    tip = work.commit({"a": text + b"one more\n"})
    take(taking, pack_of(work, base, work.oid(f"{base}^{{tree}}"), work.oid(f"{base}:a")))
    thin = work.git.try_run(
        *("pack-objects", "--revs", "--thin", "--stdout", "-q"),
        cwd=work.folder,
        stdin=Revisions([tip], [base]).lines,
    ).stdout
    assert unpack(taking, thin)[0] == 0
    packs = taking.folder / ".git" / "objects" / "pack"
    held = [idx.stem for idx in packs.glob("*.idx") if work.oid(f"{base}:a") in oids_of(idx)]
    assert len(held) == 2, "the base of the delta is in the new pack, too"


def test_a_delta_whose_base_is_missing_is_named(work: WorkTree, taking: WorkTree) -> None:
    text = b"".join(b"line %d\n" % number for number in range(2000))
    base = work.commit({"a": text})
    tip = work.commit({"a": text + b"one more\n"})
    thin = work.git.try_run(
        *("pack-objects", "--revs", "--thin", "--stdout", "-q"),
        cwd=work.folder,
        stdin=Revisions([tip], [base]).lines,
    ).stdout
    code, _, stderr = unpack(taking, thin)
    assert code != 0
    assert unpack_failure(stderr.decode()).refused is None
    assert stored(taking) == set()


def test_faulty_objects_are_reported_and_taken(work: WorkTree, taking: WorkTree) -> None:
    work.write("tree", b"")
    faulty = work.write("commit", FAULTY)
    code, _, stderr = unpack(taking, pack_of(work, faulty, EMPTY_TREE_OID))
    log = FaultLog()
    shown = log.take(stderr) + log.finish()
    assert (code, shown) == (0, b"")
    assert {oid: fault.name for oid, fault in log.faults.items()} == {faulty: "missingEmail"}
    assert faulty in stored(taking)


def test_an_allowed_fault_is_not_reported(work: WorkTree, taking: WorkTree) -> None:
    work.write("tree", b"")
    faulty = work.write("commit", FAULTY)
    pack = pack_of(work, faulty, EMPTY_TREE_OID)
    assert unpack(taking, pack, allowed=("missingEmail",))[2] == b""


def test_a_refused_object_is_named_in_gits_words(work: WorkTree, taking: WorkTree) -> None:
    work.write("tree", b"")
    broken = work.write("commit", FAULTY.replace(b"author A", b"author \0A"))
    code, _, stderr = unpack(taking, pack_of(work, broken, EMPTY_TREE_OID))
    assert code != 0
    refused = unpack_failure(stderr.decode()).refused
    assert refused is not None
    assert refused.startswith(f"object {broken}: nulInHeader")


def test_a_pack_beyond_the_bound_is_refused(work: WorkTree, taking: WorkTree) -> None:
    commit = work.commit({"a": bytes(range(256)) * 100})
    code, _, stderr = unpack(taking, pack_of(work, commit, work.oid("HEAD:a")), max_bytes=100)
    assert code != 0
    assert b"exceeds maximum" in stderr
    assert stored(taking) == set()


def test_unread_gitmodules_are_listed_before_the_name_of_the_pack() -> None:
    one, two = "1" * 40, "2" * 40
    named = f"pack\t{'3' * 40}\n"
    assert find_unread_files(f"{one}\n{two}\n{named}".encode()) == [one, two]
    assert find_unread_files(named.encode()) == []
    assert find_unread_files(b"\xff" * 40 + b"\n") == []


def test_a_pack_without_faults_passes_the_strict_check(work: WorkTree, taking: WorkTree) -> None:
    commit = work.commit({"a": b"a\n"})
    wanted = (commit, work.oid("HEAD^{tree}"), work.oid("HEAD:a"))
    take(taking, pack_of(work, *wanted))
    assert stored(taking) == set(wanted)


def test_a_faulty_object_is_refused_unless_its_fault_is_allowed(work: WorkTree, taking: WorkTree) -> None:
    work.write("tree", b"")
    faulty = work.write("commit", FAULTY)
    pack = pack_of(work, faulty, EMPTY_TREE_OID)
    with pytest.raises(PackRefused) as refused:
        take(taking, pack)
    assert refused.value.reason.startswith(f"object {faulty}: missingEmail")
    assert stored(taking) == set()
    take(taking, pack, allowed=("missingEmail",))
    assert faulty in stored(taking)


def test_unreadable_gitmodules_are_refused(work: WorkTree, taking: WorkTree) -> None:
    commit = work.commit({".gitmodules": b"[submodule]\n"})
    with pytest.raises(PackRefused):
        take(taking, pack_of(work, commit, work.oid("HEAD^{tree}")))
    assert stored(taking) == set()


def test_bytes_that_are_not_a_pack_are_refused(taking: WorkTree) -> None:
    with pytest.raises(PackRefused):
        take(taking, b"nonsense" * 100_000)


def test_a_full_disk_is_reported_as_no_room(work: WorkTree, taking: WorkTree, fake_git: FakeGit) -> None:
    pack = pack_of(work, work.commit({"a": b"a\n"}))
    fake_git("cat >/dev/null; echo 'fatal: write error: No space left on device' >&2; exit 128")
    with pytest.raises(NoRoomForPack) as told:
        take(taking, pack)
    assert "write error" in told.value.messages


def test_the_caller_sets_the_time_for_a_pack(work: WorkTree, taking: WorkTree) -> None:
    def slow() -> Iterator[bytes]:
        yield b"PACK"
        time.sleep(0.01)
        yield b"\0"

    def time_left() -> float:
        raise GitTookTooLong()

    with pytest.raises(GitTookTooLong):
        index_stream(taking, slow(), allowed=(), max_bytes=10**8, time_left=time_left, switch=KillSwitch())


def test_a_pack_of_this_server_is_checked_with_the_files_that_git_reads(work: WorkTree) -> None:
    packs = work.folder / ".git" / "objects" / "pack"

    def judge(gitmodules: bytes) -> str | None:
        commit = work.commit({".gitmodules": gitmodules})
        names = (f"{commit}^{{tree}}", f"{commit}:.gitmodules")
        path = packs / "pack-judged.pack"
        path.unlink(missing_ok=True)
        path.write_bytes(pack_of(work, commit, *(work.oid(name) for name in names)))
        return judge_pack(work, path)

    assert judge(b'[submodule "a"]\n\tpath = a\n\turl = https://x.test/a\n') is None
    reason = judge(b'[submodule "a"]\n\tpath = a\n\turl = -uevil\n')
    assert reason is not None
    assert "gitmodulesUrl" in reason
    assert [may_lack for _, may_lack in work.complaints] == [True]


def test_a_failed_check_that_damage_explains_is_reported_as_damage(work: WorkTree) -> None:
    broken = work.folder / ".git" / "objects" / "pack" / "pack-judged.pack"
    broken.write_bytes(b"PACK\0\0\0\2\0\0\0\1nonsense")
    assert judge_pack(work, broken) is not None
    work.is_strict = True
    with pytest.raises(DamageTold):
        judge_pack(work, broken)


def test_an_idx_is_made_from_the_pack_alone(work: WorkTree, tmp_path: Path) -> None:
    commit = work.commit({"a": b"a\n"})
    pack, idx = tmp_path / "some.pack", tmp_path / "made.idx"
    pack.write_bytes(pack_of(work, commit))
    make_idx(pack, idx=idx, timeout_s=60)
    with PackIdx(idx) as made:
        assert list(made.iter_oids()) == [commit]
    assert sorted(path.suffix for path in tmp_path.glob("*.*")) == [".idx", ".pack"]


def test_no_idx_is_made_of_a_damaged_pack(work: WorkTree, tmp_path: Path) -> None:
    pack, idx = tmp_path / "some.pack", tmp_path / "made.idx"
    pack.write_bytes(pack_of(work, work.commit({"a": b"a\n"}))[:-5] + b"wrong")
    with pytest.raises(GitFailed):
        make_idx(pack, idx=idx, timeout_s=60)
    assert not idx.exists()
