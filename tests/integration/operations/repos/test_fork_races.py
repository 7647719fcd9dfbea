"""A fork while the packs of its source are joined."""

from collections.abc import Sequence

import pytest

from packhouse.auth.principal import Principal
from packhouse.db.ref_transaction import RefUpdate
from packhouse.db.refs import get_ref
from packhouse.db.repos import Repo
from packhouse.git.commands.rev_list import Revisions
from packhouse.git.oid import Oid
from packhouse.git.packs.pack import Pack
from packhouse.git.refname import PERSISTENT
from packhouse.limits import DEFAULT_LIMITS, Limits
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.operations.repos.fill_repo import FilledRepo, fill_repo
from packhouse.repository.upkeep import fork_objects
from packhouse.repository.upkeep.fork_objects import copy_objects
from packhouse.repository.view import RepoView
from packhouse.repository.write import Write
from tests.support.builders.node_writes import MAIN, pack_states, put_commit
from tests.support.builders.packs import list_packs, stored_names
from tests.support.builders.upkeep import consolidate, flush


@pytest.fixture
def limits() -> Limits:
    """Every write stores a pack, and packs are joined as soon as there are two."""
    return Limits(packs_before_consolidation=1, journal_pack_max_bytes=0)


@pytest.fixture
def source(node: Node, caller: Principal) -> Repo:
    """A repository with three commits on main, each in a pack of its own."""
    create_repo(node, caller, CreateRepo("source"))
    repo = lookup_repo(node, caller, "source")
    first = put_commit(node, caller, repo)
    put_commit(node, caller, repo, put_commit(node, caller, repo, first, message=b"2"), message=b"3")
    return repo


def tip_of(node: Node, repo: Repo) -> Oid:
    with node.database.read() as session:
        ref = get_ref(session, repo.id, PERSISTENT, MAIN)
    assert ref is not None
    return ref.oid


def is_whole(node: Node, repo: Repo, tip: Oid) -> bool:
    """Tell whether git finds the three commits with all their objects."""
    with RepoView(node, repo) as view:
        return len(list(view.git.iter_objects(Revisions([tip]), timeout_s=60))) == 4


def fork(node: Node, caller: Principal, source: Repo, tip: Oid) -> Repo:
    """Copy the objects below `tip` into the repository `copy`."""
    with RepoView(node, source) as view, Write(view) as write:
        copy_objects(write, [tip])
        filled = FilledRepo("copy", "main", [RefUpdate(PERSISTENT, MAIN, None, tip)], "fork")
        fill_repo(node, caller, filled, write, receipt=None)
    return lookup_repo(node, caller, "copy")


def test_a_fork_is_whole_though_its_sources_packs_are_joined_before_they_are_chosen(
    node: Node, caller: Principal, source: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    tip, list_objects = tip_of(node, source), fork_objects._list_objects

    def list_then_join(view: RepoView, roots: Sequence[Oid]) -> set[Oid] | None:
        listed = list_objects(view, roots)
        assert consolidate(node, source.public_id) > 1
        return listed

    monkeypatch.setattr(fork_objects, "_list_objects", list_then_join)
    copy = fork(node, caller, source, tip)
    assert is_whole(node, copy, tip)
    assert set(pack_states(node, copy).values()) == {"live"}


def test_a_fork_is_whole_though_its_sources_packs_are_joined_before_they_are_linked(
    node: Node, caller: Principal, source: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Retired packs are deleted at once; the fork has them open."""
    tip, link_stored = tip_of(node, source), Write.link_stored
    joined: list[int] = []

    def link_then_join(write: Write, source_id: str, pack: Pack) -> None:
        link_stored(write, source_id, pack)
        if not joined:
            joined.append(consolidate(node, source_id))

    monkeypatch.setattr(Write, "link_stored", link_then_join)
    copy = fork(node, caller, source, tip)
    assert joined[0] > 1
    assert is_whole(node, copy, tip)


def test_a_fork_stays_whole_when_its_source_loses_its_packs(
    node: Node, caller: Principal, source: Repo
) -> None:
    tip = tip_of(node, source)
    copy = fork(node, caller, source, tip)
    assert len(list_packs(node, copy)) == 3
    assert consolidate(node, source.public_id) > 1
    assert node.store.remove_repo(source.public_id)
    assert is_whole(node, copy, tip)
    assert stored_names(node, copy) == {pack.name for pack in list_packs(node, copy)}


@pytest.mark.parametrize("limits", [DEFAULT_LIMITS], ids=["journal"])
@pytest.mark.parametrize(
    "place", [(fork_objects, "_list_objects"), (Write, "copy_journaled")], ids=lambda place: place[1]
)
def test_a_fork_is_whole_though_its_sources_journal_is_flushed_meanwhile(
    node: Node,
    caller: Principal,
    source: Repo,
    place: tuple[object, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The rows go before the fork chooses among them, or when it has taken the first of them."""
    tip, work = tip_of(node, source), getattr(*place)
    flushed: list[int] = []

    def work_then_flush(*arguments: object) -> object:
        result = work(*arguments)
        flushed.append(flush(node, source.public_id))
        return result

    monkeypatch.setattr(*place, work_then_flush)
    copy = fork(node, caller, source, tip)
    assert flushed[0] == 3
    assert is_whole(node, copy, tip)
