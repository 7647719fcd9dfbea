"""What every store of packs does for writers and readers: one test for each promise of storage/store.py."""

import pytest

from packhouse.git.packs.pack import Pack
from packhouse.storage.store import MISSING, PackSet, PackStore
from tests.support.builders.store_bench import OTHER, REPO, Bench, Change, blob, flip, name_of, put, shows

# put, link


def test_put_takes_the_files_and_the_pack_is_readable_afterwards(store: PackStore) -> None:
    with store.new_pack() as new:
        new.writer.add_object("blob", b"one")
        info, pack, idx = new.finish()
        store.put(REPO, name_of(1), pack, idx)
        assert not pack.exists()
        assert not idx.exists()
    opened = store.open(REPO, PackSet(7, [Pack(name_of(1), info.pack.size_bytes, info.pack.objects)]))
    assert opened.mended.faults == []
    assert shows(opened, b"one")
    with opened.reader() as reader:
        assert reader.read(blob(b"one")) == ("blob", b"one")
    opened.close()


def test_another_process_sees_a_stored_pack(bench: Bench) -> None:
    pack = put(bench.store, 1, b"one")
    other = bench.open_again()
    opened = other.open(REPO, PackSet(7, [pack]))
    assert shows(opened, b"one")
    opened.close()
    other.close()


def test_a_pack_that_is_put_twice_is_there_once(store: PackStore) -> None:
    put(store, 1, b"one")
    pack = put(store, 1, b"one")
    assert store.list_names(REPO) == [pack.name]
    opened = store.open(REPO, PackSet(7, [pack]))
    assert shows(opened, b"one")
    opened.close()


@pytest.mark.parametrize("suffix", [".pack", ".idx"])
@pytest.mark.parametrize("change", [lambda content: content[:20], flip(40), lambda content: b""])
def test_a_repeated_put_replaces_partial_files(bench: Bench, suffix: str, change: Change) -> None:
    put(bench.store, 1, b"one")
    bench.damage(name_of(1), change, suffix=suffix)
    pack = put(bench.store, 1, b"one")
    assert bench.store.find_content_fault(REPO, pack) is None
    opened = bench.store.open(REPO, PackSet(7, [pack]))
    assert opened.mended.faults == []
    assert shows(opened, b"one")
    opened.close()


def test_a_linked_pack_does_not_depend_on_its_source(store: PackStore) -> None:
    source = put(store, 1, b"one")
    store.link(REPO, source.name, OTHER, name_of(2))
    assert store.delete(REPO, [source.name]) == {source.name}
    linked = Pack(name_of(2), source.size_bytes, source.objects)
    assert store.stat(OTHER, linked.name) == linked
    opened = store.open(OTHER, PackSet(7, [linked]))
    assert shows(opened, b"one")
    opened.close()
    store.remove_repo(REPO)
    opened = store.open(OTHER, PackSet(8, [linked]))
    assert shows(opened, b"one")
    opened.close()


def test_a_linked_pack_replaces_partial_files_of_its_name(bench: Bench) -> None:
    source = put(bench.store, 1, b"one", repo_id=OTHER)
    put(bench.store, 2, b"else")
    bench.damage(name_of(2), lambda content: content[:20])
    bench.store.link(OTHER, source.name, REPO, name_of(2))
    opened = bench.store.open(REPO, PackSet(7, [Pack(name_of(2), source.size_bytes, source.objects)]))
    assert shows(opened, b"one")
    opened.close()


def test_a_missing_source_cannot_be_linked(store: PackStore) -> None:
    with pytest.raises(FileNotFoundError):
        store.link(REPO, name_of(1), OTHER, name_of(2))
    put(store, 1, b"one")
    with pytest.raises(FileNotFoundError):
        store.link(REPO, name_of(9), OTHER, name_of(2))
    assert store.list_names(OTHER) == []
    assert store.stat(OTHER, name_of(2)) is None


# open


def test_a_set_without_packs_opens(store: PackStore) -> None:
    opened = store.open(REPO, PackSet(0, []))
    assert opened.mended.faults == []
    assert not shows(opened, b"one")
    opened.close()


def test_packs_that_are_not_in_the_set_are_not_shown(store: PackStore) -> None:
    one, _ = put(store, 1, b"one"), put(store, 2, b"two")
    opened = store.open(REPO, PackSet(7, [one]))
    assert shows(opened, b"one")
    assert not shows(opened, b"two")
    opened.close()


