"""What every store of packs does for those who look after it, and side by side; see test_store_conformance.py."""

import os
import subprocess
import threading
from pathlib import Path

import pytest

from packhouse.errors import Corrupt
from packhouse.git.packs.pack import Pack
from packhouse.storage.store import FOLDER_MISSING, MISSING, PackSet, PackStore
from tests.support.builders.store_bench import OTHER, REPO, Bench, blob, flip, name_of, put, shows

# what those ask who look after the store


def put_by_hash(store: PackStore, content: bytes) -> Pack:
    """Store a pack with one blob as an earlier release named it."""
    with store.new_pack() as new:
        new.writer.add_object("blob", content)
        finished, pack, idx = new.finish()
        store.put(REPO, finished.pack.name, pack, idx)
    return finished.pack


def test_missing_names_each_fault_and_a_lost_folder_as_one(bench: Bench) -> None:
    one, two, three = (put(bench.store, number, b"%d" % number) for number in (1, 2, 3))
    bench.lose(one.name)
    bench.damage(two.name, lambda content: content[:-1])
    faults = {fault.pack: fault.reason for fault in bench.store.missing(REPO, [one, two, three])}
    assert faults.keys() == {one.name, two.name}
    assert faults[one.name] == MISSING != faults[two.name]
    lost = bench.store.missing(OTHER, [one])
    assert [(fault.pack, fault.reason) for fault in lost] == [("", FOLDER_MISSING)]
    assert bench.store.missing(OTHER, []) == []


def test_a_pack_is_described_by_size_and_number_of_objects(bench: Bench) -> None:
    pack = put(bench.store, 1, b"one", b"two", b"three")
    assert bench.store.stat(REPO, pack.name) == pack
    assert bench.store.stat(REPO, name_of(2)) is None
    assert bench.store.stat(OTHER, pack.name) is None
    no_pack = put(bench.store, 2, b"four")
    bench.damage(no_pack.name, lambda _: b"no pack at all")
    assert bench.store.stat(REPO, no_pack.name) is None


def test_all_packs_in_place_are_listed_also_incomplete_ones(bench: Bench) -> None:
    assert bench.store.list_names(REPO) == []
    assert list(bench.store.iter_repo_ids()) == []
    for number in (3, 1, 2):
        put(bench.store, number, b"%d" % number)
    bench.lose(name_of(3), suffix=".idx")
    put(bench.store, 1, b"one", repo_id=OTHER)
    assert bench.store.list_names(REPO) == [name_of(1), name_of(2), name_of(3)]
    assert sorted(bench.store.iter_repo_ids()) == [REPO, OTHER]


def test_only_packs_named_by_their_hash_count_as_those_of_an_earlier_release(bench: Bench) -> None:
    store = bench.store
    assert store.survey(REPO) == []
    packs = [put_by_hash(store, content) for content in (b"one", b"two", b"three")]
    put(store, 1, b"noted by this release")
    bench.lose(packs[1].name, suffix=".idx")
    bench.damage(packs[2].name, lambda content: content[:-1])
    assert store.survey(REPO) == [packs[0]]
    assert len(store.list_names(REPO)) == 4


def test_the_objects_of_a_pack_are_listed_in_order(bench: Bench) -> None:
    contents = [b"%d" % number for number in range(40)]
    pack = put(bench.store, 1, *contents)
    assert list(bench.store.list_oids(REPO, pack.name)) == sorted(map(blob, contents))
    with pytest.raises(FileNotFoundError):
        list(bench.store.list_oids(REPO, name_of(2)))
    bench.damage(pack.name, lambda _: b"no idx at all", suffix=".idx")
    with pytest.raises(Corrupt):
        list(bench.store.list_oids(REPO, pack.name))


def test_the_packs_that_hold_an_object_are_found(bench: Bench) -> None:
    one, both = put(bench.store, 1, b"one"), put(bench.store, 2, b"one", b"two")
    unreadable = put(bench.store, 3, b"one", b"three")
    bench.lose(unreadable.name, suffix=".idx")
    packs = [one, both, unreadable]
    assert bench.store.find_holders(REPO, packs, blob(b"one")) == [one, both]
    assert bench.store.find_holders(REPO, [both], blob(b"one")) == [both]
    assert bench.store.find_holders(REPO, packs, blob(b"two")) == [both]
    assert bench.store.find_holders(REPO, packs, blob(b"none")) == []


def test_a_pack_is_read_from_end_to_end(bench: Bench) -> None:
    sound, flipped, lost = (put(bench.store, number, b"%d" % number * 100) for number in (1, 2, 3))
    bench.damage(flipped.name, flip(20))
    bench.lose(lost.name)
    assert bench.store.find_content_fault(REPO, sound) is None
    assert bench.store.find_content_fault(REPO, flipped)
    assert bench.store.find_content_fault(REPO, lost) == MISSING
    assert bench.store.missing(REPO, [sound, flipped]) == []


def test_mending_also_reaches_readers_that_have_the_pack_open(bench: Bench) -> None:
    one, two = put(bench.store, 1, b"one"), put(bench.store, 2, b"two")
    opened = bench.store.open(REPO, PackSet(7, [one, two]))
    bench.damage(one.name, flip(1040), suffix=".idx")
    assert not shows(opened, b"one")
    mended = bench.store.mend(REPO, [one, two], trusting=False)
    assert mended.rebuilt == [f"pack-{one.name}.idx"]
    assert mended.faults == []
    assert shows(opened, b"one")
    with opened.reader() as reader:
        assert reader.read(blob(b"one")) == ("blob", b"one")
    opened.close()


