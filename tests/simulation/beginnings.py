"""The state before a run begins: repositories, and other packs in the store."""

import io
from collections.abc import Sequence
from typing import Final

from packhouse.auth.principal import Principal, operator_principal
from packhouse.db.orgs import insert_org
from packhouse.db.ref_transaction import RefUpdate, apply_ref_updates
from packhouse.db.repos import insert_repo
from packhouse.db.session import Session
from packhouse.git.objects.codec import MODE_FILE, TreeEntry, encode_commit, encode_tree
from packhouse.git.oid import hash_object
from packhouse.git.packs.pack import Pack
from packhouse.git.packs.writer import PackWriter, encode_idx
from packhouse.git.refname import PERSISTENT
from packhouse.ids import RepoId, RepoKey
from packhouse.storage.memory.store import StoredPack
from tests.simulation.world import World
from tests.support.builders.node_writes import ADA, MAIN

_INHERITED_SHARE: Final = 0.25
_STRAY: Final = "5" * 40


def make_repos(world: World, names: Sequence[str]) -> Principal:
    """Make the repositories. Return a caller with all rights in them. The first may be from an earlier release."""
    ids: dict[str, RepoKey] = {}
    with world.memory.write() as session:
        org = insert_org(session, name="acme", now=world.now)
        for name in names:
            public_id = public_id_of(name)
            ids[name] = insert_repo(
                session, public_id=public_id, org_id=org.id, name=name, default_branch="main", now=world.now
            )
        if world.rng.random() < _INHERITED_SHARE:
            _inherit(world, session, ids[names[0]], public_id_of(names[0]))
        else:
            _leave_stray(world, public_id_of(names[0]))
    return operator_principal(org.id, org.name)


def public_id_of(name: str) -> RepoId:
    """Return the public id of a repository that exists from the beginning."""
    return RepoId(f"repo_{name}0000")


def _leave_stray(world: World, public_id: RepoId) -> None:
    """Put a pack of another database, or of a newer one, in the store."""
    _pack, stored = _make_pack([("blob", b"nobody's")])
    world.checker.strays.add((public_id, _STRAY))
    world.packs.take(public_id, _STRAY, stored)


def _inherit(world: World, session: Session, repo: RepoKey, public_id: RepoId) -> None:
    """Leave a commit in a listed pack, and the objects that it reaches in a pack without a row."""
    tree = encode_tree([TreeEntry(MODE_FILE, b"old", hash_object("blob", b"old"))])
    commit = encode_commit(
        tree=hash_object("tree", tree), parents=[], author=ADA, committer=ADA, message=b"old\n"
    )
    unlisted, stored = _make_pack([("blob", b"old"), ("tree", tree)])
    world.checker.inherited.add((public_id, unlisted.name))
    world.packs.take(public_id, unlisted.name, stored)
    listed, stored = _make_pack([("commit", commit)])
    world.packs.take(public_id, listed.name, stored)
    session.run(
        "adopt_pack",
        repo_id=repo,
        name=listed.name,
        size_bytes=listed.size_bytes,
        objects=listed.objects,
        now=world.now,
    )
    apply_ref_updates(
        session,
        repo,
        [RefUpdate(PERSISTENT, MAIN, None, hash_object("commit", commit))],
        actor="",
        action="push",
        state=0,
        now=world.now,
    )
    session.define(f"UPDATE repos SET adopted_at = NULL WHERE id = {repo}")


def _make_pack(objects: Sequence[tuple[str, bytes]]) -> tuple[Pack, StoredPack]:
    file = io.BytesIO()
    writer = PackWriter(lambda: file)
    for kind, content in objects:
        writer.add_object(kind, content)
    finished = writer.finish()
    idx = encode_idx(finished.entries, pack_name=finished.pack.name)
    return finished.pack, StoredPack(file.getvalue(), idx)
