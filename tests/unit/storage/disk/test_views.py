"""Folders that show chosen packs: exactly those, as long as somebody reads them, whatever becomes of the stored."""

import os
import random
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from packhouse.git.commands.environment import git_environment
from packhouse.limits import Limits
from packhouse.storage.disk.store import DiskPackStore
from packhouse.storage.disk.views import ViewFolders
from packhouse.storage.store import MISSING, PackFault
from tests.support.builders.seeds import seed_of
from tests.support.builders.store_bench import REPO, blob
from tests.support.builders.stored import (
    pack_dir_of,
    place_for_git,
    read_blob,
    read_blob_by_git,
    show,
    shown_names,
    store_blobs,
)

pytestmark = pytest.mark.quick

OTHER = "repo_wxyz5678"
A, B, C = b"a", b"b", b"c"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def store(data: Path) -> Iterator[DiskPackStore]:
    store = DiskPackStore(data)
    yield store
    store.close()


@pytest.fixture
def other(data: Path) -> Iterator[DiskPackStore]:
    """The store as another process has it open: no lock and no list of folders is shared with the first."""
    store = DiskPackStore(data)
    yield store
    store.close()


def folders(data: Path, repo_id: str = REPO) -> list[int]:
    """Return the generations that have a folder."""
    root = data / "views" / repo_id
    return sorted(int(path.name, 16) for path in root.iterdir()) if root.exists() else []


def let_age(data: Path) -> None:
    """Make every folder look as if nothing was added to it for an hour."""
    for folder in (data / "views").glob("*/*/pack"):
        os.utime(folder, (time.time() - 3600,) * 2)


def test_a_folder_shows_exactly_the_packs_of_the_set(store: DiskPackStore) -> None:
    one, two, three = (store_blobs(store, REPO, content) for content in (A, B, C))
    opened = show(store, 1, one, three)
    assert opened.mended.faults == []
    assert shown_names(opened) == {one.name, three.name}
    for content, found in ((A, A), (B, None), (C, C)):
        assert read_blob(opened, content) == found
        assert read_blob_by_git(store, opened, content) == found
    assert two.name in store.list_names(REPO)
    opened.close()


def test_an_empty_set_opens_an_empty_folder(store: DiskPackStore) -> None:
    opened = show(store, 1)
    assert shown_names(opened) == set()
    assert read_blob(opened, A) is None
    opened.close()


def test_packs_are_linked_and_take_no_room(store: DiskPackStore) -> None:
    pack = store_blobs(store, REPO, A)
    opened = show(store, 1, pack)
    for suffix in (".pack", ".idx"):
        name = f"pack-{pack.name}{suffix}"
        assert (opened.object_dir / "pack" / name).samefile(pack_dir_of(store, REPO) / name)
    opened.close()


def test_a_folder_gains_packs_of_its_generation_while_readers_use_it(store: DiskPackStore) -> None:
    one, two = store_blobs(store, REPO, A), store_blobs(store, REPO, B)
    first = show(store, 1, one)
    with first.reader() as reader:
        assert reader.read(blob(A))[1] == A
        with first.reader() as idle:
            assert idle.read(blob(A))[1] == A
        second = show(store, 1, one, two)
        assert second.object_dir == first.object_dir
        assert shown_names(second) == {one.name, two.name}
        assert reader.read(blob(A))[1] == A
        with second.reader() as again:
            assert again is idle
            assert again.read(blob(B))[1] == B
    first.close()
    assert read_blob(second, B) == B
    second.close()


def test_a_smaller_set_of_the_generation_uses_the_same_folder(store: DiskPackStore) -> None:
    one, two = store_blobs(store, REPO, A), store_blobs(store, REPO, B)
    large = show(store, 1, one, two)
    small = show(store, 1, one)  # of a view that was opened before the second pack came
    assert small.object_dir == large.object_dir
    assert read_blob(small, A) == A
    large.close()
    small.close()


def test_another_generation_has_another_folder(store: DiskPackStore, data: Path) -> None:
    one, two = store_blobs(store, REPO, A), store_blobs(store, REPO, A, B)
    old = show(store, 1, one)
    new = show(store, 2, two)
    assert old.object_dir != new.object_dir
    assert (shown_names(old), shown_names(new)) == ({one.name}, {two.name})
    assert folders(data) == [1, 2]
    old.close()
    new.close()


def test_repositories_do_not_share_a_folder(store: DiskPackStore) -> None:
    mine, theirs = store_blobs(store, REPO, A), store_blobs(store, OTHER, B)
    opened = show(store, 1, mine), show(store, 1, theirs, repo_id=OTHER)
    assert [shown_names(one) for one in opened] == [{mine.name}, {theirs.name}]
    for one in opened:
        one.close()


