"""Work of a process on the packs of the repository `shop`, until the process is killed at a step of it."""

import contextlib
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from packhouse.auth.principal import Principal
from packhouse.config import Config
from packhouse.db.ref_transaction import RefMismatch, RefUpdate
from packhouse.git.commands.rev_list import Revisions
from packhouse.git.objects.codec import MODE_FILE, TreeEntry, encode_commit, encode_tree
from packhouse.git.oid import Oid, hash_object
from packhouse.git.refname import PERSISTENT
from packhouse.git.wire.receive_request import ReceiveRequest, RefCommand
from packhouse.limits import Limits
from packhouse.node.node import Node, open_node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.packs.clean_repo import CleanRepo, clean_repo
from packhouse.operations.repos.fill_repo import FilledRepo, fill_repo
from packhouse.operations.transport.remotes import Remote
from packhouse.operations.transport.start_push import StartPush, start_push
from packhouse.repository.upkeep import consolidate as joining
from packhouse.repository.upkeep.fork_objects import copy_objects
from packhouse.repository.upkeep.sweep import adopt_all, sweep
from packhouse.repository.view import RepoView
from packhouse.repository.write import Write
from tests.support.builders.node_writes import ADA, MAIN, commit_files, move_refs, write_commit_object
from tests.support.builders.packs import write_pack
from tests.support.builders.upkeep import consolidate, flush
from tests.support.killed_steps import Step

START: Final = 1000
"""The time of the node's clock, until a test moves it."""

LIMITS: Final = Limits(packs_before_consolidation=1)
"""Packs are joined as soon as there are two."""

IN_FLIGHT: Final = b"was being written"
"""The content of the file in the write that the kill interrupts."""

_PUSH_MAX_S: Final = 60


def open_steady_node(config: Config) -> Node:
    """Open a node with a stopped clock."""
    node = open_node(config, limits=LIMITS)
    node.clock = lambda: START
    return node


def work_and_die(config: Config, caller: Principal, work: str, step: Step, told: Path) -> None:
    """Do some work and die at a step of it. Commits acknowledged before are written to a file, one a line."""
    node = open_steady_node(config)

    def acknowledge(commit: Oid) -> None:
        with told.open("a") as file:
            file.write(f"{commit}\n")

    WORKS[work](node, caller, step, acknowledge)


def tip_of(node: Node, caller: Principal) -> Oid | None:
    """Return the value of main."""
    with RepoView(node, lookup_repo(node, caller, "shop")) as view:
        ref = view.get_ref(PERSISTENT, MAIN)
    return None if ref is None else ref.oid


def push_file(node: Node, caller: Principal, content: bytes) -> Oid:
    """Push a commit with one file to main, through the server's path for pushes. Return its id."""
    old = tip_of(node, caller)
    tree = encode_tree([TreeEntry(MODE_FILE, b"pushed", hash_object("blob", content))])
    parents = () if old is None else (old,)
    commit = encode_commit(
        tree=hash_object("tree", tree), parents=parents, author=ADA, committer=ADA, message=b"pushed\n"
    )
    folder = Path(tempfile.mkdtemp(dir=node.store.scratch_dir()))
    pack = write_pack(folder, [("blob", content), ("tree", tree), ("commit", commit)])
    new = hash_object("commit", commit)
    request = ReceiveRequest((RefCommand(MAIN, old, new),), frozenset({"report-status", "quiet"}))
    with contextlib.closing(
        start_push(node, caller, StartPush(Remote("shop"), request, pack_objects=3))
    ) as pending:
        process = pending.process
        assert process is not None
        process.stdin.write(pack.read_bytes())
        process.stdin.close()
        pending.fault_log.take_unread_files(process.stdout.read())
        pending.fault_log.take(process.stderr.read())
        pending.fault_log.finish()
        assert process.wait(_PUSH_MAX_S) == 0
        (report,) = pending.finish()
        assert report.error is None, report.error
    return new


def fork_all(node: Node, caller: Principal) -> None:
    """Make the repository `fork` from main."""
    tip = tip_of(node, caller)
    assert tip is not None
    with (
        RepoView(node, lookup_repo(node, caller, "shop")) as view,
        Write(view) as write,
    ):
        copy_objects(write, [tip])
        updates = [RefUpdate(PERSISTENT, MAIN, None, tip)]
        fill_repo(node, caller, FilledRepo("fork", "main", updates, "fork"), write, receipt=None)


def age_views(data: Path) -> None:
    """Make the view folders look unused for hours."""
    for folder in data.glob("views/*/*/pack"):
        os.utime(folder, (time.time() - 7200,) * 2)


