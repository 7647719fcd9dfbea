"""Pushes: the refs that may be updated, the objects that a pack must have, and the report on each ref."""

import contextlib
import threading
from itertools import count
from pathlib import Path

import pytest

from packhouse.auth.policy import PolicyUnusable, RefPolicy
from packhouse.auth.principal import Principal
from packhouse.errors import NotFound
from packhouse.git.objects.codec import MODE_FILE, TreeEntry, encode_commit, encode_tree
from packhouse.git.oid import EMPTY_TREE_OID, Oid, hash_object
from packhouse.git.refname import EPHEMERAL, branch_refname
from packhouse.git.wire.receive_request import ReceiveRequest, RefCommand
from packhouse.limits import push_repack_max_s
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.refs.create_branch import CreateBranch, create_branch
from packhouse.operations.refs.list_branches import ListBranches, list_branches
from packhouse.operations.refs.read_ref_log import ReadRefLog, read_ref_log
from packhouse.operations.transport.advertise_push import AdvertisePush, advertise_push
from packhouse.operations.transport.remotes import Remote
from packhouse.operations.transport.start_push import StartPush, start_push
from tests.support.builders.callers import with_policy
from tests.support.builders.node_writes import ADA, commit_files
from tests.support.builders.packs import write_pack

pytestmark = pytest.mark.quick

MAIN = b"refs/heads/main"
SIDE = b"refs/heads/side"
WAIT_S = 60

Objects = list[tuple[str, bytes]]
Told = list[tuple[str, str | None]]


@pytest.fixture
def first(node: Node, caller: Principal, repo: str) -> Oid:
    """The first commit, on main."""
    return commit_files(node, caller, repo, "main", {"a": b"1\n"}).commit


class Pusher:
    """A client that pushes to a repository. `lines` are those that the user read last."""

    def __init__(self, node: Node, caller: Principal, folder: Path) -> None:
        self.node = node
        self.caller = caller
        self.lines: list[str] = []
        self._folder = folder

    def push(
        self,
        *commands: tuple[bytes, Oid | None, Oid | None],
        objects: Objects | None = None,
        remote: Remote | None = None,
        atomic: bool = False,
        caller: Principal | None = None,
    ) -> Told:
        """Push, with a pack of these objects unless they are None; return each ref with the reason it failed."""
        capabilities = frozenset({"report-status", "quiet", *(["atomic"] if atomic else [])})
        request = ReceiveRequest(tuple(RefCommand(*command) for command in commands), capabilities)
        asked = StartPush(remote or Remote("r"), request, None if objects is None else len(objects))
        with contextlib.closing(start_push(self.node, caller or self.caller, asked)) as pending:
            process = pending.process
            if process is not None:
                assert objects is not None
                pack = write_pack(self._folder, objects).read_bytes()
                feeding = threading.Thread(target=lambda: (process.stdin.write(pack), process.stdin.close()))
                feeding.start()
                words = pending.fault_log.take(process.stderr.read()) + pending.fault_log.finish()
                pending.fault_log.take_unread_files(process.stdout.read())
                feeding.join()
                if process.wait(WAIT_S) != 0:
                    reason = pending.explain_failure(words.decode())
                    return [(name.decode(), reason) for name, _, _ in commands]
            reports = pending.finish()
            self.lines = list(pending.lines)
        return [(report.name.decode("utf-8", "replace"), report.error) for report in reports]

    def branches(self, *, ephemeral: bool = False) -> dict[str, Oid]:
        """Return where the branches are."""
        page = list_branches(self.node, self.caller, ListBranches("r", ephemeral))
        return {branch.name: branch.head for branch, _ in page.branches}


@pytest.fixture
def pusher(node: Node, caller: Principal, repo: str, tmp_path: Path) -> Pusher:
    """A client of the repository."""
    folder = tmp_path / "packs"
    folder.mkdir()
    return Pusher(node, caller, folder)


def make_commit(content: bytes, *parents: Oid) -> tuple[Oid, Objects]:
    """Return a new commit with one file, and all of its objects."""
    tree = encode_tree([TreeEntry(MODE_FILE, b"pushed", hash_object("blob", content))])
    commit = encode_commit(
        tree=hash_object("tree", tree), parents=parents, author=ADA, committer=ADA, message=b"m\n"
    )
    return hash_object("commit", commit), [("blob", content), ("tree", tree), ("commit", commit)]