@pytest.mark.parametrize("trusting", [True, False])
def test_mending_reports_packs_that_it_cannot_mend(bench: Bench, trusting: bool) -> None:
    one, two = put(bench.store, 1, b"one"), put(bench.store, 2, b"two")
    bench.lose(one.name)
    mended = bench.store.mend(REPO, [one, two], trusting=trusting)
    assert [(fault.pack, fault.reason) for fault in mended.faults] == [(one.name, MISSING)]
    assert mended.rebuilt == []
    lost = bench.store.mend(OTHER, [one], trusting=trusting)
    assert [(fault.pack, fault.reason) for fault in lost.faults] == [("", FOLDER_MISSING)]
    nothing = bench.store.mend(OTHER, [], trusting=trusting)
    assert (nothing.rebuilt, nothing.faults) == ([], [])


def test_a_recheck_finds_an_idx_that_changed_since_it_was_opened(bench: Bench) -> None:
    one = put(bench.store, 1, b"one")
    opened = bench.store.open(REPO, PackSet(7, [one]))
    unchanged = bench.store.recheck(REPO, opened, [one])
    assert (unchanged.rebuilt, unchanged.faults) == ([], [])
    bench.damage(one.name, flip(1040), suffix=".idx")
    assert bench.store.recheck(REPO, opened, [one]).rebuilt == [f"pack-{one.name}.idx"]
    assert shows(opened, b"one")
    opened.close()


# places to work in


def test_git_reads_the_open_packs_from_a_repository_without_objects(store: PackStore) -> None:
    opened = store.open(REPO, PackSet(7, [put(store, 1, b"one")]))
    written: list[Path] = []
    with store.git_dir(REPO, written.append) as (git_dir, descriptors):
        assert written == [git_dir]
        for folder in (git_dir, store.skeleton()):
            answer = subprocess.run(
                ["git", "--git-dir", folder, "cat-file", "blob", blob(b"one")],
                env={"PATH": os.environ["PATH"], "GIT_OBJECT_DIRECTORY": str(opened.object_dir)},
                pass_fds=(*opened.descriptors, *descriptors),
                capture_output=True,
                check=True,
            )
            assert answer.stdout == b"one"
    with store.git_dir(REPO, written.append) as (again, _):
        assert again == git_dir
    opened.close()


def test_new_packs_and_quarantines_are_in_no_repository_and_go_unless_they_are_put(
    store: PackStore,
) -> None:
    with store.new_quarantine() as quarantine, store.new_scratch() as scratch, store.new_pack() as new:
        new.writer.add_object("blob", b"one")
        _info, pack, idx = new.finish()
        places = [quarantine.object_dir, scratch.object_dir, pack, idx]
        assert all(place.exists() for place in places)
        assert store.scratch_dir().is_dir()
        assert list(store.iter_repo_ids()) == []
    assert not any(place.exists() for place in places)


def test_sweeping_keeps_stored_open_and_new_packs(store: PackStore) -> None:
    one = put(store, 1, b"one")
    opened = store.open(REPO, PackSet(7, [one]))
    with store.new_quarantine() as quarantine, store.new_pack() as new:
        new.writer.add_object("blob", b"two")
        store.sweep()
        assert quarantine.object_dir.exists()
        info, pack, idx = new.finish()
        store.put(REPO, name_of(2), pack, idx)
    assert shows(opened, b"one")
    opened.close()
    assert store.missing(REPO, [one, Pack(name_of(2), info.pack.size_bytes, info.pack.objects)]) == []


def test_a_working_store_passes_its_check(store: PackStore) -> None:
    store.check()


# locks


def test_writers_of_a_ref_wait_for_each_other(store: PackStore) -> None:
    order: list[str] = []
    inside = threading.Event()

    def write() -> None:
        inside.wait()
        with store.writer_lock(REPO, b"refs/heads/main"):
            order.append("second")

    thread = threading.Thread(target=write)
    thread.start()
    with store.writer_lock(REPO, b"refs/heads/main"):
        inside.set()
        thread.join(0.05)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


# threads


def test_threads_can_store_read_and_delete_at_once(store: PackStore) -> None:
    failures: list[BaseException] = []
    kept = put(store, 1000, b"kept")

    def work(number: int) -> None:
        try:
            for count in range(10):
                content = b"%d %d" % (number, count)
                pack = put(store, 100 * number + count, content)
                # Every reader has a set of its own; the generations are shared by all threads.
                opened = store.open(REPO, PackSet(count, [kept, pack]))
                with opened.reader() as reader:
                    assert opened.mended.faults == []
                    assert reader.read(blob(b"kept"))[1] == b"kept"
                    while store.delete(REPO, [pack.name]) != {pack.name}:
                        pass  # it stays for now, since another one deletes
                    assert reader.read(blob(content))[1] == content
                opened.close()
        except BaseException as error:  # for the thread that asserts
            failures.append(error)
            raise

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert store.list_names(REPO) == [kept.name]
