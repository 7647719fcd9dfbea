"""Known mistakes. Each is a variant of a real step, and shows that the simulation finds it."""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from packhouse.db.packs import (
    JournalRow,
    PackState,
    find_pack_state,
    list_known_packs,
    list_passing_packs,
)
from packhouse.db.repos import Repo, find_repo_by_public_id
from packhouse.db.session import Session
from packhouse.git.oid import Oid
from packhouse.git.packs.concat import concatenate_packs
from packhouse.git.packs.pack import Pack
from packhouse.git.packs.writer import PackEntry, PackWriter
from packhouse.ids import RepoKey
from packhouse.node.journal_meter import JournalMeter
from packhouse.node.node import Node
from packhouse.node.pack_names import PackNames
from packhouse.repository import stored_packs
from packhouse.repository.refs.writer import RefWriter
from packhouse.repository.stored_packs import FoundPack
from packhouse.repository.upkeep import flush
from packhouse.storage.memory import views
from tests.simulation import actors
from tests.simulation.world import World

Plant = Callable[[pytest.MonkeyPatch, World], None]


def delete_before_the_row_says_so(patch: pytest.MonkeyPatch, _world: World) -> None:
    """The sweeper deletes files first, and marks their rows afterwards."""
    real = stored_packs.sweep_packs

    def sweep(node: Node) -> int:
        ages = (
            (PackState.INCOMING, node.limits.incoming_grace_s),
            (PackState.RETIRED, node.limits.pack_keep_s),
        )
        for state, age_s in ages:
            with node.database.read() as session:
                aged = list_passing_packs(session, state, before=node.clock() - age_s, limit=100)
            for pack in aged:
                node.store.delete(pack.public_id, [pack.name])
        return real(node)

    patch.setattr(actors, "sweep_packs", sweep)


def list_before_it_is_durable(patch: pytest.MonkeyPatch, _world: World) -> None:
    """The ref transaction lists packs whose bytes are not stored yet."""
    waiting: list[tuple[Any, ...]] = []
    real_put, real_move = stored_packs._put, RefWriter._run_transaction

    def put_later(*args: Any) -> None:
        waiting.append(args)

    def move_then_put(self: RefWriter, *args: Any, **kwargs: Any) -> Any:
        mine = list(waiting)
        waiting.clear()
        outcomes = real_move(self, *args, **kwargs)
        for put in mine:
            real_put(*put)
        return outcomes

    patch.setattr(stored_packs, "_put", put_later)
    patch.setattr(RefWriter, "_run_transaction", move_then_put)


def adopt_a_stray(patch: pytest.MonkeyPatch, _world: World) -> None:
    """The sweeper lists packs in the store that have no row."""
    real = stored_packs.sweep_packs

    def sweep(node: Node) -> int:
        for public_id in node.store.iter_repo_ids():
            with node.database.read() as session:
                repo = find_repo_by_public_id(session, public_id)
                assert repo is not None, "repositories are not deleted"
                known = list_known_packs(session, repo.id)
            for name in node.store.list_names(public_id):
                pack = node.store.stat(public_id, name)
                if name not in known and pack is not None:
                    with node.database.write() as session:
                        session.run(
                            "adopt_pack",
                            repo_id=repo.id,
                            name=pack.name,
                            size_bytes=pack.size_bytes,
                            objects=pack.objects,
                            now=node.clock(),
                        )
        return real(node)

    patch.setattr(actors, "sweep_packs", sweep)


def prune_a_base(patch: pytest.MonkeyPatch, world: World) -> None:
    """Joining leaves out objects that no ref reaches at its beginning, and does not check again at its end."""
    real = concatenate_packs

    def join(packs: Iterable[Path], writer: PackWriter) -> None:
        checker = world.checker
        reached = frozenset[Oid]().union(*map(checker.objects.closure, checker.state.refs.values()))
        copy = writer.copy_entry

        def copy_reached(entry: PackEntry, pieces: Iterable[bytes]) -> None:
            if entry.oid in reached:
                copy(entry, pieces)

        patch.setattr(writer, "copy_entry", copy_reached)
        real(packs, writer)

    patch.setattr("packhouse.repository.upkeep.consolidate.concatenate_packs", join)


def open_a_view_without_its_lock(patch: pytest.MonkeyPatch, _world: World) -> None:
    """A folder is removed when a newer one has replaced it, also while it is open."""

    def drop_replaced(self: views.MemoryViews, repo_id: str) -> list[Any]:
        known = self._folders.get(repo_id, [])
        dropped = known[:-1]
        del known[:-1]
        return dropped

    patch.setattr(views.MemoryViews, "_drop_replaced", drop_replaced)


def give_a_name_out_twice(patch: pytest.MonkeyPatch, world: World) -> None:
    """A pack is named by its hash, so a late deleter may delete the second pack of that name."""
    world.limits = replace(world.limits, journal_pack_max_bytes=0)  # two equal writes become two equal packs
    for node in world.nodes.values():
        node.limits = world.limits
        node.journal = JournalMeter(world.limits, size_max_bytes=0)
    real_store, real_name = stored_packs.store_packs, stored_packs.new_pack_name
    names: list[str] = []

    def store(node: Node, repo: Repo, found: Sequence[FoundPack], *, noted: list[str]) -> list[Pack]:
        with node.database.read() as session:
            free = [
                one.pack.name for one in found if find_pack_state(session, repo.id, one.pack.name) is None
            ]
        names[:] = free  # and no other thread goes on before they are used
        try:
            return real_store(node, repo, found, noted=noted)
        except sqlite3.IntegrityError:  # another thread was faster with the name
            return real_store(node, repo, found, noted=noted)

    patch.setattr("packhouse.repository.write.store_packs", store)
    patch.setattr(stored_packs, "new_pack_name", lambda node: names.pop(0) if names else real_name(node))
    patch.setattr(PackNames, "take", lambda *_args, **_kwargs: None)


def flush_rows_that_came_meanwhile(patch: pytest.MonkeyPatch, _world: World) -> None:
    """A flush empties the journal, also of rows that came while it stored its pack."""

    def drop_all(session: Session, repo_id: RepoKey, rows: Sequence[JournalRow], *, state: int) -> bool:
        is_there = session.run(
            "note_flushed_rows", repo_id=repo_id, state=state, journal_rows=0, journal_bytes=0
        )
        session.run("delete_journal_page", repo_id=repo_id, limit=1000)
        session.define(f"UPDATE repos SET journal_rows = 0, journal_bytes = 0 WHERE id = {repo_id}")
        return bool(rows) and is_there == 1

    patch.setattr(flush, "drop_flushed_rows", drop_all)


MISTAKES: Final[dict[Plant, str]] = {
    delete_before_the_row_says_so: "I2",
    list_before_it_is_durable: "I2",
    adopt_a_stray: "I3",
    prune_a_base: "I",
    open_a_view_without_its_lock: "I5",
    give_a_name_out_twice: "I",
    flush_rows_that_came_meanwhile: "I2",
}
"""The mistakes, and the invariant that finds each."""