# With a pack


def test_a_push_makes_moves_and_deletes_branches(pusher: Pusher, first: Oid) -> None:
    second, objects = make_commit(b"2", first)
    told = pusher.push((MAIN, first, second), (SIDE, None, first), objects=objects)
    assert told == [("refs/heads/main", None), ("refs/heads/side", None)]
    assert pusher.branches() == {"main": second, "side": first}
    assert pusher.push((SIDE, first, None)) == [("refs/heads/side", None)]
    assert pusher.branches() == {"main": second}
    moves = read_ref_log(pusher.node, pusher.caller, ReadRefLog("r")).moves
    assert [move.action for move in moves] == ["push"] * 3 + ["test"]


def test_the_first_push_fills_an_empty_repository(pusher: Pusher) -> None:
    root, objects = make_commit(b"1")
    assert pusher.push((MAIN, None, root), objects=objects) == [("refs/heads/main", None)]
    assert pusher.branches() == {"main": root}


def test_refs_that_lead_to_missing_objects_are_refused(pusher: Pusher, first: Oid) -> None:
    second, objects = make_commit(b"2", first)
    nowhere = make_commit(b"3", Oid("1" * 40))[0]
    told = pusher.push((MAIN, first, second), (SIDE, None, nowhere), objects=objects)
    assert told == [("refs/heads/main", None), ("refs/heads/side", "missing necessary objects")]
    assert pusher.branches() == {"main": second}


def test_a_history_with_a_hole_is_refused_and_leaves_nothing(pusher: Pusher, first: Oid) -> None:
    lost, objects = make_commit(b"2", Oid("1" * 40))
    repo = lookup_repo(pusher.node, pusher.caller, "r")
    before = pusher.node.store.list_names(repo.public_id)
    ((name, reason),) = pusher.push((SIDE, None, lost), objects=objects)
    assert (name, reason is None) == ("refs/heads/side", False)
    assert pusher.node.store.list_names(repo.public_id) == before


def test_a_branch_points_to_a_commit_and_a_tag_to_anything(pusher: Pusher, first: Oid) -> None:
    blob = hash_object("blob", b"x")
    told = pusher.push((SIDE, None, blob), (b"refs/tags/file", None, blob), objects=[("blob", b"x")])
    assert told == [("refs/heads/side", "a branch must point to a commit"), ("refs/tags/file", None)]


def test_a_push_of_existing_objects_needs_no_pack(pusher: Pusher, first: Oid) -> None:
    assert pusher.push((SIDE, None, first), objects=[]) == [("refs/heads/side", None)]
    assert pusher.branches() == {"main": first, "side": first}


def test_a_forced_push_moves_a_branch_back(pusher: Pusher, first: Oid) -> None:
    second, objects = make_commit(b"2", first)
    pusher.push((MAIN, first, second), objects=objects)
    assert pusher.push((MAIN, second, first), objects=[]) == [("refs/heads/main", None)]
    assert pusher.branches() == {"main": first}


# Races


@pytest.mark.parametrize(
    ("old", "reason"),
    [(Oid("1" * 40), "the ref has moved, fetch first"), (None, "the ref has moved, fetch first")],
)
def test_a_ref_with_another_old_value_is_not_moved(
    pusher: Pusher, first: Oid, old: Oid | None, reason: str
) -> None:
    second, objects = make_commit(b"2", first)
    assert pusher.push((MAIN, old, second), objects=objects) == [("refs/heads/main", reason)]
    assert pusher.branches() == {"main": first}


def test_a_ref_that_does_not_exist_is_not_moved_or_deleted(pusher: Pusher, first: Oid) -> None:
    told = pusher.push((SIDE, first, None), (b"refs/heads/new", first, first), objects=[])
    assert [error for _, error in told] == ["the ref does not exist"] * 2


def test_names_that_contain_each_other_are_reported_as_a_conflict(pusher: Pusher, first: Oid) -> None:
    assert pusher.push((b"refs/heads/main/deep", None, first), objects=[]) == [
        ("refs/heads/main/deep", "conflicts with refs/heads/main")
    ]