def test_repositories_do_not_see_each_others_packs(store: PackStore) -> None:
    ours, theirs = put(store, 1, b"one"), put(store, 1, b"two", repo_id=OTHER)
    opened = store.open(REPO, PackSet(7, [ours]))
    others = store.open(OTHER, PackSet(7, [theirs]))
    assert shows(opened, b"one")
    assert not shows(opened, b"two")
    assert shows(others, b"two")
    assert not shows(others, b"one")
    opened.close()
    others.close()


def test_a_larger_set_of_the_generation_shows_its_packs_to_earlier_readers_too(store: PackStore) -> None:
    one = put(store, 1, b"one")
    earlier = store.open(REPO, PackSet(7, [one]))
    with earlier.reader() as reader:
        assert reader.kind_and_size(blob(b"two")) is None
        two = put(store, 2, b"two")
        later = store.open(REPO, PackSet(7, [one, two]))
        assert reader.read(blob(b"two")) == ("blob", b"two")
    assert shows(earlier, b"two")
    assert shows(later, b"one")
    later.close()
    assert shows(earlier, b"two")
    earlier.close()


def test_another_generation_does_not_change_an_open_one(store: PackStore) -> None:
    one, two = put(store, 1, b"one"), put(store, 2, b"two")
    earlier = store.open(REPO, PackSet(7, [one]))
    later = store.open(REPO, PackSet(8, [two]))
    assert shows(earlier, b"one")
    assert not shows(earlier, b"two")
    assert shows(later, b"two")
    assert not shows(later, b"one")
    earlier.close()
    later.close()


def test_the_last_reader_of_a_replaced_generation_removes_its_folder(store: PackStore) -> None:
    one = put(store, 1, b"one")
    first, second = store.open(REPO, PackSet(7, [one])), store.open(REPO, PackSet(7, [one]))
    newer = store.open(REPO, PackSet(8, [one]))
    first.close()
    first.close()  # harmless
    assert shows(second, b"one")
    second.close()
    assert not second.object_dir.exists()
    assert shows(newer, b"one")
    newer.close()


def test_an_earlier_generation_can_be_opened_again(store: PackStore) -> None:
    one, two = put(store, 1, b"one"), put(store, 2, b"two")
    for generation, pack, content in ((7, one, b"one"), (8, two, b"two"), (7, one, b"one"), (8, two, b"two")):
        opened = store.open(REPO, PackSet(generation, [pack]))
        assert opened.mended.faults == []
        assert shows(opened, content)
        opened.close()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda content: None, id="lost"),
        pytest.param(lambda content: content[:-1], id="cut"),
        pytest.param(lambda content: content + b"x", id="longer"),
        pytest.param(lambda content: b"", id="empty"),
        pytest.param(flip(0), id="no pack"),
        pytest.param(flip(11), id="another count"),
    ],
)
def test_a_changed_pack_is_a_fault_and_the_others_are_shown(bench: Bench, change: Change) -> None:
    one, two = put(bench.store, 1, b"one"), put(bench.store, 2, b"two")
    bench.damage(one.name, change)
    opened = bench.store.open(REPO, PackSet(7, [one, two]))
    assert [fault.pack for fault in opened.mended.faults] == [one.name]
    assert opened.mended.faults[0].reason
    assert shows(opened, b"two")
    assert not shows(opened, b"one")
    opened.close()
    assert [fault.pack for fault in bench.store.missing(REPO, [one, two])] == [one.name]


def test_a_pack_that_differs_from_its_row_is_a_fault(store: PackStore) -> None:
    one = put(store, 1, b"one")
    for listed in (Pack(one.name, one.size_bytes + 1, 1), Pack(one.name, one.size_bytes, 2)):
        opened = store.open(REPO, PackSet(one.size_bytes + listed.size_bytes + listed.objects, [listed]))
        assert [fault.pack for fault in opened.mended.faults] == [one.name]
        opened.close()
        assert [fault.pack for fault in store.missing(REPO, [listed])] == [one.name]
    assert store.missing(REPO, [one]) == []