def test_processes_share_a_folder(store: DiskPackStore, other: DiskPackStore, data: Path) -> None:
    one, two = store_blobs(store, REPO, A), store_blobs(store, REPO, B)
    mine, theirs = show(store, 1, one), show(other, 1, one, two)
    assert mine.object_dir == theirs.object_dir
    assert folders(data) == [1]
    mine.close()
    store.close()
    assert read_blob(theirs, B) == B
    theirs.close()


@pytest.mark.parametrize("how", ["delete", "remove_repo"])
def test_open_packs_stay_readable_after_they_are_deleted(store: DiskPackStore, how: str) -> None:
    one, two = store_blobs(store, REPO, A), store_blobs(store, REPO, B)
    opened = show(store, 1, one, two)
    if how == "delete":
        assert store.delete(REPO, [one.name, two.name]) == {one.name, two.name}
        assert store.list_names(REPO) == []
    else:
        assert store.remove_repo(REPO)
        assert not store.repo_path(REPO).exists()
    for content in (A, B):  # nothing of it was read before
        assert read_blob(opened, content) == content
        assert read_blob_by_git(store, opened, content) == content
    opened.close()


def test_a_removed_repository_is_opened_anew_when_it_exists_again(store: DiskPackStore) -> None:
    opened = show(store, 1, store_blobs(store, REPO, A))
    store.remove_repo(REPO)
    again = show(store, 2, store_blobs(store, REPO, B))
    assert (read_blob(again, B), read_blob(again, A)) == (B, None)
    assert read_blob(opened, A) == A
    again.close()
    opened.close()


def test_the_last_user_of_a_replaced_generation_removes_its_folder(store: DiskPackStore, data: Path) -> None:
    one, two = store_blobs(store, REPO, A), store_blobs(store, REPO, A, B)
    first, second = show(store, 1, one), show(store, 1, one)
    new = show(store, 2, two)
    first.close()
    first.close()  # harmless, and not the end of a second user
    assert folders(data) == [1, 2]
    assert read_blob(second, A) == A
    second.close()
    assert folders(data) == [2]
    assert read_blob(new, B) == B
    new.close()
    assert folders(data) == [2]  # kept for the next reader


def test_an_unused_folder_is_removed_when_another_generation_is_opened(
    store: DiskPackStore, data: Path
) -> None:
    show(store, 1, store_blobs(store, REPO, A)).close()
    assert folders(data) == [1]
    show(store, 2, store_blobs(store, REPO, A, B)).close()
    assert folders(data) == [2]


def test_a_folder_that_another_process_uses_is_kept(
    store: DiskPackStore, other: DiskPackStore, data: Path
) -> None:
    one, two = store_blobs(store, REPO, A), store_blobs(store, REPO, A, B)
    theirs = show(other, 1, one)
    show(store, 1, one).close()
    show(store, 2, two).close()
    assert folders(data) == [1, 2]
    store.delete(REPO, [one.name])
    let_age(data)
    store.sweep()
    assert 1 in folders(data)
    assert read_blob(theirs, A) == A
    theirs.close()