def test_an_atomic_push_with_one_refused_ref_moves_no_ref(pusher: Pusher, first: Oid) -> None:
    second, objects = make_commit(b"2", first)
    told = pusher.push((MAIN, first, second), (SIDE, first, second), objects=objects, atomic=True)
    assert told == [
        ("refs/heads/main", "atomic push failure"),
        ("refs/heads/side", "the ref does not exist"),
    ]
    assert pusher.branches() == {"main": first}


# Names


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (b"refs/heads/a..b", "invalid name"),
        (b"refs/heads/\xff", "invalid name"),
        (b"refs/heads/-x", "invalid name: a leading - makes it look like an option"),
        (b"refs/heads/HEAD", "invalid name: HEAD always means the default branch"),
        (b"refs/pull/1/head", "only branches, tags and notes can be pushed"),
        (b"HEAD", "invalid name"),
    ],
)
def test_a_refused_name_is_reported_and_other_refs_move(
    pusher: Pusher, first: Oid, name: bytes, reason: str
) -> None:
    told = pusher.push((name, None, first), (SIDE, None, first), objects=[])
    assert [error for _, error in told] == [reason, None]


def test_refused_names_get_one_line_with_the_refs_that_can_be_pushed(pusher: Pusher, first: Oid) -> None:
    pusher.push((b"refs/pull/1/head", None, first), (b"refs/pull/2/head", None, first), objects=[])
    (line,) = pusher.lines
    assert "refs/heads/*:refs/heads/*" in line


def test_the_import_remote_leaves_other_refs_out(pusher: Pusher, first: Oid) -> None:
    names = [b"refs/pull/%d/head" % number for number in range(7)]
    told = pusher.push(
        *((name, None, first) for name in names),
        (SIDE, None, first),
        objects=[],
        remote=Remote("r", is_import=True),
    )
    assert {error for _, error in told} == {None}
    (line,) = pusher.lines
    assert line.startswith("skipped 7 refs outside refs/heads, refs/tags and refs/notes, not stored:")
    assert line.endswith("refs/pull/4/head, …")
    assert pusher.branches() == {"main": first, "side": first}


def test_a_ref_is_updated_once_in_a_push(pusher: Pusher, first: Oid) -> None:
    told = pusher.push((SIDE, None, first), (SIDE, None, first), objects=[])
    assert [error for _, error in told] == [None, "more than one update of the same ref"]


def test_the_ephemeral_remote_has_branches_and_tags_of_its_own(pusher: Pusher, first: Oid) -> None:
    remote = Remote("r", EPHEMERAL)
    told = pusher.push((SIDE, None, first), (b"refs/notes/x", None, first), objects=[], remote=remote)
    assert [error for _, error in told] == [None, "only branches and tags can be pushed here"]
    assert (pusher.branches(), pusher.branches(ephemeral=True)) == ({"main": first}, {"side": first})


def test_the_default_branch_is_deleted_in_the_ephemeral_namespace_only(
    node: Node, caller: Principal, pusher: Pusher, first: Oid
) -> None:
    create_branch(node, caller, CreateBranch("r", branch_refname("main"), ephemeral=True, base_ref="main"))
    refusal = "deletion of the default branch is not allowed"
    assert pusher.push((MAIN, first, None)) == [("refs/heads/main", refusal)]
    assert pusher.push((MAIN, first, None), remote=Remote("r", EPHEMERAL)) == [("refs/heads/main", None)]


# Permissions


def test_a_policy_refuses_the_refs_that_it_names_with_a_line_for_the_user(
    caller: Principal, pusher: Pusher, first: Oid
) -> None:
    second, objects = make_commit(b"2", first)
    bound = with_policy(caller, ["main", ["no-push"]])
    told = pusher.push((MAIN, first, second), (SIDE, None, second), objects=objects, caller=bound)
    assert told == [("refs/heads/main", "denied by policy (no-push)"), ("refs/heads/side", None)]
    assert pusher.lines == ["refs/heads/main: denied by policy (no-push)"]