def test_a_missing_pack_is_shown_once_it_is_brought_back(bench: Bench) -> None:
    one, two = put(bench.store, 1, b"one"), put(bench.store, 2, b"two")
    bench.lose(one.name)
    opened = bench.store.open(REPO, PackSet(7, [one, two]))
    assert [(fault.pack, fault.reason) for fault in opened.mended.faults] == [(one.name, MISSING)]
    put(bench.store, 1, b"one")
    again = bench.store.open(REPO, PackSet(7, [one, two]))
    assert again.mended.faults == []
    assert shows(again, b"one")
    opened.close()
    again.close()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda content: None, id="lost"),
        pytest.param(lambda content: content[:-1], id="cut"),
        pytest.param(lambda content: b"", id="empty"),
        pytest.param(flip(1040), id="another id"),
    ],
)
def test_opening_makes_a_lost_or_damaged_idx_anew(bench: Bench, change: Change) -> None:
    one = put(bench.store, 1, b"one", b"more")
    bench.damage(one.name, change, suffix=".idx")
    opened = bench.store.open(REPO, PackSet(7, [one]))
    assert opened.mended.faults == []
    assert opened.mended.rebuilt == [f"pack-{one.name}.idx"]
    assert shows(opened, b"one")
    opened.close()
    assert list(bench.store.list_oids(REPO, one.name)) == sorted([blob(b"one"), blob(b"more")])


def test_the_idx_of_another_pack_is_made_anew(bench: Bench) -> None:
    one, two = put(bench.store, 1, b"one"), put(bench.store, 2, b"two")
    seen: list[bytes] = []

    def look(content: bytes) -> bytes:
        seen.append(content)
        return content

    bench.damage(two.name, look, suffix=".idx")
    bench.damage(one.name, lambda _: seen[0], suffix=".idx")
    opened = bench.store.open(REPO, PackSet(7, [one]))
    assert opened.mended.faults == []
    assert shows(opened, b"one")
    opened.close()


# delete, remove_repo


def test_a_deleted_pack_is_gone_for_new_readers_and_stays_for_open_ones(
    store: PackStore,
) -> None:
    one, two = put(store, 1, b"one"), put(store, 2, b"two")
    opened = store.open(REPO, PackSet(7, [one, two]))
    with opened.reader() as reader:
        assert store.delete(REPO, [one.name]) == {one.name}
        assert reader.read(blob(b"one")) == ("blob", b"one")
    assert shows(opened, b"one")  # also for a git that starts now
    later = store.open(REPO, PackSet(8, [one, two]))
    assert [(fault.pack, fault.reason) for fault in later.mended.faults] == [(one.name, MISSING)]
    assert not shows(later, b"one")
    assert shows(later, b"two")
    later.close()
    assert shows(opened, b"one")
    opened.close()
    assert store.list_names(REPO) == [two.name]
    assert store.stat(REPO, one.name) is None


def test_a_pack_may_be_deleted_twice_and_late(bench: Bench) -> None:
    one, two = put(bench.store, 1, b"one"), put(bench.store, 2, b"two")
    bench.lose(two.name, suffix=".idx")
    names = [one.name, two.name, name_of(9)]
    assert bench.store.delete(REPO, names) == set(names)
    assert bench.store.delete(REPO, names) == set(names)
    assert bench.store.list_names(REPO) == []
    assert bench.store.delete(OTHER, names) == set(names)
    assert bench.store.delete(REPO, []) == set()


def test_a_name_that_was_deleted_can_be_stored_again(store: PackStore) -> None:
    put(store, 1, b"one")
    store.delete(REPO, [name_of(1)])
    again = put(store, 1, b"other")
    opened = store.open(REPO, PackSet(7, [again]))
    assert shows(opened, b"other")
    opened.close()


def test_a_removed_repository_stays_readable_for_open_readers(store: PackStore) -> None:
    one, theirs = put(store, 1, b"one"), put(store, 1, b"two", repo_id=OTHER)
    opened = store.open(REPO, PackSet(7, [one]))
    assert store.remove_repo(REPO)
    assert not store.remove_repo(REPO)
    assert shows(opened, b"one")
    with opened.reader() as reader:
        assert reader.read(blob(b"one")) == ("blob", b"one")
    later = store.open(REPO, PackSet(8, [one]))
    assert [fault.pack for fault in later.mended.faults] == [one.name]
    later.close()
    opened.close()
    assert list(store.iter_repo_ids()) == [OTHER]
    assert store.missing(OTHER, [theirs]) == []


def test_a_pack_is_described_by_its_present_file(store: PackStore) -> None:
    first = put(store, 1, b"one")
    assert store.stat(REPO, first.name) == first
    second = put(store, 1, b"another", b"and one more")
    assert store.stat(REPO, first.name) == second != first
    store.delete(REPO, [first.name])
    assert store.stat(REPO, first.name) is None