def test_a_folder_is_kept_while_a_child_process_holds_its_descriptor(
    store: DiskPackStore, data: Path
) -> None:
    one, two = store_blobs(store, REPO, A), store_blobs(store, REPO, A, B)
    opened = show(store, 1, one)
    place = place_for_git(store, opened)
    environment = git_environment(place)
    with subprocess.Popen(
        ["git", "cat-file", "--batch", "--buffer"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=place.descriptors,
    ) as child:
        assert child.stdin is not None
        opened.close()
        show(store, 2, two).close()
        store.delete(REPO, [one.name])
        assert folders(data) == [1, 2]
        let_age(data)
        store.sweep()
        assert 1 in folders(data)
        answer, _ = child.communicate(f"{blob(A)}\n".encode())  # it opens its first pack only now
    assert answer == f"{blob(A)} blob 1\na\n".encode()
    let_age(data)
    store.sweep()
    assert 1 not in folders(data)


def test_only_an_idle_folder_is_swept(data: Path) -> None:
    first = DiskPackStore(data)
    packs = [store_blobs(first, REPO, A), store_blobs(first, OTHER, A)]
    for repo_id, pack in zip((REPO, OTHER), packs, strict=True):
        show(first, 1, pack, repo_id=repo_id).close()
    first.close()
    later = DiskPackStore(data)
    used = show(later, 1, packs[1], repo_id=OTHER)
    assert later.sweep() == 0
    assert (folders(data), folders(data, OTHER)) == ([1], [1])
    let_age(data)
    assert later.sweep() == 1
    assert not (data / "views" / REPO).exists()
    assert folders(data, OTHER) == [1]
    again = show(later, 1, packs[0])
    assert read_blob(again, A) == A
    again.close()
    used.close()
    later.close()


def test_the_remains_of_an_interrupted_removal_are_swept(store: DiskPackStore, data: Path) -> None:
    opened = show(store, 1, store_blobs(store, REPO, A))
    left = opened.object_dir.with_name(".gone-0123456789abcdef")
    shutil.copytree(opened.object_dir, left)
    store.sweep()
    assert not left.exists()
    assert read_blob(opened, A) == A
    opened.close()


def test_folders_of_the_least_recently_used_repositories_are_closed(data: Path) -> None:
    store = DiskPackStore(data, limits=Limits(view_folders_max=2))
    repo_ids = [f"repo_{letter * 8}" for letter in "abcd"]
    packs = {repo_id: store_blobs(store, repo_id, A) for repo_id in repo_ids}
    held = show(store, 1, packs[repo_ids[0]], repo_id=repo_ids[0])
    for repo_id in repo_ids[1:]:
        show(store, 1, packs[repo_id], repo_id=repo_id).close()
    let_age(data)
    store.sweep()
    left = [repo_id for repo_id in repo_ids if folders(data, repo_id)]
    assert left == [repo_ids[0], repo_ids[-1]]
    assert read_blob(held, A) == A
    held.close()
    store.close()


@pytest.mark.parametrize("damage", ["lost", "cut", "flipped", "another's"])
def test_opening_makes_a_lost_or_damaged_idx_anew(store: DiskPackStore, damage: str) -> None:
    pack, another = store_blobs(store, REPO, A, b"more"), store_blobs(store, REPO, B)
    idx = pack_dir_of(store, REPO) / f"pack-{pack.name}.idx"
    whole = idx.read_bytes()
    idx.unlink()
    if damage == "cut":
        idx.write_bytes(whole[:-30])
    elif damage == "flipped":
        idx.write_bytes(whole[:1040] + bytes([whole[1040] ^ 1]) + whole[1041:])
    elif damage == "another's":
        shutil.copy(idx.with_name(f"pack-{another.name}.idx"), idx)
    opened = show(store, 1, pack, another)
    assert opened.mended.faults == []
    assert idx.read_bytes() == whole
    for content in (A, b"more", B):
        assert read_blob(opened, content) == content
        assert read_blob_by_git(store, opened, content) == content
    opened.close()


def test_a_missing_pack_is_a_fault_and_the_others_are_shown(store: DiskPackStore) -> None:
    one, lost, three = (store_blobs(store, REPO, content) for content in (A, B, C))
    (pack_dir_of(store, REPO) / f"pack-{lost.name}.pack").unlink()
    opened = show(store, 1, one, lost, three)
    assert opened.mended.faults == [PackFault(lost.name, MISSING)]
    assert (read_blob(opened, A), read_blob(opened, B), read_blob(opened, C)) == (A, None, C)
    opened.close()


def test_a_pack_of_another_size_than_listed_is_a_fault(store: DiskPackStore) -> None:
    one, cut = store_blobs(store, REPO, A), store_blobs(store, REPO, B)
    path = pack_dir_of(store, REPO) / f"pack-{cut.name}.pack"
    path.chmod(0o600)
    os.truncate(path, cut.size_bytes - 1)
    opened = show(store, 1, one, cut)
    assert [fault.pack for fault in opened.mended.faults] == [cut.name]
    assert shown_names(opened) == {one.name}
    opened.close()


def test_every_pack_of_a_lost_folder_is_a_fault(store: DiskPackStore) -> None:
    packs = [store_blobs(store, REPO, content) for content in (A, B)]
    shutil.rmtree(store.repo_path(REPO))
    opened = show(store, 1, *packs)
    assert opened.mended.faults == [PackFault(pack.name, MISSING) for pack in packs]
    assert shown_names(opened) == set()
    opened.close()


def test_the_next_opening_shows_a_pack_that_was_brought_back(store: DiskPackStore) -> None:
    one, lost = store_blobs(store, REPO, A), store_blobs(store, REPO, B)
    path = pack_dir_of(store, REPO) / f"pack-{lost.name}.pack"
    away = path.rename(path.with_name("away"))
    first = show(store, 1, one, lost)
    away.rename(path)
    second = show(store, 1, one, lost)
    assert second.mended.faults == []
    assert read_blob(second, B) == B
    first.close()
    second.close()


def test_a_folder_that_a_power_cut_left_incomplete_is_filled_again(store: DiskPackStore, data: Path) -> None:
    pack = store_blobs(store, REPO, A)
    (data / "views" / REPO / f"{1:016x}").mkdir(parents=True)  # whoever made it died before it had `pack`
    opened = show(store, 1, pack)
    assert shown_names(opened) == {pack.name}
    opened.close()


@pytest.mark.parametrize("put_back", [False, True], ids=["gone", "made anew, empty"])
def test_a_deleted_folder_of_views_is_made_again(store: DiskPackStore, data: Path, put_back: bool) -> None:
    one, two = store_blobs(store, REPO, A), store_blobs(store, REPO, B)
    earlier = show(store, 1, one)
    assert read_blob(earlier, A) == A
    shutil.rmtree(data / "views")
    if put_back:
        (data / "views").mkdir()
    for _ in range(2):
        opened = show(store, 1, one, two)
        assert opened.mended.faults == []
        assert (read_blob(opened, A), read_blob_by_git(store, opened, B)) == (A, B)
        opened.close()
    earlier.close()


def test_the_last_links_to_a_lost_pack_are_kept_for_the_operator(
    store: DiskPackStore, other: DiskPackStore, data: Path
) -> None:
    pack = store_blobs(store, REPO, A)
    show(store, 1, pack).close()
    stored = pack_dir_of(store, REPO) / f"pack-{pack.name}.pack"
    content = stored.read_bytes()
    stored.unlink()
    opened = show(other, 1, pack)
    assert opened.mended.faults == [PackFault(pack.name, MISSING)]
    assert read_blob(opened, A) is None
    opened.close()
    assert (data / "lost" / REPO / stored.name).read_bytes() == content


def test_a_good_pack_that_replaces_a_damaged_one_is_shown(store: DiskPackStore, other: DiskPackStore) -> None:
    pack = store_blobs(store, REPO, A)
    stored = pack_dir_of(store, REPO) / f"pack-{pack.name}.pack"
    good = stored.read_bytes()
    stored.chmod(0o600)
    stored.write_bytes(good[:-30] + bytes(30))
    opened = show(store, 1, pack)
    stored.unlink()
    stored.write_bytes(good)
    again = show(other, 1, pack)  # a server that starts finds the folder of the one before
    assert read_blob(again, A) == A
    store.mend(REPO, [pack], trusting=False)
    assert read_blob(opened, A) == A
    opened.close()
    again.close()


def test_a_process_closes_folders_that_it_has_not_used_for_a_while(store: DiskPackStore, data: Path) -> None:
    pack = store_blobs(store, REPO, A)
    show(store, 1, pack).close()
    let_age(data)
    assert store._views.sweep(idle_s=60) == 0
    assert folders(data) == [1]
    assert store._views.sweep(idle_s=0) == 1
    assert folders(data) == []


def test_readers_of_changing_generations_always_find_their_packs(
    data: Path, request: pytest.FixtureRequest
) -> None:
    seed = seed_of(request)
    stores = [DiskPackStore(data) for _ in range(3)]
    contents = [b"%d" % number for number in range(4)]
    packs = [store_blobs(stores[0], REPO, content) for content in contents]
    failures: list[str] = []
    done = threading.Event()

    def read(store: DiskPackStore, number: int) -> None:
        rng = random.Random(seed + number)
        try:
            for _ in range(150):
                chosen = sorted(rng.sample(range(4), rng.randint(1, 4)))
                opened = show(store, rng.randint(1, 3), *(packs[at] for at in chosen))
                failures.extend(
                    f"pack {at} is not shown" for at in chosen if read_blob(opened, contents[at]) is None
                )
                failures.extend(fault.reason for fault in opened.mended.faults)
                opened.close()
        except Exception as error:  # noqa: BLE001  # whatever it is, it fails the test
            failures.append(repr(error))

    def sweep() -> None:
        folders = ViewFolders(
            data / "views",
            lambda _repo_id: pack_dir_of(stores[0], REPO),
            lambda _repo_id, _pack, _mended: True,
            open_max=1,
        )
        while not done.is_set():
            folders.sweep(idle_s=0)

    sweeper = threading.Thread(target=sweep)
    sweeper.start()
    readers = [
        threading.Thread(target=read, args=(store, number)) for number, store in enumerate([*stores, *stores])
    ]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    done.set()
    sweeper.join()
    for store in stores:
        store.close()
    assert failures == []