Acknowledge = Callable[[Oid], None]


def _commit(node: Node, caller: Principal, step: Step, _acknowledge: Acknowledge) -> None:
    step.arm()
    commit_files(node, caller, "shop", "main", {"new": IN_FLIGHT})


def _commit_again(node: Node, caller: Principal, step: Step, acknowledge: Acknowledge) -> None:
    """Commit again: the transaction of the second commit notes the name of the third commit's pack."""
    for number in range(2):
        content = b"before the end %d" % number
        acknowledge(commit_files(node, caller, "shop", "main", {"new": content}).commit)
    _commit(node, caller, step, acknowledge)


def _push(node: Node, caller: Principal, step: Step, _acknowledge: Acknowledge) -> None:
    step.arm()
    push_file(node, caller, IN_FLIGHT)


def _lose_race(node: Node, caller: Principal, step: Step, _acknowledge: Acknowledge) -> None:
    """Lose a race: the writer itself removes the stored pack of its refused write."""
    repo = lookup_repo(node, caller, "shop")
    with RepoView(node, repo) as view, Write(view) as write, contextlib.suppress(RefMismatch):
        update = RefUpdate(PERSISTENT, MAIN, None, write_commit_object(write))
        step.arm()
        move_refs(node, caller, repo, update, write=write)


def _join(node: Node, caller: Principal, step: Step, _acknowledge: Acknowledge) -> None:
    step.arm()
    consolidate(node, lookup_repo(node, caller, "shop").public_id)


def _join_by_git(node: Node, caller: Principal, step: Step, acknowledge: Acknowledge) -> None:
    joining._IN_PROCESS_MAX_BYTES = 0
    _join(node, caller, step, acknowledge)


def _flush(node: Node, caller: Principal, step: Step, _acknowledge: Acknowledge) -> None:
    step.arm()
    flush(node, lookup_repo(node, caller, "shop").public_id)


def _sweep(node: Node, caller: Principal, step: Step, _acknowledge: Acknowledge) -> None:
    """Sweep leftovers of a dead writer."""
    with RepoView(node, lookup_repo(node, caller, "shop")) as view, Write(view) as write:
        write.writer.add_object("blob", b"never listed")
        write.publish(may_journal=False)
        write.keep_published()  # as if the process had died: nobody drops the pack
    node.clock = lambda: START + node.limits.incoming_grace_s
    step.arm()
    sweep(node)


def _sweep_views(node: Node, caller: Principal, step: Step, acknowledge: Acknowledge) -> None:
    """Remove a folder that nobody holds."""
    _read(node, caller, None, acknowledge)
    node.store.close()
    age_views(node.config.data)
    step.arm()
    sweep(node)


def _read(node: Node, caller: Principal, step: Step | None, _acknowledge: Acknowledge) -> None:
    """Open the repository while no folder shows its packs yet."""
    age_views(node.config.data)
    sweep(node)
    if step is not None:
        step.arm()
    tip = tip_of(node, caller)
    assert tip is not None
    with RepoView(node, lookup_repo(node, caller, "shop")) as view:
        view.read(tip)


def _history(node: Node, caller: Principal, step: Step, _acknowledge: Acknowledge) -> None:
    """Let git read the history, for which it must see the journal."""
    tip = tip_of(node, caller)
    assert tip is not None
    step.arm()
    with RepoView(node, lookup_repo(node, caller, "shop")) as view:
        view.git.count_commits(Revisions([tip]))


def _fork(node: Node, caller: Principal, step: Step, _acknowledge: Acknowledge) -> None:
    step.arm()
    fork_all(node, caller)


def _adopt(node: Node, _caller: Principal, step: Step, _acknowledge: Acknowledge) -> None:
    step.arm()
    adopt_all(node, lambda: False)


def _clean(node: Node, _caller: Principal, step: Step, _acknowledge: Acknowledge) -> None:
    """Remove the contents of deleted repositories."""
    step.arm()
    for public_id in list(node.store.iter_repo_ids()):
        clean_repo(node, CleanRepo(public_id))


WORKS: Final[dict[str, Callable[[Node, Principal, Step, Acknowledge], None]]] = {
    "commit": _commit,
    "commit again": _commit_again,
    "push": _push,
    "lose a race": _lose_race,
    "join": _join,
    "flush": _flush,
    "join by git": _join_by_git,
    "sweep": _sweep,
    "sweep views": _sweep_views,
    "read": _read,
    "history": _history,
    "fork": _fork,
    "adopt": _adopt,
    "clean": _clean,
}