def test_a_policy_against_force_knows_which_push_is_forced(
    caller: Principal, pusher: Pusher, first: Oid
) -> None:
    bound = with_policy(caller, ["*", ["no-force-push"]])
    second, objects = make_commit(b"2", first)
    assert pusher.push((MAIN, first, second), objects=objects, caller=bound) == [("refs/heads/main", None)]
    refusal = "denied by policy (no-force-push)"
    assert pusher.push((MAIN, second, first), objects=[], caller=bound) == [("refs/heads/main", refusal)]
    pusher.push((SIDE, None, first), objects=[])
    assert pusher.push((SIDE, first, None), caller=bound) == [("refs/heads/side", refusal)]


def test_a_token_whose_rules_are_malformed_pushes_nothing(
    caller: Principal, pusher: Pusher, first: Oid
) -> None:
    odd = Principal(
        caller.org_id, "acme", "", caller.scopes, None, RefPolicy.parse({"refs": 1}), caller.expires_at
    )
    with pytest.raises(PolicyUnusable):
        pusher.push((SIDE, None, first), objects=[], caller=odd)


def test_another_organisation_finds_no_such_repository(
    node: Node, stranger: Principal, pusher: Pusher, first: Oid
) -> None:
    with pytest.raises(NotFound):
        pusher.push((SIDE, None, first), objects=[], caller=stranger)
    with pytest.raises(NotFound):
        advertise_push(node, stranger, AdvertisePush(Remote("r"), 0))


# Advertising


def test_every_ref_of_the_namespace_is_advertised_to_a_push(
    node: Node, caller: Principal, pusher: Pusher, first: Oid
) -> None:
    pusher.push((SIDE, None, first), objects=[], remote=Remote("r", EPHEMERAL))
    told = advertise_push(node, caller, AdvertisePush(Remote("r"), 0))
    assert first.encode() + b" refs/heads/main\0" in told
    assert b"refs/heads/side" not in told
    assert b"report-status" in told
    assert b"refs/heads/side" in advertise_push(node, caller, AdvertisePush(Remote("r", EPHEMERAL), 0))


def test_a_push_is_answered_in_version_0_or_1(node: Node, caller: Principal, first: Oid) -> None:
    told = {
        version: advertise_push(node, caller, AdvertisePush(Remote("r"), version)) for version in (0, 1, 2)
    }
    assert b"version 1" in told[1]
    assert told[2] == told[0]


def test_a_branch_cannot_point_to_the_empty_tree(pusher: Pusher, first: Oid) -> None:
    told = pusher.push((SIDE, None, EMPTY_TREE_OID), objects=[("tree", b"")])
    assert told == [("refs/heads/side", "a branch must point to a commit")]


# With a faulty object


def make_faulty_commit(parent: Oid) -> tuple[Oid, Objects]:
    """Return a commit whose tree has an entry that git refuses, and all of its objects."""
    tree = encode_tree([TreeEntry(MODE_FILE, b".git", hash_object("blob", b"x"))])
    commit = encode_commit(
        tree=hash_object("tree", tree), parents=[parent], author=ADA, committer=ADA, message=b"m\n"
    )
    return hash_object("commit", commit), [("blob", b"x"), ("tree", tree), ("commit", commit)]


def test_only_the_ref_that_leads_to_a_faulty_object_is_refused(pusher: Pusher, first: Oid) -> None:
    sound, objects = make_commit(b"2", first)
    faulty, bad_objects = make_faulty_commit(first)
    told = pusher.push((MAIN, first, sound), (SIDE, None, faulty), objects=objects + bad_objects)
    assert told[0] == ("refs/heads/main", None)
    assert told[1][1] is not None
    assert pusher.branches() == {"main": sound}


def test_packing_the_sound_part_of_a_push_is_given_up_by_the_clock_of_the_node(
    node: Node, pusher: Pusher, first: Oid
) -> None:
    sound, objects = make_commit(b"2", first)
    faulty, bad_objects = make_faulty_commit(first)
    node.monotonic = count(0, push_repack_max_s).__next__
    told = pusher.push((MAIN, first, sound), (SIDE, None, faulty), objects=objects + bad_objects)
    assert told[0] == ("refs/heads/main", "push could not be packed anew in time")
    assert pusher.branches() == {"main": first}
