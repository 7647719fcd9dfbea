"""Making a repository that starts with objects: its packs first, then its rows, all in one transaction."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from packhouse.auth.principal import Principal
from packhouse.db.packs import PackRow
from packhouse.db.ref_transaction import RefUpdate, apply_ref_updates
from packhouse.db.repos import RepoExists, find_repo, find_repo_by_public_id
from packhouse.db.session import Session
from packhouse.log import log_event
from packhouse.node.node import Node
from packhouse.operations.ids import new_public_id
from packhouse.operations.new_repo import insert_new_repo
from packhouse.operations.repo_info import RepoInfo
from packhouse.repository.receipts import Receipt
from packhouse.storage.pack_draft import PackDraft
from packhouse.storage.pack_file import PackFile
from packhouse.storage.quarantine import Quarantine
from packhouse.storage.unsettled import mark_unsettled, settle, unsettled_age_s

_LEFTOVER_MIN_AGE_S: Final = 3600


@dataclass(frozen=True, slots=True)
class FilledRepo:
    """The repository to be. `updates` create its refs; `action` goes into the ref log."""

    name: str
    default_branch: str
    updates: Sequence[RefUpdate]
    action: str


def require_free_name(node: Node, caller: Principal, name: str) -> None:
    """Raise RepoExists before any work is done; who comes first is decided when the row is inserted."""
    with node.database.read() as session:
        if find_repo(session, caller.org_id, name) is not None:
            raise RepoExists(name)


def insert_filled_repo(
    node: Node,
    caller: Principal,
    filled: FilledRepo,
    quarantine: Quarantine,
    draft: PackDraft | None = None,
    *,
    receipt: Receipt[RepoInfo] | None,
) -> RepoInfo:
    """Publish the packs of `quarantine`, and `draft`, as a new repository's, and insert its rows.

    Raises RepoExists; nothing remains then. After a crash, and when nobody can tell whether the transaction
    was committed, `sweep_unsettled` removes the folder unless it has a row.
    """
    public_id = new_public_id("repo", node.random_bytes)
    packs = _publish(node, public_id, quarantine, draft)
    now = node.clock()

    def insert(session: Session) -> RepoInfo:
        info = insert_new_repo(
            session,
            caller,
            public_id=public_id,
            name=filled.name,
            default_branch=filled.default_branch,
            receipt=receipt,
            now=now,
        )
        rows = [PackRow(pack.name, pack.size_bytes, pack.objects) for pack in packs]
        apply_ref_updates(
            session,
            info.id,
            filled.updates,
            actor=caller.subject,
            action=filled.action,
            now=now,
            packs=rows,
        )
        return info

    try:
        info = node.database.transact(insert)
    except RepoExists:
        node.store.remove_repo(public_id)
        raise
    settle(node.store.repo_path(public_id))
    return info


def _publish(node: Node, public_id: str, quarantine: Quarantine, draft: PackDraft | None) -> list[PackFile]:
    if draft is None and not any(quarantine.pack_dir.iterdir()):
        return []
    mark_unsettled(node.store.repo_path(public_id))
    packs = node.store.publish(quarantine, public_id)
    if draft is not None:
        packs.append(node.store.publish_draft(draft, public_id))
    return packs


def sweep_unsettled(node: Node) -> int:
    """Remove the folders that a crash left before their rows were inserted; return how many."""
    removed = 0
    for public_id in node.store.iter_repo_ids():
        path = node.store.repo_path(public_id)
        age_s = unsettled_age_s(path)
        if age_s is None or age_s < _LEFTOVER_MIN_AGE_S:
            continue
        with node.database.read() as session:
            repo = find_repo_by_public_id(session, public_id)
        if repo is None:
            shutil.rmtree(path, ignore_errors=True)
            log_event("folder deleted of a repository that was never made", repo_id=public_id)
            removed += 1
        else:
            settle(path)
    return removed
