"""Packs of objects that are named, or that some lead to; packs that become one."""

from pathlib import Path

import pytest

from packhouse.errors import TimedOut
from packhouse.git.commands.kill_switch import KillSwitch
from packhouse.git.commands.pack_objects import iter_pack, join_packs, write_pack
from packhouse.git.commands.rev_list import Revisions
from packhouse.git.commands.run import GitFailed
from packhouse.git.oid import Oid
from packhouse.git.packs.idx import PackIdx
from tests.support.clients.git_runner import WorkTree

pytestmark = pytest.mark.quick

UNKNOWN = Oid("1" * 40)


def oids_in(folder: Path) -> list[set[Oid]]:
    """Return the objects of each pack in a folder."""
    found = []
    for path in sorted(folder.glob("*.idx")):
        with PackIdx(path) as idx:
            found.append(set(idx.iter_oids()))
    return found


def new_folder(work: WorkTree) -> Path:
    folder = work.folder.parent / "packs"
    folder.mkdir()
    return folder


def test_named_objects_are_packed_and_no_others(work: WorkTree) -> None:
    commit = work.commit({"a": b"a\n", "b": b"b\n"})
    folder = new_folder(work)
    wanted = [commit, work.oid("HEAD:a")]
    write_pack(work, wanted, prefix=str(folder / "pack"))
    assert oids_in(folder) == [set(wanted)]


def test_revisions_are_packed_with_all_reachable_objects(work: WorkTree) -> None:
    one = work.commit({"a": b"a\n"})
    two = work.commit({"b": b"b\n"})
    folder = new_folder(work)
    write_pack(work, Revisions([two], [one]), prefix=str(folder / "pack"))
    assert oids_in(folder) == [{two, work.oid("HEAD^{tree}"), work.oid("HEAD:b")}]


def test_a_pack_is_complete_even_if_the_source_has_deltas(work: WorkTree) -> None:
    text = b"".join(b"line %d\n" % number for number in range(2000))
    base = work.commit({"a": text})
    tip = work.commit({"a": text + b"one more\n"})
    work.run("repack", "-adq")
    folder = new_folder(work)
    write_pack(work, Revisions([tip], [base]), prefix=str(folder / "pack"))
    (pack,) = folder.glob("*.pack")
    bare = work.folder.parent / "bare"
    work.run("init", "--quiet", "--bare", bare)
    # Without the base beside it, index-pack takes only a pack whose deltas have their bases in it.
    work.git.run("index-pack", "--stdin", cwd=bare, stdin=pack.read_bytes())


def test_an_object_that_is_missing_fails_the_pack(work: WorkTree) -> None:
    folder = new_folder(work)
    work.commit({"a": b"a\n"})
    with pytest.raises(GitFailed):
        write_pack(work, [UNKNOWN], prefix=str(folder / "pack"))
    with pytest.raises(GitFailed):
        write_pack(work, Revisions([UNKNOWN]), prefix=str(folder / "pack"))
    assert list(folder.iterdir()) == []


def test_a_streamed_pack_holds_the_same(work: WorkTree) -> None:
    one = work.commit({"a": b"a\n"})
    two = work.commit({"b": b"b\n"})
    bare = work.folder.parent / "bare"
    work.run("init", "--quiet", "--bare", bare)
    for wanted in (Revisions([two], [one]), [one, work.oid("HEAD:a")]):
        pack = b"".join(iter_pack(work, wanted, timeout_s=60, switch=KillSwitch()))
        assert pack.startswith(b"PACK")
        work.git.run("unpack-objects", "-q", cwd=bare, stdin=pack)
    listed = work.git.run("cat-file", "--batch-all-objects", "--batch-check=%(objectname)", cwd=bare)
    names = ("HEAD", "HEAD^{tree}", "HEAD:b", "HEAD~", "HEAD:a")
    assert set(listed.split()) == {work.oid(name) for name in names}


def test_a_streamed_pack_can_be_cut_off_and_has_a_time_limit(work: WorkTree) -> None:
    tip = work.commit({"a": b"a\n"})
    switch = KillSwitch()
    switch.trip()
    with pytest.raises(GitFailed):
        list(iter_pack(work, [tip], timeout_s=60, switch=switch))
    with pytest.raises(TimedOut):
        list(iter_pack(work, [tip], timeout_s=0, switch=KillSwitch()))


def test_joined_packs_keep_unreachable_objects(work: WorkTree) -> None:
    work.commit({"a": b"a\n"})
    packs = work.folder / ".git" / "objects" / "pack"
    work.run("repack", "-adq")
    loose = work.write("blob", b"nothing leads here")
    write_pack(work, [loose], prefix=str(packs / "pack"))
    work.remove(loose)
    before = oids_in(packs)
    assert len(before) == 2
    folder = new_folder(work)
    names = [path.stem.removeprefix("pack-") for path in packs.glob("*.pack")]
    join_packs(work, names, prefix=str(folder / "pack"), timeout_s=60)
    assert oids_in(folder) == [before[0] | before[1]]


def test_a_missing_pack_cannot_be_joined(work: WorkTree) -> None:
    work.commit({"a": b"a\n"})
    work.run("repack", "-adq")
    folder = new_folder(work)
    with pytest.raises(GitFailed) as failed:
        join_packs(work, ["2" * 40], prefix=str(folder / "pack"), timeout_s=60)
    assert "2" * 40 in failed.value.messages
    assert list(folder.iterdir()) == []
